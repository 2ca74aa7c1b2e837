"""Makes files of many encodings, and reads references to them back: `make DIR`, `check DIR`.

Each kind is several files that follow each other along `time`; `check` opens `KIND.json` and
`KIND.parquet` of the folder and compares them with what xarray makes of the files.
"""

import sys

import fsspec
import h5py
import netCDF4
import numpy as np
import xarray as xr
from fsspec.implementations.reference import LazyReferenceMapper
from zarr.storage import FsspecStore

LENGTHS = [(0, 31), (31, 28), (59, 31)]
TENS = [(0, 30), (30, 20), (50, 25)]
random = np.random.default_rng(38)


def netcdf(path, start, count, version="NETCDF4", chunks=(1, 5, 7), scale=None, fixed=False, **how):
    file = netCDF4.Dataset(path, "w", format=version)
    file.createDimension("time", count if fixed else None)
    file.createDimension("lat", 5)
    file.createDimension("lon", 7)
    if version == "NETCDF4":
        how = {"zlib": True, "complevel": 4, **how}
        own = dict(how, chunksizes=chunks)
    else:
        how, own = {}, {}
    order = ">" if how.get("endian") == "big" else ""
    time = file.createVariable("time", "f8", ("time",))
    time.units = "days since 2000-01-01"
    time[:] = np.arange(start, start + count)
    file.createVariable("lat", "f4", ("lat",))[:] = np.linspace(-10, 10, 5)
    file.createVariable("lon", "f4", ("lon",))[:] = np.linspace(0, 6, 7)
    dtype = order + ("i2" if scale else "f4")
    t = file.createVariable("t", dtype, ("time", "lat", "lon"), fill_value=-999, **own)
    if scale:
        t.scale_factor = scale
        t.add_offset = 3.0
    t[:] = random.normal(size=(count, 5, 7)).round(3)
    file.createVariable("orog", order + "f8", ("lat", "lon"), **how)[:] = np.arange(35).reshape(5, 7)
    file.close()


def hdf5(path, start, count, chunks=(10, 3, 4), is_sparse=False, is_masked=False, **how):
    with h5py.File(path, "w", track_order=True) as file:
        for name, values in [
            ("time", np.arange(start, start + count, dtype="f8")),
            ("lat", np.linspace(-10, 10, 5)),
            ("lon", np.linspace(0, 6, 7)),
        ]:
            file[name] = values
            file[name].make_scale(name)
        file["time"].attrs["units"] = "days since 2000-01-01"
        t = file.create_dataset(
            "t", (count, 5, 7), "f4", chunks=chunks, maxshape=(None, 5, 7), fillvalue=-5, **how
        )
        values = random.normal(size=(count, 5, 7)).astype("f4")
        if is_masked:
            t.attrs["_FillValue"] = np.float32(-5)
        if is_sparse:
            t[:10] = values[:10]
        else:
            t[:] = values
        for axis, name in enumerate(["time", "lat", "lon"]):
            t.dims[axis].attach_scale(file[name])


def zarr2(path, start, count):
    values = random.normal(size=(count, 5, 7)).astype("f4")
    coords = {
        "time": ("time", np.arange(start, start + count), {"units": "days since 2000-01-01"}),
        "lat": np.linspace(-10, 10, 5),
        "lon": np.linspace(0, 6, 7),
    }
    made = xr.Dataset({"t": (("time", "lat", "lon"), values)}, coords)
    made.to_zarr(path, zarr_format=2, encoding={"t": {"chunks": (10, 3, 4)}})


def make(folder):
    for place, (start, count) in enumerate(LENGTHS):
        at = lambda kind: (f"{folder}/{kind}{place}.nc", start, count)
        netcdf(*at("deflate"), shuffle=True)
        netcdf(*at("checksum"), shuffle=True, fletcher32=True)
        netcdf(*at("big"), endian="big")
        netcdf(*at("plain"), zlib=False, chunks=(31, 5, 7))
        netcdf(*at("classic"), version="NETCDF3_CLASSIC")
        netcdf(*at("fixed"), version="NETCDF3_64BIT_OFFSET", fixed=True)
        netcdf(*at("shifted"), chunks=(7, 5, 7), scale=0.01)
        netcdf(*at("mixed"), chunks=(1 + place % 2, 5, 7))
        netcdf(*at("packed"), scale=0.01 * (1 + place))
    netcdf(f"{folder}/one0.nc", 0, 31)
    for place, (start, count) in enumerate(TENS):
        hdf5(f"{folder}/edges{place}.nc", start, count, compression="gzip", shuffle=True, fletcher32=True)
        hdf5(f"{folder}/sparse{place}.nc", start, count, compression="gzip", is_sparse=place == 1)
        hdf5(f"{folder}/absent{place}.nc", start, count, is_sparse=place == 1, is_masked=True)
        hdf5(f"{folder}/holes{place}.nc", start, count, is_sparse=place == 1)
        zarr2(f"{folder}/stores{place}.zarr", start, count)


KINDS = {
    "deflate": 3, "checksum": 3, "big": 3, "plain": 3, "classic": 3, "fixed": 3, "shifted": 3,
    "mixed": 3, "packed": 3, "one": 1, "edges": 3, "sparse": 3, "holes": 3, "absent": 3, "stores": 3,
}


def references(path):
    if path.endswith(".json"):
        files = fsspec.filesystem("reference", fo=path, remote_protocol="file", asynchronous=True)
    else:
        rows = LazyReferenceMapper(path, fs=fsspec.filesystem("file"), engine="pyarrow")
        files = fsspec.filesystem("reference", fo=rows, remote_protocol="file", asynchronous=True)
    return xr.open_zarr(FsspecStore(files, read_only=True, path=""), decode_times=False)


def check(folder):
    for kind, count in KINDS.items():
        if kind == "stores":
            names = [f"{folder}/{kind}{place}.zarr" for place in range(count)]
            files = [xr.open_zarr(name, decode_times=False) for name in names]
        else:
            names = [f"{folder}/{kind}{place}.nc" for place in range(count)]
            files = [xr.open_dataset(name, decode_times=False) for name in names]
        want = xr.concat(files, "time", data_vars="minimal").load()
        for form in ["json", "parquet"]:
            got = references(f"{folder}/{kind}.{form}").load()
            try:
                xr.testing.assert_equal(got, want)
                for name in want.variables:
                    assert got[name].dtype == want[name].dtype, (name, got[name].dtype)
            except AssertionError as error:
                raise AssertionError(f"{kind}.{form}") from error


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](sys.argv[2])
