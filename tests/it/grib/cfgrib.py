"""Compares stores with what cfgrib and xarray make of the files: FILE STORE FILE STORE ..."""

import sys

import numpy as np
import xarray

COORDINATES = {
    "latitude", "longitude", "number", "time", "step", "valid_time", "isobaricInhPa", "hybrid",
    "surface", "heightAboveGround",
}


def equal(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.dtype.kind == "f" and theirs.dtype == np.float64:
        return ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=0, atol=1e-6)
    if theirs.dtype.kind in "mM":
        return np.array_equal(ours.astype(theirs.dtype), theirs)
    return np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f")


def compare(path, store):
    theirs = xarray.open_dataset(path, engine="cfgrib", backend_kwargs={"indexpath": ""})
    ours = xarray.open_zarr(store, consolidated=False, decode_timedelta=True)
    compared = 0
    for name, variable in theirs.variables.items():
        if name not in theirs.data_vars and name not in COORDINATES:
            continue
        own = ours[name].squeeze()
        own = own.transpose(*[d for d in variable.dims if d in own.dims])
        if not equal(own.values, variable.squeeze().values):
            sys.exit(f"{path}: {name} differs:\n{own}\n{variable}")
        if name in theirs.data_vars:
            for key in ("units", "long_name"):
                if ours[name].attrs.get(key) != variable.attrs.get(key):
                    sys.exit(f"{path}: {name}: {key} is {ours[name].attrs.get(key)}")
        compared += 1
    print(f"{path}: {compared} variables equal")


for path, store in zip(sys.argv[1::2], sys.argv[2::2]):
    compare(path, store)
