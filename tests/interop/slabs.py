"""Slabs of time that become pencils: the workload W1, as SHARED makes it, and how zarr-python reads it."""

import os
import sys

import numpy as np
import zarr

from beam_jobs import levain

# Between `tiny`, which one task copies, and `small`: so much more than the memory that chunks go through a shuffle.
SCALED = {"shape": (960, 91, 180), "src": (24, 91, 180), "tgt": (960, 24, 24)}
MEMORY = {"scaled": "160MiB", "small": "256MiB"}


def workloads(shared):
    """The modules of SHARED that name and make workloads."""
    sys.path.insert(0, os.path.join(shared, "peers/rechunk"))
    import gen
    import workloads

    workloads.W["W1"]["scaled"] = SCALED | {"mem": None}
    return gen, workloads


def slab_job(command, shared, work, size):
    """W1 in this size: name, words, the store of the direct runner, layout."""
    gen, known = workloads(shared)
    folder = os.path.join(work, f"w1-{size}")
    gen.main("W1", size, folder)
    lengths = zip(known.DIMS[3], known.W["W1"][size]["tgt"])
    layout = ["--chunks", ",".join(f"{name}={length}" for name, length in lengths),
              "--mem", MEMORY.get(size, "512MiB"), "--threads", "2"]
    source, target = os.path.join(folder, "src"), os.path.join(work, f"w1-{size}.zarr")
    levain(command, "rechunk", source, target, *layout)
    return f"W1 {size}", ["rechunk", source], target, layout


def values_differ(source, got):
    """What zarr-python reads in a store that it does not read in its source, if anything."""
    want, got = (zarr.open_group(store, mode="r") for store in (source, got))
    names = sorted(name for name, _ in want.arrays())
    if not names or names != sorted(name for name, _ in got.arrays()):
        return f"other arrays than {names}"
    other = [name for name in names if not np.array_equal(want[name][...], got[name][...])]
    return f"other values: {other}" if other else None


def many_slabs(folder, names, shape, chunk_shape):
    """A store of such arrays, smooth fields of one day after the other."""
    group = zarr.open_group(folder, mode="w", zarr_format=2)
    y, x = np.mgrid[0:1:shape[1] * 1j, 0:1:shape[2] * 1j]
    days = np.arange(shape[0])[:, None, None]
    for place, name in enumerate(names):
        values = 280 + 15 * np.sin(9 * y + place) + 8 * np.sin(days / 24 + 4 * x)
        array = group.create_array(name, shape=shape, chunks=chunk_shape, dtype="f4",
                                   chunk_key_encoding={"name": "v2", "separator": "."})
        array.attrs["_ARRAY_DIMENSIONS"] = ["time", "lat", "lon"]
        array[...] = np.round(values, 2)
    zarr.consolidate_metadata(folder)
