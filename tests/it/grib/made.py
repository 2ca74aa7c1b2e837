"""Makes GRIB files with ecCodes in the folder named as the argument: packings, grids, orders."""

import pathlib
import sys

import eccodes
import numpy as np

FOLDER = pathlib.Path(sys.argv[1])
SIMPLE = [1, 4, 8, 11, 12, 16, 24, 31]
PACKINGS = [
    "grid_simple",
    "grid_complex",
    "grid_complex_spatial_differencing",
    "grid_ccsds",
    "grid_jpeg",
    "grid_png",
]


def field(ni, nj):
    y, x = np.mgrid[0:nj, 0:ni]
    smooth = 270 + 20 * np.sin(x / 5) * np.cos(y / 7) + x * 0.1
    noise = np.random.default_rng(7).normal(0, 0.5, smooth.shape)
    return (smooth + noise).ravel()


def handle(edition, ni=37, nj=19):
    made = eccodes.codes_grib_new_from_samples(f"regular_ll_pl_grib{edition}")
    settings = {
        "Ni": ni,
        "Nj": nj,
        "latitudeOfFirstGridPointInDegrees": 45.0,
        "latitudeOfLastGridPointInDegrees": 45.0 - 0.5 * (nj - 1),
        "longitudeOfFirstGridPointInDegrees": 10.0,
        "longitudeOfLastGridPointInDegrees": 10.0 + 0.25 * (ni - 1),
        "iDirectionIncrementInDegrees": 0.25,
        "jDirectionIncrementInDegrees": 0.5,
        "dataDate": 20240115,
        "dataTime": 600,
        "typeOfLevel": "isobaricInhPa",
        "level": 850,
    }
    for key, value in settings.items():
        eccodes.codes_set(made, key, value)
    eccodes.codes_set_values(made, field(ni, nj))
    return made


def write(name, *messages):
    with open(FOLDER / f"{name}.grib", "wb") as opened:
        for made in messages:
            eccodes.codes_write(made, opened)
            eccodes.codes_release(made)


def missing(values, made):
    eccodes.codes_set(made, "bitmapPresent", 1)
    eccodes.codes_set(made, "missingValue", 9999.0)
    values = values.copy()
    values[::7] = 9999.0
    values[-20:] = 9999.0
    return values


def packed(edition, packing, bits, values=None, with_bitmap=False, decimals=None):
    made = handle(edition)
    values = field(37, 19) if values is None else values
    eccodes.codes_set_values(made, values)
    eccodes.codes_set(made, "packingType", packing)
    if with_bitmap:
        values = missing(values, made)
    if decimals is not None:
        eccodes.codes_set(made, "decimalScaleFactor", decimals)
        eccodes.codes_set_values(made, values)
        eccodes.codes_set(made, "changeDecimalPrecision", decimals)
        return made
    eccodes.codes_set(made, "bitsPerValue", bits)
    eccodes.codes_set_values(made, values)
    return made


def packings():
    for packing in PACKINGS:
        for bits in [8, 16] if packing == "grid_png" else SIMPLE[1:-1]:
            for with_bitmap in (False, True):
                name = f"{packing}_{bits}{'_bitmap' if with_bitmap else ''}"
                try:
                    # Noise makes pictures longer than the room that they are given.
                    values = np.tile(np.arange(37.0), 19) if "png" in packing else None
                    made = packed(2, packing, bits, values, with_bitmap=with_bitmap)
                except eccodes.GribInternalError:
                    # It cannot write pictures that take more room than their pixels.
                    continue
                write(name, made)
    for bits in SIMPLE:
        write(f"edition2_simple_{bits}", packed(2, "grid_simple", bits))
        write(f"edition1_simple_{bits}", packed(1, "grid_simple", bits))
        write(f"edition1_bitmap_{bits}", packed(1, "grid_simple", bits, with_bitmap=True))
    for edition in (1, 2):
        made = packed(edition, "grid_simple", 16, decimals=2)
        write(f"edition{edition}_decimal", made)
        constant = packed(edition, "grid_simple", 16, np.full(37 * 19, 273.15))
        write(f"edition{edition}_constant", constant)
        some = packed(edition, "grid_simple", 16, np.full(37 * 19, 273.15), with_bitmap=True)
        write(f"edition{edition}_constant_bitmap", some)
    for packing in ("grid_ccsds", "grid_jpeg", "grid_complex"):
        write(f"{packing}_constant", packed(2, packing, 16, np.full(37 * 19, 273.15)))
    for precision in (1, 2):
        made = handle(2)
        eccodes.codes_set(made, "packingType", "grid_ieee")
        eccodes.codes_set(made, "precision", precision)
        eccodes.codes_set_values(made, field(37, 19))
        write(f"grid_ieee_{precision}", made)


