"""Reads and writes files of records with pyarrow and the standard library.

read FOLDER     reads every folder KIND-COMPRESSION of FOLDER, compares it with the rows that are
                expected, and prints the names of the folders as JSON
write FOLDER    writes the rows in all formats
"""

import bz2
import csv
import gzip
import io
import json
import pathlib
import sys

import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq


def rows():
    return [
        {"n": n, "name": None if n % 5 == 0 else f"row é {n}", "half": n / 2} for n in range(200)
    ]


def decompressed(path):
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".bz2":
        return bz2.decompress(data)
    if path.suffix == ".zst":
        return pa.input_stream(io.BytesIO(data), compression="zstd").read()
    return data


def crc32c_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC32C = crc32c_table()


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value = CRC32C[(value ^ byte) & 0xFF] ^ value >> 8
    return f"{value ^ 0xFFFFFFFF:08x}"


def check_manifest(folder, paths):
    manifest = json.loads((folder / ".part.manifest.json").read_text())
    assert manifest["levain_manifest"] == 1
    assert [shard["name"] for shard in manifest["shards"]] == [path.name for path in paths]
    for shard, path in zip(manifest["shards"], paths):
        data = path.read_bytes()
        assert shard["size_bytes"] == len(data), path
        assert shard["crc32c"] == crc32c(data), path


def read_rows(kind, paths):
    if kind == "parquet":
        return pq.read_table([str(path) for path in paths]).to_pylist()
    if kind == "arrow":
        return [row for path in paths for row in pa.feather.read_table(path).to_pylist()]
    texts = [decompressed(path).decode() for path in paths]
    if kind == "json":
        return [json.loads(line) for text in texts for line in text.splitlines()]
    found = [row for text in texts for row in csv.DictReader(io.StringIO(text))]
    return [
        {"n": int(row["n"]), "name": row["name"] or None, "half": float(row["half"])}
        for row in found
    ]


def read(folder):
    names = []
    for place in sorted(folder.iterdir()):
        kind = place.name.split("-")[0]
        paths = sorted(path for path in place.iterdir() if not path.name.startswith("."))
        check_manifest(place, paths)
        if kind == "text":
            lines = [line for path in paths for line in decompressed(path).decode().splitlines()]
            want = [f"{row['n']} {row['name'] or ''}" for row in rows()]
            assert sorted(lines) == sorted(want), place
        else:
            found = sorted(read_rows(kind, paths), key=lambda row: row["n"])
            assert found == rows(), place
        names.append(place.name)
    print(json.dumps(names))


def write(folder):
    table = pa.Table.from_pylist(rows())
    for codec in ["none", "snappy", "gzip", "zstd", "lz4"]:
        pq.write_table(table, folder / f"{codec}.parquet", compression=codec, row_group_size=50)
    for codec in [None, "lz4", "zstd"]:
        options = pa.ipc.IpcWriteOptions(compression=codec)
        with pa.ipc.new_file(str(folder / f"{codec or 'none'}.arrow"), table.schema, options=options) as out:
            out.write_table(table, max_chunksize=50)
    with pa.ipc.new_stream(str(folder / "stream.arrows"), table.schema) as out:
        out.write_table(table, max_chunksize=50)
    lines = "".join(json.dumps(row) + "\n" for row in rows()).encode()
    (folder / "rows.jsonl").write_bytes(lines)
    # Two members, one after the other.
    half = len(lines) // 2
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress(lines[:half]) + gzip.compress(lines[half:]))
    (folder / "rows.jsonl.bz2").write_bytes(bz2.compress(lines))
    with pa.output_stream(str(folder / "rows.jsonl.zst"), compression="zstd") as out:
        out.write(lines)
    text = io.StringIO()
    out = csv.DictWriter(text, ["half", "n", "name"])
    out.writeheader()
    out.writerows(rows())
    (folder / "rows.csv.gz").write_bytes(gzip.compress(text.getvalue().encode()))


if __name__ == "__main__":
    {"read": read, "write": write}[sys.argv[1]](pathlib.Path(sys.argv[2]))
