"""Levain beside rayon, Polars, DuckDB and Beam, in turns in one run: wall time, CPU time, peak memory.

usage: run.py BINARY FOLDER [ROUNDS [WORK ...]]

BINARY is `dataflow_peers` built for benches (`cargo bench --bench dataflow_peers --no-run`), FOLDER a
place for the text of 1 GB and for spill files. The interpreter needs `requirements.txt`. Works:

words   words of 1 GB of text are counted
beam    those of a tenth of it, which takes Beam's local runner minutes
group   50 M pairs of integers are grouped by 1 M keys
scarce  the same within 256 MiB: every tool runs in a memory cgroup of that limit, which needs root
sum     50 M values are summed by key, with and without a key that has half of them
spread  1 M elements of 1 KiB go through a Reshuffle; one thread copies them

Every tool is a process of its own with two threads. Seconds are of the work alone, without starting
interpreters; CPU time and peak memory are those of the process, as the kernel counts them. Prints a
line a run, then the medians; exits with 1 if tools of a work disagree.
"""
import json
import os
import statistics
import subprocess
import sys
import time

TEXT_BYTES = 1 << 30
LIMIT_BYTES = 256 << 20
PAIRS, KEYS = 50_000_000, 1_000_000


def polars_words(path):
    import polars as pl

    lines = pl.scan_csv(path, has_header=False, new_columns=["line"], separator="\x01", quote_char=None)
    words = lines.select(pl.col("line").str.split(" ").explode().alias("word"))
    words = words.filter(pl.col("word").is_not_null() & (pl.col("word") != ""))
    return words.group_by("word").len().collect(engine="streaming")["len"].sum()


def polars_group(_):
    import polars as pl

    # A frame that holds nothing yet: integers are made as they are read.
    numbers = pl.LazyFrame().select(pl.int_range(0, PAIRS, dtype=pl.UInt64).alias("n"))
    key = (pl.col("n") * 0x9E3779B97F4A7C15 // (1 << 20)) % KEYS
    groups = numbers.select(key.alias("key"), pl.col("n")).group_by("key").agg(pl.col("n"))
    return groups.select(pl.col("n").list.sum().sum()).collect(engine="streaming").item()


def duckdb_group(folder):
    import duckdb

    session = duckdb.connect(config={"threads": 2, "memory_limit": "160MiB", "temp_directory": folder})
    session.execute("SET preserve_insertion_order = false")
    query = f"""SELECT sum(list_sum(ns)) FROM
        (SELECT hash(n) % {KEYS} AS key, list(n) AS ns FROM range({PAIRS}) numbers(n) GROUP BY key)"""
    return int(session.execute(query).fetchall()[0][0])


def beam_words(path):
    import apache_beam as beam

    counted = []
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        (
            pipeline
            | beam.io.ReadFromText(path)
            | beam.FlatMap(str.split)
            | beam.combiners.Count.PerElement()
            | beam.Values()
            | beam.CombineGlobally(sum)
            | beam.io.WriteToText(path + ".total", shard_name_template="")
        )
    with open(path + ".total") as total:
        counted.append(int(total.read()))
    return counted[0]


PEERS = {f.__name__: f for f in (polars_words, polars_group, duckdb_group, beam_words)}


def peer(name, argument):
    """Runs a tool of Python in this process."""
    began, cpu = time.perf_counter(), time.process_time()
    check = PEERS[name](argument)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps({"wall_s": round(wall, 3), "cpu_s": round(cpu, 2), "check": check}))


def limited(limit_bytes):
    """What a child does to enter a cgroup with this limit."""
    first = "/sys/fs/cgroup/memory"
    is_first = os.path.isdir(first)
    group = os.path.join(first if is_first else "/sys/fs/cgroup", "levain-bench")
    os.makedirs(group, exist_ok=True)
    with open(os.path.join(group, "memory.limit_in_bytes" if is_first else "memory.max"), "w") as limit:
        limit.write(str(limit_bytes))

    def enter():
        with open(os.path.join(group, "cgroup.procs"), "w") as procs:
            procs.write(str(os.getpid()))

    return enter