def second_order():
    for packing in ("grid_second_order", "grid_second_order_SPD1", "grid_second_order_SPD3",
                    "grid_second_order_no_SPD", "grid_second_order_no_boustrophedonic"):
        for bits in (12, 16):
            made = handle(1)
            eccodes.codes_set(made, "bitsPerValue", bits)
            eccodes.codes_set_values(made, field(37, 19))
            try:
                eccodes.codes_set(made, "packingType", packing)
            except Exception:
                continue
            write(f"{packing}_{bits}", made)


def differences_of_first_order():
    made = packed(2, "grid_complex_spatial_differencing", 12)
    try:
        eccodes.codes_set(made, "orderOfSpatialDifferencing", 1)
        eccodes.codes_set_values(made, field(37, 19))
    except Exception:
        return
    write("differences_1", made)


def orders():
    for edition in (1, 2):
        for west in (0, 1):
            for north in (0, 1):
                for by_columns in (0, 1):
                    for alternating in (0, 1) if edition == 2 else (0,):
                        made = handle(edition, 5, 4)
                        eccodes.codes_set(made, "iScansNegatively", west)
                        eccodes.codes_set(made, "jScansPositively", north)
                        eccodes.codes_set(made, "jPointsAreConsecutive", by_columns)
                        if alternating:
                            eccodes.codes_set(made, "alternativeRowScanning", 1)
                        if west:
                            swap(made, "longitude")
                        if north:
                            swap(made, "latitude")
                        eccodes.codes_set(made, "bitsPerValue", 16)
                        eccodes.codes_set_values(made, np.arange(20.0))
                        flags = f"{west}{north}{by_columns}{alternating}"
                        write(f"order_{edition}_{flags}", made)


def swap(made, axis):
    keys = [f"{axis}Of{end}GridPointInDegrees" for end in ("First", "Last")]
    ends = [eccodes.codes_get(made, key) for key in keys]
    for key, end in zip(keys, reversed(ends)):
        eccodes.codes_set(made, key, end)


def spans():
    for name, first, last in (("around", 0.0, 337.5), ("date_line", 180.0, 157.5),
                              ("negative", -90.0, 112.5), ("across", 350.0, 10.0)):
        for edition in (1, 2):
            ni = 16 if name in ("around", "date_line") else 10
            made = handle(edition, ni, 3)
            step = ((last - first) % 360 or 360) / (ni - 1)
            eccodes.codes_set(made, "longitudeOfFirstGridPointInDegrees", first)
            eccodes.codes_set(made, "longitudeOfLastGridPointInDegrees", last)
            eccodes.codes_set(made, "iDirectionIncrementInDegrees", step)
            eccodes.codes_set_values(made, np.arange(3.0 * ni))
            write(f"span_{name}_{edition}", made)


