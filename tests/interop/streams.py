"""Whether shards that are larger than the memory come out as those that fit, and are read by others.

usage: streams.py LEVAIN WORK

Bakes a file that it makes up into one shard with the command LEVAIN, below the folder WORK, within less
memory than the shard needs when it is held; then rechunks single chunks into such a shard, decoded and encoded
anew and as they are. No more memory may be held than was given, every object must be the one that much memory
makes, and zarr-python and tensorstore must read every element. Exits with 1 if anything is wrong.
"""
import hashlib
import json
import os
import subprocess
import sys

import netCDF4
import numpy as np

SHAPE = (768, 128, 256)
LITTLE_MIB = 200
LITTLE, MUCH = f"{LITTLE_MIB}MiB", "4GiB"
WHOLE = ["--shards", "time=-1,lat=-1,lon=-1"]
# Name, source, arguments, the way that the plan must take.
COPIES = [
    ("baked", "source.nc", ["--chunks", "time=32,lat=32,lon=64"], "streamed"),
    ("turned", "hours.zarr", ["--chunks", "time=-1,lat=8,lon=8"], "streamed"),
    ("passed", "hours.zarr", ["--chunks", "time=1,lat=-1,lon=-1"], "passthrough"),
]


def levain(command, *arguments):
    ran = subprocess.run([command, *arguments, "--progress", "none"], capture_output=True, text=True)
    if ran.returncode:
        sys.exit(f"levain {' '.join(arguments)}: {ran.stdout}{ran.stderr}")
    return ran.stdout


# A process is counted with what the one held that has started it: this one is small.
PEAK = """
import resource, subprocess, sys
ran = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
sys.exit(ran.returncode)
"""


def peak_mib(command, *arguments):
    """Runs the command; the most memory that it has held at once."""
    words = [sys.executable, "-c", PEAK, command, *arguments, "--progress", "none"]
    ran = subprocess.run(words, stdout=subprocess.PIPE, text=True)
    if ran.returncode:
        sys.exit(f"levain {' '.join(arguments)}: exit {ran.returncode}")
    return float(ran.stdout)


def objects(store):
    """Every object of an array, by its key."""
    found = {}
    for folder, _, names in os.walk(os.path.join(store, "v")):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                found[name, os.path.relpath(folder, store)] = hashlib.sha256(file.read()).hexdigest()
    return found


def by_zarr(store):
    import zarr

    return zarr.open_group(store, mode="r")["v"][...]


def by_tensorstore(store):
    import tensorstore

    spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": os.path.join(store, "v")}}
    return tensorstore.open(spec, read=True).result().read().result()


def main():
    command, work = sys.argv[1:]
    values = np.random.default_rng(5).normal(size=SHAPE).astype("f4")
    values = np.round(values, 1)
    path = os.path.join(work, "source.nc")
    with netCDF4.Dataset(path, "w") as file:
        for name, length in zip(("time", "lat", "lon"), SHAPE):
            file.createDimension(name, length)
        file.createVariable("v", "f4", ("time", "lat", "lon"), chunksizes=(1, *SHAPE[1:]))[...] = values
    levain(command, "bake", path, os.path.join(work, "hours.zarr"), "--chunks", "time=1,lat=-1,lon=-1")
    wrong = []
    for name, source, arguments, way in COPIES:
        source = os.path.join(work, source)
        little, much = (os.path.join(work, f"{name}-{it}.zarr") for it in ("little", "much"))
        arguments = [*arguments, *WHOLE]
        plan = ["plan", "rechunk", source, little, *arguments, "--mem", LITTLE, "--output", "json"]
        variables = json.loads(levain(command, *plan))["plan"]["variables"]
        copy = next(it["copy"] for it in variables if it["name"] == "v")
        method = copy["method"] if isinstance(copy["method"], str) else next(iter(copy["method"]))
        if method != way or copy["costs"]["peak_bytes"] >= values.nbytes or "stream" not in str(copy) + method:
            wrong.append(f"{name}: {method}, peak {copy['costs']['peak_bytes']}")
        peak = peak_mib(command, "rechunk", source, little, *arguments, "--mem", LITTLE)
        if peak > LITTLE_MIB:
            wrong.append(f"{name}: {peak:.0f} MiB of {LITTLE} were held")
        print(f"{name}: at most {peak:.0f} MiB of {LITTLE}")
        levain(command, "rechunk", source, much, *arguments, "--mem", MUCH)
        if objects(little) != objects(much):
            wrong.append(f"{name}: other bytes than with much memory")
        for reader, read in (("zarr-python", by_zarr), ("tensorstore", by_tensorstore)):
            try:
                is_same = np.array_equal(read(little), values)
            except ImportError:
                print(f"skipped: {reader} is not there")
                continue
            if not is_same:
                wrong.append(f"{name}: {reader} reads other elements")
            print(f"{'right' if is_same else 'WRONG'}   {name}: {reader}")
    for line in wrong:
        print(f"WRONG   {line}")
    sys.exit(bool(wrong))


main()
