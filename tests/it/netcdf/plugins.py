"""Makes an HDF5 file at the first argument with a dataset for each filter of plugins; prints what is in it."""

import json
import sys
import zlib

import h5py
import hdf5plugin
import numpy as np

rng = np.random.default_rng(7)
BLOSC = [("blosclz", 1), ("lz4", 2), ("lz4hc", 1), ("snappy", 0), ("zlib", 2), ("zstd", 1)]
filters = {
    "bzip2": hdf5plugin.BZip2(blocksize=3),
    "lzf": {"compression": "lzf"},
    "lz4": hdf5plugin.LZ4(),
    "zstd": hdf5plugin.Zstd(clevel=5),
    "bits": hdf5plugin.Bitshuffle(cname="none"),
    "bits_lz4": hdf5plugin.Bitshuffle(cname="lz4"),
    "bits_lz4_short": hdf5plugin.Bitshuffle(nelems=64, cname="lz4"),
    "bits_zstd": hdf5plugin.Bitshuffle(cname="zstd", clevel=3),
    **{f"blosc_{name}_{shuffle}": hdf5plugin.Blosc(name, 5, shuffle) for name, shuffle in BLOSC},
}


def some(kind, shape):
    smooth = np.cumsum(rng.integers(-3, 4, int(np.prod(shape)))).reshape(shape)
    return smooth.astype(kind)


told = {}
with h5py.File(sys.argv[1], "w") as file:
    for name, options in filters.items():
        for kind in ["u1", "<i2", ">f4", "<f8"]:
            # The chunks at the end are not whole, and no chunk is a multiple of eight elements.
            for shape, chunks in [((3, 1003), (2, 501)), ((5,), (3,)), ((90_001,), (40_001,))]:
                dataset = f"{name}_{kind.strip('<>')}_{len(told)}"
                values = some(kind, shape)
                file.create_dataset(dataset, data=values, chunks=chunks, **options)
                told[dataset] = zlib.crc32(values.astype(values.dtype.newbyteorder("<")).tobytes())
print(json.dumps(told))
