"""Makes NetCDF files in the folder named by the first argument: whatever the format allows."""

import sys

import netCDF4
import numpy as np

FORMATS = [
    "NETCDF3_CLASSIC",
    "NETCDF3_64BIT_OFFSET",
    "NETCDF3_64BIT_DATA",
    "NETCDF4",
    "NETCDF4_CLASSIC",
]
rng = np.random.default_rng(1)


def some(kind, shape):
    count = int(np.prod(shape))
    if kind == "S1":
        letters = rng.integers(97, 122, count, dtype="u1")
        return np.frombuffer(letters.tobytes(), "S1").reshape(shape)
    return rng.integers(0, 100, count).astype(kind).reshape(shape)


def of_all_types(data, form):
    kinds = ["i1", "i2", "i4", "f4", "f8", "S1"]
    if form in ("NETCDF3_64BIT_DATA", "NETCDF4"):
        kinds += ["u1", "u2", "u4", "i8", "u8"]
    for kind in kinds:
        data.createVariable(f"fixed_{kind}", kind, ("y", "x"))[:] = some(kind, (5, 3))
        data.createVariable(f"record_{kind}", kind, ("t", "x"))[:4] = some(kind, (4, 3))
        data.createVariable(f"scalar_{kind}", kind, ())[...] = some(kind, (1,))[0]
        data.createVariable(f"never_{kind}", kind, ("y", "x"))
        data.createVariable(f"never_record_{kind}", kind, ("t", "x"))
        if kind != "S1":
            data.createVariable(f"filled_{kind}", kind, ("t", "y"), fill_value=3)
            data.createVariable(f"uneven_{kind}", kind, ("t", "y"), fill_value=3)[:2] = 7
    data.createVariable("names", "S1", ("y", "n"))[:] = some("S1", (5, 7))
    data.createVariable("t", "f8", ("t",))[:3] = [1, 2, 3]


def of_hdf5(data):
    cut = {"zlib": True, "chunksizes": (2, 2, 2)}
    data.createVariable("cut", "f4", ("t", "y", "x"), **cut)[:4] = some("f4", (4, 5, 3))
    sparse = data.createVariable("sparse", "i2", ("t", "y", "x"), fill_value=9, **cut)
    sparse[3, 2:4, 0] = 1
    data.createVariable("summed", "i1", ("y", "x"), fletcher32=True)[:] = some("i1", (5, 3))
    big = data.createVariable("big", ">f4", ("y", "x"), endian="big", zlib=True)
    big[:] = some("f4", (5, 3))
    data.createVariable("big_filled", ">i4", ("y", "x"), endian="big", fill_value=77)


def of_netcdf4(data):
    texts = data.createVariable("texts", str, ("y",))
    texts[:] = np.array(["a", "bb", "", "dd", "ü"], dtype=object)
    data.createVariable("uneven_texts", str, ("t",))[0] = "first"
    data.createVariable("one_text", str, ())[...] = "alone"
    data.texts = ["a", "b"]
    data.setncattr_string("one", ["x"])
    flag = data.createEnumType("u1", "flag", {"off": 0, "on": 1})
    data.createVariable("flags", flag, ("y",), fill_value=1)[:3] = [0, 1, 0]
    # A variable that has the name of a dimension and is not its coordinate.
    data.createVariable("x", "f4", ("y", "x"))[:] = 1
    # The unlimited dimension is longer in a group than here.
    data.createGroup("group").createVariable("inner", "f4", ("t",))[:] = np.arange(9)


for form in FORMATS:
    with netCDF4.Dataset(f"{sys.argv[1]}/all_{form}.nc", "w", format=form) as data:
        data.createDimension("t", None)
        for name, length in [("y", 5), ("x", 3), ("n", 7), ("unused", 2), ("one", 1)]:
            data.createDimension(name, length)
        data.title = "A title"
        data.numbers = np.array([1, 2, 3], "i4")
        of_all_types(data, form)
        if form.startswith("NETCDF4"):
            of_hdf5(data)
        if form == "NETCDF4":
            of_netcdf4(data)
    with netCDF4.Dataset(f"{sys.argv[1]}/one_record_{form}.nc", "w", format=form) as data:
        data.createDimension("t", None)
        data.createDimension("x", 3)
        data.createVariable("only", "i1", ("t", "x"))[:] = some("i1", (5, 3))
    with netCDF4.Dataset(f"{sys.argv[1]}/no_record_{form}.nc", "w", format=form) as data:
        data.createDimension("t", None)
        data.createVariable("a", "i2", ("t",))
        data.createVariable("b", "f8", ("t",))
