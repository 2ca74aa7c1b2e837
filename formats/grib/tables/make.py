"""Makes the tables of parameters out of a checkout of ecCodes, which is named as the argument.

ecCodes (<https://github.com/ecmwf/eccodes>, Apache-2.0) states for every parameter the values of
keys by which a message is known to hold it. Only rows whose keys this crate reads are kept, so that
a message that needs others gets a systematic name and never a wrong one.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1]) / "definitions"
HERE = pathlib.Path(__file__).parent
WHERE = {
    "discipline": "d",
    "parameterCategory": "c",
    "parameterNumber": "n",
    "table2Version": "t",
    "indicatorOfParameter": "p",
}
CONDITIONS = {
    "typeOfStatisticalProcessing": "P",
    "typeOfFirstFixedSurface": "F",
    "scaledValueOfFirstFixedSurface": "v",
    "scaleFactorOfFirstFixedSurface": "f",
    "typeOfSecondFixedSurface": "G",
    "scaledValueOfSecondFixedSurface": "w",
    "scaleFactorOfSecondFixedSurface": "g",
    "typeOfGeneratingProcess": "T",
    "lengthOfTimeRange": "L",
    "indicatorOfUnitForTimeRange": "U",
    "localTablesVersion": "V",
}


def rows(path):
    """Values by what they stand for, in the order of the file."""
    found = []
    if not path.exists():
        return found
    text = re.sub(r"^#.*$", "", path.read_text(), flags=re.M)
    for value, body in re.findall(r"'((?:[^'\\]|\\.)*)'\s*=\s*\{([^}]*)\}", text):
        where, conditions, known = {}, [], True
        for part in filter(None, (part.strip() for part in body.split(";"))):
            key, _, number = (piece.strip() for piece in part.partition("="))
            number = "M" if number.startswith("missing") else number
            if key in WHERE:
                where[WHERE[key]] = number
            elif key in CONDITIONS and re.fullmatch(r"-?\d+|M", number):
                conditions.append(CONDITIONS[key] + number)
            else:
                known = False
        if known:
            found.append((".".join(where.values()), ",".join(sorted(conditions)), value))
    return found


def table(folder, keep, before=""):
    """The rows of a folder; `before` names the files that stand for tables up to version 33."""
    base = {row[:2]: row[2] for row in rows(folder / f"units{before}.def")}
    names = {row[:2]: row[2] for row in rows(folder / f"name{before}.def")}
    seen, lines = set(), []
    for where, conditions, short in rows(folder / f"shortName{before}.def"):
        if short == "~" or not keep(where) or (where, conditions) in seen:
            continue
        seen.add((where, conditions))
        place = where, conditions
        lines.append(["S", where, conditions, short, base.get(place, "~"), names.get(place, "~")])
    if before:
        return lines
    for kind, file in (("V", "cfVarName"), ("C", "cfName")):
        for where, conditions, value in rows(folder / f"{file}.def"):
            if value not in ("~", "unknown") and keep(where):
                lines.append([kind, where, conditions, value])
    return lines


def write(name, parts):
    lines = [
        "# Parameters, from the definitions of ecCodes (Apache-2.0, ECMWF); made by make.py.",
        "# S place conditions shortName units name | V place conditions variable name"
        " | C place conditions CF standard name; @ begins the rows of a centre, 0 of all, plus 1000"
        " those before version 34.",
    ]
    for centre, found in parts:
        lines.append(f"@{centre}")
        lines += ["\t".join(line) for line in found]
    (HERE / name).write_text("\n".join(lines) + "\n")


def changed(old, new):
    """Old rows of the parameters whose rows are others now."""
    def by_place(lines):
        found = {}
        for line in lines:
            if line[0] == "S":
                found.setdefault(line[1], []).append(line)
        return found
    old, new = by_place(old), by_place(new)
    return [line for place, lines in old.items() if new.get(place) != lines for line in lines]


def is_wmo(where):
    table_version, parameter = map(int, where.split("."))
    return table_version <= 3 and parameter <= 127


def is_not_legacy(where):
    return not where.startswith("192.")


two = ROOT / "grib2"
ecmf = two / "localConcepts/ecmf"
write(
    "grib2.tsv",
    [
        (0, table(two, lambda where: True)),
        (7, table(two / "localConcepts/kwbc", lambda where: True)),
        (98, table(ecmf, is_not_legacy)),
        # Messages of ECMWF by tables up to version 33 keep the names that they had.
        (1000, changed(table(two, lambda where: True, ".lte33"), table(two, lambda where: True))),
        (1098, table(ecmf, is_not_legacy, ".lte33")),
    ],
)
one = ROOT / "grib1"
write(
    "grib1.tsv",
    [
        (0, table(one, is_wmo)),
        (98, table(one / "localConcepts/ecmf", lambda where: int(where.split(".")[0]) >= 128)),
    ],
)
