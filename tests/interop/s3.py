"""Whether a bake between buckets writes what a bake between folders writes.

usage: s3.py LEVAIN ENDPOINT WORK

Makes NetCDF files, bakes them from folder to folder and from bucket to bucket with the command
LEVAIN, and compares the two stores byte by byte; verifies and rechunks the one in the bucket; damages
it, which must be found. Exits with 1 if anything is wrong.
"""
import os
import subprocess
import sys

import boto3
import numpy as np
import xarray as xr

BUCKET = "levain-test"


def make_files(folder):
    """Three months of days on a small grid."""
    os.makedirs(folder)
    for month in range(3):
        days = np.arange(30 * month, 30 * (month + 1))
        values = np.random.default_rng(month).normal(280, 10, (30, 40, 50)).astype("float32")
        dataset = xr.Dataset(
            {"t2m": (("time", "lat", "lon"), values, {"units": "K"})},
            {"time": ("time", days, {"units": "days since 2001-01-01", "calendar": "standard"}),
             "lat": np.linspace(-60, 60, 40), "lon": np.arange(50.0)},
        )
        dataset.to_netcdf(os.path.join(folder, f"{month}.nc"), encoding={"t2m": {"zlib": True}})


def objects_of_folder(folder):
    paths = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]
    return {os.path.relpath(path, folder): open(path, "rb").read() for path in paths}


class Bucket:
    def __init__(self, endpoint):
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        client = boto3.resource("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
        self.bucket = client.Bucket(BUCKET)

    def objects(self, prefix):
        found = self.bucket.objects.filter(Prefix=prefix + "/")
        return {item.key[len(prefix) + 1:]: item.get()["Body"].read() for item in found}

    def put(self, key, content):
        self.bucket.put_object(Key=key, Body=content)

    def clear(self, prefix):
        self.bucket.objects.filter(Prefix=prefix).delete()


def main():
    levain, endpoint, work = sys.argv[1:]
    settings = {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    def run(*args, status=0):
        command = [levain, *args]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | settings)
        if done.returncode != status:
            sys.exit(f"WRONG: {' '.join(args)}: exit {done.returncode}: {done.stderr}")
        print(f"right: levain {' '.join(args)}: exit {status}", flush=True)
        return done

    bucket = Bucket(endpoint)
    bucket.clear("interop/")
    files = os.path.join(work, "files")
    make_files(files)
    for name, content in objects_of_folder(files).items():
        bucket.put(f"interop/files/{name}", content)
    root = f"s3://{BUCKET}/interop"
    for version in ("3", "2"):
        args = ["--chunks", "time=16,lat=40,lon=25", "--zarr-format", version, "--progress", "none"]
        store = f"v{version}.zarr"
        run("bake", f"{files}/*.nc", os.path.join(work, store), *args)
        run("bake", f"{root}/files/*.nc", f"{root}/{store}", *args)
        here = objects_of_folder(os.path.join(work, store))
        there = bucket.objects(f"interop/{store}")
        if here != there:
            differ = sorted(key for key in here.keys() | there.keys() if here.get(key) != there.get(key))
            sys.exit(f"WRONG: the stores of version {version} differ in {differ[:5]}")
        print(f"right: {len(here)} objects of version {version} are equal", flush=True)
        run("verify", f"{root}/{store}")
        run("bake", f"{root}/files/*.nc", f"{root}/{store}", *args, status=4)
        run("rechunk", f"{root}/{store}", f"{root}/place-{store}", "--chunks", "time=-1,lat=8,lon=8")
        chunk = next(key for key in sorted(there) if key.startswith("t2m/") and not key.endswith("json")
                     and not key.split("/")[-1].startswith("."))
        bucket.put(f"interop/{store}/{chunk}", there[chunk][:-7])
        run("verify", f"{root}/{store}", status=7)
    refused = run("bake", f"{root}/files/*.nc", "s3://levain-no-such-bucket/a.zarr", status=6)
    if "check the name of the bucket" not in refused.stderr:
        sys.exit(f"WRONG: nothing says how to mend a bucket that is not there: {refused.stderr}")
    copy = os.path.join(work, "place.zarr")
    for key, content in bucket.objects("interop/place-v3.zarr").items():
        os.makedirs(os.path.dirname(os.path.join(copy, key)), exist_ok=True)
        open(os.path.join(copy, key), "wb").write(content)
    baked = xr.open_zarr(copy, chunks=None)
    sources = xr.concat([xr.open_dataset(f"{files}/{month}.nc") for month in range(3)], "time")
    xr.testing.assert_equal(baked, sources)
    print("right: what was rechunked in the bucket is what xarray makes of the files")


main()
