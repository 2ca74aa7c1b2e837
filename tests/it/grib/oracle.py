"""Says what ecCodes reads from each file named on standard input, one line of JSON a file.

Values are given as checksums of single and of double floats, in rows from the first latitude on,
each from the first longitude on, whatever the order of the file; missing ones are NaN.
"""

import json
import sys
import zlib

import eccodes
import numpy as np

MISSING = 1.7e308
TEXTS = ["cfVarName", "shortName", "units", "typeOfLevel", "stepType", "gridType", "packingType"]
NUMBERS = ["edition", "offset", "number"]
eccodes.codes_grib_multi_support_on()
EPOCH = np.datetime64("1970-01-01T00:00:00")

ON_PLANES = (
    "rotated_ll",
    "rotated_gg",
    "mercator",
    "lambert",
    "polar_stereographic",
    "lambert_azimuthal_equal_area",
)


def get(handle, key, kind=str):
    try:
        value = eccodes.codes_get(handle, key, ktype=kind)
    except Exception:
        return None
    return None if isinstance(value, float) and value in (MISSING, 2147483647.0) else value


def place(values):
    """Of each value, the rank of its first appearance; and the values in that order."""
    unique, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[inverse], unique[order]


def seconds(handle):
    date, time = get(handle, "dataDate", int), get(handle, "dataTime", int)
    text = f"{date // 10000:04d}-{date // 100 % 100:02d}-{date % 100:02d}"
    text += f"T{time // 100:02d}:{time % 100:02d}:00"
    return int((np.datetime64(text) - EPOCH) / np.timedelta64(1, "s"))


def crc(values):
    return zlib.crc32(np.ascontiguousarray(values).tobytes())


def message(handle):
    told = {key: get(handle, key) for key in TEXTS}
    told |= {key: get(handle, key, int) for key in NUMBERS}
    told["level"] = get(handle, "level", float)
    told["bits"] = get(handle, "bitsPerValue", int)
    told["time"] = seconds(handle)
    eccodes.codes_set(handle, "stepUnits", "s")
    told["step"] = get(handle, "endStep", int)
    if told["gridType"] in ("sh",):
        return told
    eccodes.codes_set(handle, "missingValue", MISSING)
    values = eccodes.codes_get_array(handle, "values", ktype=float)
    values[values == MISSING] = np.nan
    # It gives values in the order of the file, but places as if all rows ran alike.
    if get(handle, "alternativeRowScanning", int):
        line = get(handle, "Nj" if get(handle, "jPointsAreConsecutive", int) else "Ni", int)
        lines = values.reshape(-1, line)
        lines[1::2] = lines[1::2, ::-1].copy()
        values = lines.ravel()
    if told["gridType"] in ("regular_ll", "regular_gg"):
        latitudes = np.round(eccodes.codes_get_array(handle, "latitudes"), 9)
        longitudes = np.round(eccodes.codes_get_array(handle, "longitudes"), 9)
        rows, told["latitudes"] = place(latitudes)
        columns, told["longitudes"] = place(longitudes)
        sorted_values = np.empty((len(told["latitudes"]), len(told["longitudes"])))
        sorted_values[rows, columns] = values
        values = sorted_values
        told |= {key: told[key].tolist() for key in ("latitudes", "longitudes")}
    elif told["gridType"] == "reduced_gg":
        for key in ("latitudes", "longitudes"):
            told[key] = eccodes.codes_get_array(handle, key).tolist()
    elif told["gridType"] in ON_PLANES:
        # Of large grids, some points are enough.
        told["stride"] = max(1, len(values) // 500)
        for key in ("latitudes", "longitudes"):
            places = eccodes.codes_get_array(handle, key)[:: told["stride"]]
            told[f"some_{key}"] = places.tolist()
    told["single"] = crc(values.astype("<f4"))
    told["double"] = crc(values.astype("<f8"))
    told["first"] = str(values.ravel()[:4])
    return told


def file(path):
    messages = []
    with open(path, "rb") as opened:
        while True:
            try:
                handle = eccodes.codes_grib_new_from_file(opened)
                if handle is None:
                    return {"messages": messages}
                messages.append(message(handle))
                eccodes.codes_release(handle)
            except Exception as error:
                return {"messages": messages, "refused": str(error)}


for line in sys.stdin:
    print(json.dumps(file(line.rstrip("\n"))), flush=True)
