"""Reads stores with xarray, and writes arrays with zarr-python.

read STORE OUT    writes every variable of STORE, undecoded, to OUT/<name>.bin, and prints as JSON
                  what xarray made of it, with the warnings that it gave
write OUT         writes arrays of many kinds to OUT/<name>.zarr and their elements to OUT/<name>.bin
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import xarray as xr
import zarr


def raw(values):
    """Elements as bytes: little endian, C order; texts after their length."""
    values = np.asarray(values)
    if values.dtype.kind in "OTU":
        texts = [str(text).encode() for text in values.ravel()]
        return b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    return values.astype(values.dtype.newbyteorder("<")).tobytes()


def read(store, out):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = xr.open_zarr(store, decode_cf=False, chunks=None)
        decoded = xr.open_zarr(store, chunks=None)
        for name, variable in dataset.variables.items():
            (out / f"{name}.bin").write_bytes(raw(variable.values))
            decoded[name].load()
    told = {"warnings": [f"{w.category.__name__}: {w.message}" for w in caught], "variables": {}}
    for name, variable in dataset.variables.items():
        told["variables"][name] = {
            "dims": list(variable.dims),
            "dtype": str(variable.dtype),
            "attrs": sorted(variable.attrs),
            "masked": int(np.sum(decoded[name].isnull().values)),
        }
    print(json.dumps(told))


def write(out):
    shape, chunks = (5, 7), (2, 3)
    numbers = np.arange(35).reshape(shape)
    arrays = {}

    def add(name, values, **options):
        arrays[name] = (np.asarray(values), options)

    v2 = {"zarr_format": 2, "chunks": chunks}
    v3 = {"zarr_format": 3, "chunks": chunks}
    for dtype in "b1 i1 u2 i4 u8 f2 f4 f8 c8 c16 S3".split():
        add(f"v2-{dtype}", numbers.astype(dtype), **v2)
        add(f"v3-{dtype}", numbers.astype(dtype), **v3)
    for dtype in ">i2 >f8 >c8".split():
        add(f"v2-{dtype[1:]}-big", numbers.astype(dtype), **v2)
    texts = np.array([f"ü{n}" * (n % 3) for n in range(35)]).reshape(shape)
    add("v2-text", texts.astype(object), dtype=str, **v2)
    add("v3-text", texts.astype(object), dtype=str, **v3)
    add("v2-U4", texts.astype("U8"), **v2)
    add("v3-U4", texts.astype(">U8"), **v3)
    add("v2-date", numbers.astype("M8[ns]"), **v2)
    add("v3-span", numbers.astype("m8[s]"), **v3)
    add("v2-fortran", numbers.astype("f4"), order="F", **v2)
    add("v2-slash", numbers, chunk_key_encoding={"name": "v2", "separator": "/"}, **v2)
    add("v3-keys", numbers, chunk_key_encoding={"name": "v2", "separator": "."}, **v3)
    import numcodecs
    from zarr import codecs

    for codec in [
        numcodecs.Blosc("lz4", 5, 2),
        numcodecs.Blosc("zstd", 1, -1),
        numcodecs.Zstd(1),
        numcodecs.Zstd(1, checksum=True),
        numcodecs.GZip(1),
        numcodecs.Zlib(1),
        numcodecs.LZ4(),
    ]:
        name = f"v2-{codec.codec_id}-{len(arrays)}"
        add(name, numbers, compressors=codec, **v2)
    filters = [numcodecs.Shuffle(4), numcodecs.Zlib(1), numcodecs.Fletcher32()]
    add("v2-filters", numbers.astype("f4"), filters=filters, compressors=None, **v2)
    # Chunks of an odd number of bytes.
    odd = {"filters": [numcodecs.Fletcher32()], "compressors": None, "zarr_format": 2, "chunks": (1, 7)}
    add("v2-odd", numbers.astype("u1"), **odd)
    add("v3-none", numbers, compressors=None, **v3)
    add("v3-blosc", numbers, compressors=codecs.BloscCodec(), **v3)
    add("v3-gzip", numbers, compressors=codecs.GzipCodec(), **v3)
    add("v3-crc", numbers, compressors=[codecs.ZstdCodec(level=3), codecs.Crc32cCodec()], **v3)
    add("v3-transpose", numbers, filters=codecs.TransposeCodec(order=(1, 0)), **v3)
    add("v3-big", numbers, serializer=codecs.BytesCodec(endian="big"), **v3)
    add("v3-shards", numbers, shards=(4, 6), **v3)
    add("v3-shards-text", texts.astype(object), dtype=str, shards=(4, 6), **v3)
    add("v3-shards-blosc", numbers.astype("f4"), shards=(4, 6), compressors=codecs.BloscCodec(), **v3)
    first = codecs.ShardingCodec(chunk_shape=chunks, index_location="start")
    add("v3-shards-first", numbers, zarr_format=3, chunks=(4, 6), serializer=first, compressors=None)
    add_rare(add, numbers, texts, v2, v3)
    for name, (values, options) in arrays.items():
        dtype = options.pop("dtype", values.dtype)
        array = zarr.create_array(str(out / f"{name}.zarr"), shape=shape, dtype=dtype, **options)
        array[...] = values
        if name.startswith("lossy"):
            values = array[...]
        (out / f"{name}.bin").write_bytes(raw(values.view(values.dtype.str[0] + "i8") if values.dtype.kind in "mM" else values))


def add_rare(add, numbers, texts, v2, v3):
    """Adds arrays with what few writers use."""
    import numcodecs
    from zarr.codecs import BytesCodec
    from zarr.codecs import numcodecs as named

    add("v2-U4-null", texts.astype("U8"), fill_value=None, **v2)
    add("v2-span", numbers.astype("m8[s]"), **v2)
    add("v2-date-big", numbers.astype(">M8[D]"), **v2)
    add("v3-date", numbers.astype("M8[ms]"), **v3)
    add("v3-raw", numbers.astype("i4").view("V4"), **v3)
    add("v2-raw", numbers.astype("i4").view("V4"), **v2)
    floats = (numbers % 7 * 0.5).astype("f4")
    for codec in [numcodecs.LZMA(), numcodecs.LZMA(format=2), numcodecs.BZ2(), numcodecs.BZ2(9)]:
        add(f"v2-{codec.codec_id}-{codec!r}", floats, compressors=codec, **v2)
    for at in ["start", "end"]:
        checks = [numcodecs.CRC32(at), numcodecs.Adler32(at), numcodecs.CRC32C(at)]
        add(f"v2-checks-{at}", floats, filters=checks, compressors=None, **v2)
    filters = {
        "delta": numcodecs.Delta("i8"),
        "delta-small": numcodecs.Delta("i8", "i1"),
        "astype": numcodecs.AsType("i2", "i8"),
    }
    for name, codec in filters.items():
        add(f"v2-{name}", numbers, filters=[codec], **v2)
        add(f"v2-{name}-fortran", numbers, filters=[codec], order="F", **v2)
    add("v2-delta-float", floats, filters=[numcodecs.Delta("f4")], **v2)
    add("v2-delta-big", numbers.astype(">i4"), filters=[numcodecs.Delta(">i4", ">i2")], **v2)
    wave = (np.sin(numbers) * 300 + 280).astype("f8")
    lossy = {
        "scale": numcodecs.FixedScaleOffset(280, 10, "f8", "i2"),
        "scale-plain": numcodecs.FixedScaleOffset(280.5, 10.5, "f8"),
        "quantize": numcodecs.Quantize(2, "f8"),
        "quantize-f4": numcodecs.Quantize(2, "f8", "f4"),
        "bitround": numcodecs.BitRound(9),
    }
    for name, codec in lossy.items():
        add(f"lossy-v2-{name}", wave, filters=[codec], **v2)
    add("lossy-v2-scale-f4", wave.astype("f4"), filters=[numcodecs.FixedScaleOffset(0.1, 3.3, "f4", "u2")], **v2)
    v3_filters = [
        named.Delta(dtype="<i8"),
        named.Delta(dtype="<i8", astype="<i2"),
        named.AsType(encode_dtype="<i2", decode_dtype="<i8"),
    ]
    for n, codec in enumerate(v3_filters):
        add(f"v3-filter-{n}", numbers, filters=[codec], **v3)
        add(f"v3-filter-{n}-big", numbers, filters=[codec], serializer=BytesCodec(endian="big"), **v3)
    add("v3-filter-shards", numbers, filters=[v3_filters[1]], shards=(4, 6), **v3)
    v3_lossy = [
        named.FixedScaleOffset(offset=280, scale=10, dtype="<f8", astype="<i2"),
        named.FixedScaleOffset(offset=280.5, scale=10.5),
        named.Quantize(digits=2, dtype="<f8"),
        named.BitRound(keepbits=9),
    ]
    for n, codec in enumerate(v3_lossy):
        add(f"lossy-v3-{n}", wave, filters=[codec], **v3)
    for n, codec in enumerate(
        [
            named.Blosc(cname="lz4", clevel=5, shuffle=1),
            named.LZ4(),
            named.Zstd(level=1),
            named.Zlib(level=1),
            named.GZip(level=1),
            named.BZ2(),
            named.LZMA(),
            named.Shuffle(elementsize=4),
            named.Fletcher32(),
            named.CRC32(),
            named.CRC32C(),
            named.Adler32(),
        ]
    ):
        add(f"v3-named-{n}", floats, compressors=[codec], **v3)
    odd = {"zarr_format": 3, "chunks": (1, 7)}
    add("v3-odd", numbers.astype("u1"), compressors=[named.Fletcher32()], **odd)


if __name__ == "__main__":
    warnings.filterwarnings("ignore") if sys.argv[1] == "write" else None
    if sys.argv[1] == "read":
        read(sys.argv[2], pathlib.Path(sys.argv[3]))
    else:
        write(pathlib.Path(sys.argv[2]))