def measure(command, limit_bytes=None):
    """What a command says of itself and its peak memory, or why it did not end."""
    enter = limited(limit_bytes) if limit_bytes else None
    environment = dict(os.environ, POLARS_MAX_THREADS="2", RAYON_NUM_THREADS="2")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          preexec_fn=enter, env=environment) as child:
        out = child.stdout.read()
        error = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0 or not out.strip():
        return None, f"exit {child.returncode}: {error.strip()[-200:]}"
    return dict(json.loads(out.strip().splitlines()[-1]), peak_mb=usage.ru_maxrss / 1024), None


def works(binary, folder):
    """Of every work its tools, Levain first: name, command, limit, the tools it must agree with."""
    text, tenth = os.path.join(folder, "text"), os.path.join(folder, "tenth")

    def python(name, argument):
        return [sys.executable, os.path.abspath(__file__), "peer", name, argument]

    def ours(*arguments):
        return [binary, *arguments]

    limit = str(LIMIT_BYTES)
    return {
        "words": [
            ("levain", ours("words", "levain", "0", text), None, "digest"),
            ("rayon", ours("words", "rayon", "0", text), None, "digest"),
            ("rayon, std's hash", ours("words", "rayon-std", "0", text), None, "digest"),
            ("polars", python("polars_words", text), None, None),
        ],
        "beam": [
            ("levain", ours("words", "levain", "0", tenth), None, None),
            ("beam", python("beam_words", tenth), None, None),
        ],
        "group": [
            ("levain", ours("group", "levain"), None, "digest"),
            ("rayon", ours("group", "rayon"), None, "digest"),
            ("rayon, std's hash", ours("group", "rayon-std"), None, "digest"),
        ],
        "scarce": [
            ("levain", ours("group", "levain", limit), LIMIT_BYTES, None),
            ("polars", python("polars_group", folder), LIMIT_BYTES, "sum"),
            ("duckdb", python("duckdb_group", folder), LIMIT_BYTES, "sum"),
        ],
        "sum": [
            ("levain, one hot key", ours("sum", "hot"), None, "total"),
            ("levain, even", ours("sum", "even"), None, "total"),
        ],
        "spread": [
            ("levain", ours("spread", "levain"), None, "length"),
            ("copy", ours("spread", "copy"), None, "length"),
        ],
    }


def main():
    if sys.argv[1] == "peer":
        return peer(*sys.argv[2:])
    binary, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    chosen = works(binary, folder)
    names = sys.argv[4:] or list(chosen)
    os.makedirs(folder, exist_ok=True)
    for name, size in (("text", TEXT_BYTES), ("tenth", TEXT_BYTES // 10)):
        path = os.path.join(folder, name)
        if {"words", "beam"} & set(names) and not os.path.exists(path):
            subprocess.run([binary, "text", "make", str(size), path], check=True)
    found, right = {}, True
    for round_number in range(rounds):
        for work in names:
            checks = {}
            for tool, command, limit_bytes, agrees in chosen[work]:
                told, why = measure(command, limit_bytes)
                print(f"{round_number} {work} {tool}: {told or why}", flush=True)
                if told:
                    found.setdefault((work, tool), []).append(told)
                    checks.setdefault(agrees or tool, set()).add(told["check"])
            right &= all(len(values) == 1 for values in checks.values())
    print("\n| work | tool | wall | CPU | peak memory | wall, of levain |\n|---|---|--:|--:|--:|--:|")
    for (work, tool), runs in found.items():
        wall, cpu, peak = (statistics.median(run[key] for run in runs) for key in ("wall_s", "cpu_s", "peak_mb"))
        ours = statistics.median(run["wall_s"] for run in found.get((work, chosen[work][0][0]), runs))
        print(f"| {work} | {tool} | {wall:.2f} s | {cpu:.2f} s | {peak:.0f} MB | {wall / ours:.2f} |")
    sys.exit(not right)


main()
