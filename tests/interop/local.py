"""Whether a baked store holds what Python's xarray makes of the same files, one by one.

usage: local.py LEVAIN SHARED WORK

Bakes the NetCDF and Zarr files under SHARED/data with the command LEVAIN into stores below the folder
WORK, opens sources and stores with xarray, and compares every variable. Prints one line a case and
a summary; exits with 1 if anything is wrong.
"""
import glob
import json
import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import xarray as xr
from xarray.coders import CFDatetimeCoder

warnings.filterwarnings("ignore")
# pandas reads a trailing zone of `0:00` as a time of day; cftime reads it as a zone.
TIMES = CFDatetimeCoder(use_cftime=True)


def opened(path, decode_times=TIMES):
    """A source or store as users open it, but for the reader of times."""
    if path.endswith(".zarr"):
        return xr.open_dataset(path, engine="zarr", chunks=None, decode_times=decode_times)
    return xr.open_dataset(path, decode_times=decode_times)


def open_both(sources, store):
    """Sources and store; times undecoded where xarray cannot decode those of the sources."""
    try:
        return [opened(source) for source in sources], opened(store)
    except Exception:
        return [opened(source, False) for source in sources], opened(store, False)


def expected(datasets, name, concat, static):
    """The values of one variable: joined along `concat`, else those of the first file."""
    parts = [dataset[name] for dataset in datasets]
    if concat and concat in parts[0].dims:
        return np.concatenate([part.values for part in parts], axis=parts[0].dims.index(concat))
    if static == "concat" and any(not same(parts[0].values, part.values) for part in parts):
        lengths = [dataset.sizes[concat] for dataset in datasets]
        rows = [np.broadcast_to(p.values, (n, *p.shape)) for p, n in zip(parts, lengths)]
        return np.concatenate(rows)
    return parts[0].values


def same(a, b):
    """Equal shapes and equal values; missing equals missing."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        return False
    if a.dtype.kind in "SU" or b.dtype.kind in "SUT":
        return [text(x) for x in a.ravel()] == [text(x) for x in b.ravel()]
    if a.dtype.kind == "O" or b.dtype.kind == "O":
        return all(missing(x) and missing(y) or x == y for x, y in zip(a.ravel(), b.ravel()))
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind in "fcmM")


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def missing(value):
    return value is None or isinstance(value, float) and np.isnan(value)


class Suite:
    def __init__(self, levain, work):
        self.levain, self.work = levain, work
        self.right, self.refused, self.wrong = 0, 0, []

    def run(self, name, sources, *args):
        store = os.path.join(self.work, name.replace("/", "_") + ".zarr")
        for left in (store, store + ".levain"):
            shutil.rmtree(left, ignore_errors=True)
        command = [self.levain, "bake", *sources, store, "--progress", "none", *args]
        return store, subprocess.run(command, capture_output=True, text=True)

    def fail(self, name, why):
        self.wrong.append(name)
        print(f"WRONG   {name}: {why}", flush=True)

    def right_case(self, name, sources, *args, concat=None, static="identical", skip=()):
        """The store must hold, in every variable but those in `skip`, what xarray makes of it."""
        store, done = self.run(name, sources, *args)
        if done.returncode != 0:
            return self.fail(name, f"exit {done.returncode}: {done.stderr.strip()}")
        datasets, baked = open_both(sources, store)
        names = set(datasets[0].variables) - set(skip)
        if names != set(baked.variables):
            return self.fail(name, f"variables differ: {sorted(names ^ set(baked.variables))}")
        for variable in sorted(names):
            want = expected(datasets, variable, concat, static)
            got = baked[variable].values
            if not same(want, got):
                return self.fail(name, f"{variable} differs: {summary(want)} and {summary(got)}")
        self.right += 1
        print(f"right   {name}: {len(names)} variables, {len(sources)} files", flush=True)

    def refused_case(self, name, sources, code, *words, args=()):
        """The bake must be refused with this code, naming these words, and leave no store."""
        store, done = self.run(name, sources, *args)
        problems = [word for word in words if word not in done.stderr]
        if done.returncode == 0 or f"error[{code}]" not in done.stderr or problems:
            return self.fail(name, f"exit {done.returncode}, lacks {problems}: {done.stderr.strip()}")
        if os.path.exists(store):
            return self.fail(name, "something is left of the store")
        self.refused += 1
        print(f"refused {name}: {done.stderr.splitlines()[-5:][0]}", flush=True)


def summary(values):
    values = np.asarray(values)
    return f"{values.dtype}{list(values.shape)} {values.ravel()[:3]}"


def main():
    levain, shared, work = sys.argv[1:]
    data = os.path.join(shared, "data")
    files = lambda pattern: sorted(glob.glob(os.path.join(data, pattern)))
    suite = Suite(levain, work)
    met = files("arm-test-data/sgpmetE13.b1.2019010[1-7]*.cdf")
    suite.right_case("met", met, "--static", "first", concat="time")
    suite.right_case("met-concat", met, "--static", "concat", concat="time", static="concat")
    suite.refused_case("met-identical", met, "E210", "base_time")
    sonde = files("arm-test-data/twpsondewnpnC3.b1.200601*.cdf")
    suite.right_case("sonde", sonde, "--static", "first", concat="time")
    hadgem = files("xclim-testdata/cmip5/tas_Amon_HadGEM2-ES_*.nc")
    suite.right_case("hadgem", hadgem[:4], concat="time")
    suite.refused_case("hadgem-all", hadgem, "E209", "208012-209912", "209912-212411", "2099-12")
    alone = ["xarray-data/*.nc", "xarray-tutorial/*.nc", "ferret-datasets/*", "xclim-testdata/*/*.nc",
             "arm-test-data/*", "kerchunk-tests/*.nc"]
    for pattern in alone:
        for path in files(pattern):
            name = os.path.relpath(path, data)
            suite.right_case(name, [path])
            if not suite.wrong or suite.wrong[-1] != name:
                suite.right_case(name + ".v2", [path], "--zarr-format", "2")
    print(f"{suite.right} right, {suite.refused} refused as foreseen, {len(suite.wrong)} wrong")
    print(json.dumps({"wrong": suite.wrong}))
    sys.exit(bool(suite.wrong))


main()
