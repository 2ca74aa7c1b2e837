"""Says what the C library reads from each file named on standard input, one line of JSON a file."""

import json
import sys
import warnings
import zlib

import netCDF4
import numpy as np

warnings.simplefilter("ignore")


def attribute(value):
    if isinstance(value, bytes):
        value = value.decode("latin-1").replace("\x00", "")
    if isinstance(value, str):
        return {"text": value}
    if isinstance(value, list):
        return {"texts": value}
    value = np.atleast_1d(value)
    little = value.astype(value.dtype.newbyteorder("<"))
    return {"numbers": value.dtype.name, "hex": little.tobytes().hex()}


def attributes(owner):
    found = []
    for name in owner.ncattrs():
        try:
            found.append([name, attribute(owner.getncattr(name))])
        except Exception as error:
            found.append([name, {"error": str(error)}])
    return found


def values(variable):
    data = np.asarray(variable[...])
    if data.dtype == object or data.dtype.kind == "U":
        texts = [str(text).encode() + b"\0" for text in data.ravel()]
        return zlib.crc32(b"".join(texts))
    return zlib.crc32(np.ascontiguousarray(data.astype(data.dtype.newbyteorder("<"))).tobytes())


def variable(v):
    told = {"name": v.name, "dimensions": list(v.dimensions), "shape": list(v.shape)}
    told["attributes"] = attributes(v)
    if isinstance(v.datatype, netCDF4.CompoundType):
        return told | {"type": "compound"}
    if isinstance(v.datatype, netCDF4.VLType) and v.dtype is not str:
        return told | {"type": "vlen"}
    told["type"] = "string" if v.dtype is str else np.dtype(v.dtype).name
    told["type"] = "char" if told["type"] == "bytes8" else told["type"]
    try:
        told["crc32"] = values(v)
    except Exception as error:
        told["error"] = str(error)
    return told


def file(path):
    try:
        dataset = netCDF4.Dataset(path)
    except Exception as error:
        return {"refused": str(error)}
    dataset.set_auto_maskandscale(False)
    dataset.set_always_mask(False)
    dataset.set_auto_chartostring(False)
    return {
        "dimensions": [[d.name, d.size, d.isunlimited()] for d in dataset.dimensions.values()],
        "variables": [variable(v) for v in dataset.variables.values()],
        "attributes": attributes(dataset),
        "groups": list(dataset.groups),
    }


for line in sys.stdin:
    print(json.dumps(file(line.rstrip("\n"))), flush=True)