PLANES = {
    "lambert": {"LaDInDegrees": 25.0, "LoVInDegrees": 265.0, "Latin1InDegrees": 25.0,
                "Latin2InDegrees": 25.0, "DxInMetres": 40635.0, "DyInMetres": 40635.0},
    "lambert_two": {"LaDInDegrees": 38.5, "LoVInDegrees": 262.5, "Latin1InDegrees": 33.0,
                    "Latin2InDegrees": 45.0, "DxInMetres": 30000.0, "DyInMetres": 20000.0},
    "lambert_south": {"LaDInDegrees": -35.0, "LoVInDegrees": 20.0, "Latin1InDegrees": -25.0,
                      "Latin2InDegrees": -45.0, "DxInMetres": 30000.0, "DyInMetres": 20000.0,
                      "latitudeOfFirstGridPointInDegrees": -40.0, "projectionCentreFlag": 128},
    "polar_stereographic": {"LaDInDegrees": 60.0, "orientationOfTheGridInDegrees": 249.0,
                            "DxInMetres": 60000.0, "DyInMetres": 50000.0},
    "polar_stereographic_south": {"LaDInDegrees": -60.0, "orientationOfTheGridInDegrees": 10.0,
                                  "DxInMetres": 60000.0, "DyInMetres": 50000.0,
                                  "latitudeOfFirstGridPointInDegrees": -70.0,
                                  "projectionCentreFlag": 128},
    "mercator": {"LaDInDegrees": 20.0, "DiInMetres": 25000.0, "DjInMetres": 25000.0,
                 "latitudeOfLastGridPointInDegrees": 18.0,
                 "longitudeOfLastGridPointInDegrees": 230.0},
    "lambert_azimuthal_equal_area": {"standardParallelInDegrees": 52.0,
                                     "centralLongitudeInDegrees": 10.0, "DxInMetres": 50000.0,
                                     "DyInMetres": 40000.0, "longitudeOfFirstGridPointInDegrees": 5.0,
                                     "latitudeOfFirstGridPointInDegrees": 45.0},
    "rotated_ll": {"latitudeOfSouthernPoleInDegrees": -40.0,
                   "longitudeOfSouthernPoleInDegrees": 10.0, "angleOfRotationInDegrees": 0.0,
                   "latitudeOfFirstGridPointInDegrees": -5.0,
                   "latitudeOfLastGridPointInDegrees": 4.0,
                   "longitudeOfFirstGridPointInDegrees": 353.0,
                   "longitudeOfLastGridPointInDegrees": 4.0,
                   "iDirectionIncrementInDegrees": 1.0, "jDirectionIncrementInDegrees": 1.0},
}


EARTHS = {
    1: {"scaleFactorOfRadiusOfSphericalEarth": 1,
        "scaledValueOfRadiusOfSphericalEarth": 63_712_295},
    3: {"scaleFactorOfEarthMajorAxis": 2, "scaledValueOfEarthMajorAxis": 637_814,
        "scaleFactorOfEarthMinorAxis": 2, "scaledValueOfEarthMinorAxis": 635_675},
    7: {"scaleFactorOfEarthMajorAxis": 0, "scaledValueOfEarthMajorAxis": 6_378_388,
        "scaleFactorOfEarthMinorAxis": 0, "scaledValueOfEarthMinorAxis": 6_356_912},
}


def earths(name, edition):
    """Figures of the earth, as far as ecCodes works out places there."""
    if not name.startswith("polar"):
        return (0, 1) if edition == 1 else range(9)
    # On spheres alone, and not right of edition 1 in the south: steps are measured at 60 degrees north.
    if edition == 1:
        return () if name.endswith("south") else (0,)
    return (0, 1, 6, 8)


def planes():
    ni, nj = 12, 10
    for name, settings in PLANES.items():
        kind = name.removesuffix("_south").removesuffix("_two")
        i, j = ("Ni", "Nj") if kind in ("rotated_ll", "mercator") else ("Nx", "Ny")
        for edition in (2,) if kind == "lambert_azimuthal_equal_area" else (1, 2):
            for earth in earths(name, edition):
                made = eccodes.codes_grib_new_from_samples(f"regular_ll_pl_grib{edition}")
                eccodes.codes_set(made, "gridType", kind)
                own = {
                    "latitudeOfFirstGridPointInDegrees": 16.0,
                    "longitudeOfFirstGridPointInDegrees": 227.0,
                    # On the others it takes the first point for the western end of a row that goes west.
                    "iScansNegatively": earth % 2 if "equal_area" in kind else 0,
                    "jScansPositively": 1,
                    i: ni,
                    j: nj,
                }
                own |= {"earthIsOblate": earth} if edition == 1 else {"shapeOfTheEarth": earth}
                own |= EARTHS.get(earth, {}) if edition == 2 else {}
                for key, value in (own | settings).items():
                    # Edition 1 has it for Mercator's projection only.
                    if edition == 2 or kind == "mercator" or key != "LaDInDegrees":
                        eccodes.codes_set(made, key, value)
                eccodes.codes_set_values(made, np.arange(float(ni * nj)))
                write(f"plane_{name}_{edition}_{earth}", made)


