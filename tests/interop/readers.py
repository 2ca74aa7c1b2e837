"""Whether readers that Levain knows nothing of read what it wrote: tensorstore, and GDAL's commands.

usage: readers.py LEVAIN WORK

Bakes files that it makes up with the command LEVAIN into stores below the folder WORK, of Zarr 2 and 3,
in shards or not, with several codecs, and compares every element of every variable. Readers that are
not there are skipped with a line, unless LEVAIN_READERS_REQUIRED is set. Exits with 1 if anything is
wrong.
"""
import json
import os
import shutil
import subprocess
import sys

import netCDF4
import numpy as np

# Zarr version, further arguments, and whether GDAL 3.6 knows all of it.
LAYOUTS = {
    "v2": (2, [], True),
    "v2-zlib": (2, ["--codec", "zlib:5"], True),
    "v2-zstd": (2, ["--codec", "zstd:3"], True),
    "v2-none": (2, ["--codec", "none"], True),
    "v3": (3, [], False),
    "v3-gzip": (3, ["--codec", "gzip:5"], False),
    "v3-zstd": (3, ["--codec", "zstd:3"], False),
    "v3-none": (3, ["--codec", "none"], False),
    "v3-shards": (3, ["--shards", "time=8,lat=6,lon=10"], False),
    "v3-shards-zstd": (3, ["--codec", "zstd:3", "--shards", "time=4,lat=3,lon=5"], False),
}
# Chunks that the arrays are no multiple of.
CHUNKS = "time=4,lat=3,lon=5"


def arrays():
    """Variables by name: dimensions, elements as they are stored, attributes."""
    rng = np.random.default_rng(11)
    shape = (10, 7, 9)
    floats = rng.normal(size=shape).astype("f4")
    floats[3, 2, :4] = np.nan
    return {
        "time": (("time",), np.arange(10, dtype="i8"), {"units": "hours since 2000-01-01"}),
        "lat": (("lat",), np.linspace(-60, 60, 7), {"units": "degrees_north"}),
        "lon": (("lon",), np.linspace(0, 320, 9), {"units": "degrees_east"}),
        "t": (("time", "lat", "lon"), floats, {"_FillValue": np.float32("nan")}),
        "packed": (("time", "lat", "lon"), rng.integers(-3000, 3000, shape).astype("i2"),
                   {"scale_factor": 0.01, "add_offset": 273.15, "_FillValue": np.int16(-32768)}),
        "flags": (("time", "lat", "lon"), rng.integers(0, 200, shape).astype("u1"), {}),
        "count": (("time",), rng.integers(-2**31, 2**31 - 1, 10).astype("i4"), {}),
        "exact": (("time", "lon"), rng.normal(size=(10, 9)), {}),
        "height": ((), np.float64(2.0), {}),
    }


def source(path, variables):
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("time", None)
        for name, length in (("lat", 7), ("lon", 9)):
            file.createDimension(name, length)
        for name, (dims, values, attributes) in variables.items():
            attributes = dict(attributes)
            fill = attributes.pop("_FillValue", None)
            made = file.createVariable(name, values.dtype, dims, fill_value=fill)
            made.set_auto_maskandscale(False)
            made.setncatts(attributes)
            made[...] = values


def by_tensorstore(store, version, name, _):
    import tensorstore

    spec = {"driver": "zarr3" if version == 3 else "zarr",
            "kvstore": {"driver": "file", "path": os.path.join(store, name)}}
    return tensorstore.open(spec, read=True).result().read().result()


def by_gdal(store, _, name, values):
    """All elements, as GDAL's multidimensional command prints them."""
    command = ["gdalmdiminfo", "-detailed", "-array", name, store]
    printed = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(printed.stdout)["values"]
    return np.array(found, dtype=values.dtype)


def by_gdal_raster(store, _, name, values):
    """The last step of a field, as GDAL's commands for rasters translate it."""
    raster = f'ZARR:"{store}":/{name}:{values.shape[0] - 1}'
    for command in (["gdalinfo", raster], ["gdal_translate", "-q", "-of", "ENVI", raster, store + ".raw"]):
        subprocess.run(command, capture_output=True, text=True, check=True)
    return np.fromfile(store + ".raw", values.dtype).reshape(values.shape[1:])


def readers():
    """The readers that are there; a line for each that is not."""
    found = []
    try:
        import tensorstore  # noqa: F401
        found.append(("tensorstore", by_tensorstore))
    except ImportError:
        skip("tensorstore", "pip install tensorstore")
    if shutil.which("gdalmdiminfo") and shutil.which("gdal_translate"):
        found += [("gdal", by_gdal), ("gdal raster", by_gdal_raster)]
    else:
        skip("GDAL", "apt-get install gdal-bin")
    return found


def skip(reader, mend):
    print(f"skipped: {reader} is not there ({mend})")
    if os.environ.get("LEVAIN_READERS_REQUIRED"):
        sys.exit(f"{reader} is required")


def wants(reader, gdal_knows, values):
    """Whether a reader can be asked for these values: GDAL 3.6 has no Zarr 3, a raster is a field."""
    if reader == "tensorstore":
        return True
    return gdal_knows and values.ndim > 0 and (reader == "gdal" or values.ndim == 3)


def main():
    levain, work = sys.argv[1:]
    variables = arrays()
    path = os.path.join(work, "source.nc")
    source(path, variables)
    right, wrong = 0, []
    known = readers()
    for layout, (version, arguments, gdal_knows) in LAYOUTS.items():
        store = os.path.join(work, layout + ".zarr")
        command = [levain, "bake", path, store, "--progress", "none", "--chunks", CHUNKS,
                   "--zarr-format", str(version), *arguments]
        subprocess.run(command, check=True, capture_output=True)
        for reader, read in known:
            count = 0
            for name, (_, values, _) in variables.items():
                if not wants(reader, gdal_knows, values):
                    continue
                want = values[-1] if reader == "gdal raster" else values
                try:
                    got = np.asarray(read(store, version, name, values))
                    is_same = got.dtype == want.dtype and got.shape == want.shape
                    is_same = is_same and np.array_equal(got, want, equal_nan=want.dtype.kind == "f")
                    why = "" if is_same else f"{got.dtype}{list(got.shape)} {got.ravel()[:4]}"
                except Exception as error:
                    why = f"{error} {getattr(error, 'stderr', '')}".strip()
                if why:
                    wrong.append(f"{layout} {reader} {name}")
                    print(f"WRONG   {layout}: {reader}: {name}: {why}")
                count += not why
            right += count
            if count:
                print(f"right   {layout}: {reader}: {count} variables")
    print(f"{right} variables right, {len(wrong)} wrong")
    sys.exit(bool(wrong) or not right and bool(known))


main()
