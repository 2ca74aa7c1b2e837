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


def expected(datasets, name, concat, static, places=None):
    """The values of one variable: joined along `concat`, else those of the first file.

    With `places`, these elements along `concat` in this order.
    """
    parts = [dataset[name] for dataset in datasets]
    if concat and concat in parts[0].dims:
        axis = parts[0].dims.index(concat)
        # Dimensions that a file has in another order are those of the first.
        parts = [part.transpose(*parts[0].dims) for part in parts]
        values = np.concatenate([part.values for part in parts], axis=axis)
        return values if places is None else np.take(values, places, axis=axis)
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

    def right_case(self, name, sources, *args, concat=None, static="identical", skip=(), keep=None):
        """The store must hold, in every variable but those in `skip`, what xarray makes of it.

        With `keep`, of elements that stand twice along `concat` the first or the last.
        """
        store, done = self.run(name, sources, *args)
        if done.returncode != 0:
            return self.fail(name, f"exit {done.returncode}: {done.stderr.strip()}")
        datasets, baked = open_both(sources, store)
        names = set(datasets[0].variables) - set(skip)
        if names != set(baked.variables):
            return self.fail(name, f"variables differ: {sorted(names ^ set(baked.variables))}")
        places = places_of(datasets, concat, keep) if keep else None
        for variable in sorted(names):
            want = expected(datasets, variable, concat, static, places)
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


def places_of(datasets, concat, keep):
    """In order of `concat`, of equal values the first or the last."""
    values = np.concatenate([dataset[concat].values for dataset in datasets])
    places = {}
    for place, value in enumerate(values):
        if keep == "last" or value not in places:
            places[value] = place
    return [places[value] for value in sorted(places)]


def packed_files(folder):
    """Files as archives have them after years: other packings, types, fills, units and orders."""
    os.makedirs(folder)
    kinds = [
        (dict(dtype="i2", scale_factor=0.01, add_offset=273.15, _FillValue=-32768), "hours since 2000-01-01"),
        (dict(dtype="i2", scale_factor=0.02, add_offset=250.0, _FillValue=-1), "hours since 2000-01-02"),
        (dict(dtype="f4", _FillValue=-9999.0), "days since 2000-01-03"),
        (dict(dtype="f8"), "seconds since 2000-01-04"),
    ]
    rng = np.random.default_rng(7)
    paths = []
    for day, (encoding, units) in enumerate(kinds):
        values = 280 + rng.normal(size=(4, 3, 5)).round(2)
        values[day % 4, 1, 2] = np.nan if "_FillValue" in encoding else 1.5
        time = np.datetime64("2000-01-01") + np.arange(4) * np.timedelta64(6, "h") + np.timedelta64(day, "D")
        dims = ("time", "y", "x") if day != 2 else ("time", "x", "y")
        data = values if day != 2 else values.transpose(0, 2, 1)
        dataset = xr.Dataset(
            {"t": (dims, data), "count": ("time", np.arange(4, dtype=f"i{2 ** (1 + day % 3)}"))},
            {"time": time.astype("datetime64[ns]"), "y": np.arange(3.0), "x": np.arange(5.0)},
        )
        path = os.path.join(folder, f"{day}.nc")
        dataset.to_netcdf(path, encoding={
            "t": encoding, "time": {"units": units, "dtype": "f8", "_FillValue": None},
            "count": {"dtype": dataset["count"].dtype, "_FillValue": None}})
        paths.append(path)
    return paths


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
    for keep in ("first", "last"):
        for order, sources in (("", hadgem), ("-backwards", hadgem[::-1])):
            args = ("--overlap", f"keep-{keep}")
            suite.right_case(f"hadgem-{keep}{order}", sources, *args, concat="time", keep=keep)
    suite.right_case("hadgem-sorted", hadgem[3::-1], "--overlap", "sort", concat="time", keep="first")
    packed = packed_files(os.path.join(work, "packed"))
    suite.right_case("packed", packed, concat="time")
    suite.right_case("packed-backwards", packed[::-1], "--overlap", "sort", concat="time", keep="first")
    suite.refused_case("packed-error", packed, "E207", "scale_factor", args=("--packing", "error"))
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


if __name__ == "__main__":
    main()