def gaussian():
    for edition in (1, 2):
        for kind in ("regular_gg_pl", "reduced_gg_pl_32"):
            made = eccodes.codes_grib_new_from_samples(f"{kind}_grib{edition}")
            count = eccodes.codes_get_size(made, "values")
            eccodes.codes_set_values(made, np.sin(np.arange(count) / 50.0))
            write(f"{kind}_{edition}", made)


def parameters():
    """Parameters that their surface, their statistic or their table tells apart."""
    found = []
    for name in ("2t", "10u", "10v", "tp", "msl", "sp", "tcc", "2d", "mx2t", "100u", "skt", "lsm"):
        for edition in (1, 2):
            made = handle(edition, 3, 2)
            try:
                eccodes.codes_set(made, "shortName", name)
            except Exception:
                continue
            eccodes.codes_set_values(made, np.arange(6.0))
            found.append(made)
    for name in ("t", "u", "v", "q", "z", "r", "w", "gh", "vo", "d", "o3", "clwc", "cc", "pv"):
        for edition in (1, 2):
            made = handle(edition, 3, 2)
            eccodes.codes_set(made, "shortName", name)
            eccodes.codes_set_values(made, np.arange(6.0))
            found.append(made)
    write("parameters", *found)


def levels():
    found = []
    for first, second, value, below in (
        (1, 255, 0, 0), (103, 255, 80, 0), (106, 106, 0, 7), (105, 255, 60, 0), (109, 255, 2, 0),
        (100, 100, 85000, 50000), (104, 255, 9, 0), (107, 255, 330, 0), (100, 255, 20, 0),
        (7, 255, 0, 0), (101, 255, 0, 0), (160, 255, 10, 0), (10, 255, 0, 0), (103, 103, 6000, 0),
    ):
        made = handle(2, 3, 2)
        eccodes.codes_set(made, "typeOfFirstFixedSurface", first)
        eccodes.codes_set(made, "scaleFactorOfFirstFixedSurface", 0)
        eccodes.codes_set(made, "scaledValueOfFirstFixedSurface", value)
        eccodes.codes_set(made, "typeOfSecondFixedSurface", second)
        if second != 255:
            eccodes.codes_set(made, "scaleFactorOfSecondFixedSurface", 0)
            eccodes.codes_set(made, "scaledValueOfSecondFixedSurface", below)
        eccodes.codes_set_values(made, np.arange(6.0))
        found.append(made)
    write("levels", *found)


def steps():
    """Members, times, steps and ranges as dimensions."""
    found = []
    for number in (0, 1, 2):
        for date in (20240115, 20240116):
            for start, end in ((0, 6), (0, 12), (0, 24)):
                made = handle(2, 3, 2)
                eccodes.codes_set(made, "productDefinitionTemplateNumber", 11)
                eccodes.codes_set(made, "shortName", "tp")
                eccodes.codes_set(made, "number", number)
                eccodes.codes_set(made, "dataDate", date)
                eccodes.codes_set(made, "stepRange", f"{start}-{end}")
                eccodes.codes_set_values(made, np.arange(6.0) + number * 10 + end)
                found.append(made)
    write("steps_2", *found)
    found = []
    for step in (0, 3, 300):
        made = handle(1, 3, 2)
        eccodes.codes_set(made, "stepRange", str(step))
        eccodes.codes_set_values(made, np.arange(6.0) + step)
        found.append(made)
    write("steps_1", *found)


for make in (packings, second_order, differences_of_first_order, orders, spans, planes, gaussian,
             parameters, levels, steps):
    make()
