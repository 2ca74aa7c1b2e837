"""Stores that xarray writes regions of, and files of the same values: `make DIR`, `check DIR`.

`KIND.zarr` is the store before, `KIND.nc` what is written into it, `KIND-want.zarr` what xarray has
made of both; `check` compares the first, written by another, with the last.
"""

import shutil
import sys
import warnings

import numpy as np
import xarray as xr

warnings.simplefilter("ignore")
random = np.random.default_rng(4)
DAYS = {"units": "days since 2000-01-01", "calendar": "standard", "dtype": "i8"}


def dataset(start, stop, scale=None):
    time = np.datetime64("2000-01-01", "ns") + np.arange(start, stop) * np.timedelta64(1, "D")
    shape = (stop - start, 4, 6)
    values = random.normal(size=shape).round(2).astype("f4")
    bounds = np.stack([time, time + np.timedelta64(1, "D")], 1)
    made = xr.Dataset(
        {"t": (("time", "lat", "lon"), values), "time_bnds": (("time", "nv"), bounds)},
        {"time": time, "lat": np.arange(4.0), "lon": np.arange(6.0)},
    )
    made.time.encoding = dict(DAYS)
    made.time_bnds.encoding = dict(DAYS)
    made.t.encoding = {"_FillValue": np.float32(-9999)}
    if scale:
        made.t.encoding = {"dtype": "i2", "scale_factor": scale, "add_offset": 1.0, "_FillValue": -32768}
    return made


KINDS = {
    "even": dict(zarr_format=2, chunks=(4, 4, 6), region=(8, 16), store_order=1),
    "odd": dict(zarr_format=2, chunks=(4, 2, 3), region=(6, 15), store_order=1),
    "third": dict(zarr_format=3, chunks=(5, 4, 6), region=(3, 21), store_order=1),
    "packed": dict(zarr_format=2, chunks=(4, 4, 6), region=(6, 9), store_order=1, scale=0.01),
    "hours": dict(zarr_format=3, chunks=(4, 4, 6), region=(0, 6), store_order=1, hours=True),
    "sharded": dict(zarr_format=3, chunks=(2, 4, 6), shards=(6, 4, 6), region=(5, 13), store_order=1),
    "down": dict(zarr_format=2, chunks=(4, 4, 6), region=(6, 15), store_order=-1),
}


def make(folder):
    for kind, how in KINDS.items():
        scale, order = how.get("scale"), slice(None, None, how["store_order"])
        store = dataset(0, 22, scale).isel(time=order)
        store.t.encoding["chunks"] = how["chunks"]
        if "shards" in how:
            store.t.encoding["shards"] = how["shards"]
        path = f"{folder}/{kind}.zarr"
        store.to_zarr(path, zarr_format=how["zarr_format"], consolidated=True)
        start, stop = how["region"]
        new = dataset(0, 22, scale).isel(time=order).isel(time=slice(start, stop))
        file = new.copy()
        if how.get("hours"):
            for name in ["time", "time_bnds"]:
                file[name].encoding = dict(DAYS, units="hours since 1999-12-31", dtype="i4")
        file.to_netcdf(f"{folder}/{kind}.nc", unlimited_dims=["time"])
        shutil.copytree(path, f"{folder}/{kind}-want.zarr")
        target = new.drop_vars(["lat", "lon"])
        for name in target.variables:
            target[name].encoding = {}
        target.to_zarr(f"{folder}/{kind}-want.zarr", region={"time": slice(start, stop)}, safe_chunks=False)


def check(folder):
    for kind in KINDS:
        want = xr.open_zarr(f"{folder}/{kind}-want.zarr", mask_and_scale=False, decode_times=False)
        got = xr.open_zarr(f"{folder}/{kind}.zarr", mask_and_scale=False, decode_times=False)
        try:
            xr.testing.assert_identical(got.load(), want.load())
        except AssertionError as error:
            raise AssertionError(kind) from error


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](sys.argv[2])
