"""Levain beside Beam's Python SDK on the same runners of Beam, and its harness beside the direct runner.

usage: runners.py WORD_COUNT BINARY FOLDER MEGABYTES NAME=HOST:PORT ...

WORD_COUNT is the example of that name built in release, BINARY `dataflow_peers` built for benches (`cargo bench
--bench dataflow_peers --no-run`), FOLDER a place for the text, and each NAME a job server that listens. The
interpreter needs `requirements.txt`. In turns on each of them:

words           words of a text of MEGABYTES are counted, files to files, by either SDK with workers in the process
                that submits; counts must be equal. What has not ended after five minutes is stopped
empty           10 M integers go through a DoFn that does nothing, in the stage that makes them
empty-shuffled  the same, read from a Reshuffle of the runner

CPU time is of the process that submits and works, as the kernel counts it, without what the same command takes for
a text of one line. Prints a line a run, then tables; exits with 1 if counts differ.
"""
import glob
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time

PATIENCE_S = 300
ELEMENTS = 10_000_000
VOCABULARY = 60_000


def python_words(endpoint, text, counts):
    """The word count of the example, with Beam's SDK, in this process."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    options = PipelineOptions(["--runner=PortableRunner", f"--job_endpoint={endpoint}", "--parallelism=2",
                               "--environment_type=LOOPBACK"])
    with beam.Pipeline(options=options) as pipeline:
        (
            pipeline
            | beam.io.ReadFromText(text)
            | beam.FlatMap(str.split).with_output_types(str)
            | beam.combiners.Count.PerElement()
            | beam.MapTuple(lambda word, count: f"{word} {count}")
            | beam.io.WriteToText(counts, num_shards=8)
        )


def make_text(path, megabytes):
    """Lines of ten words; the n-th word is one n-th as frequent as the first."""
    rng = random.Random(7)
    words = [f"w{number:x}" for number in rng.sample(range(1 << 32), VOCABULARY)]
    weights = [1 / rank for rank in range(1, VOCABULARY + 1)]
    with open(path, "w") as file:
        while file.tell() < megabytes * 1_000_000:
            drawn = rng.choices(words, weights, k=100_000)
            file.writelines(" ".join(drawn[at:at + 10]) + "\n" for at in range(0, len(drawn), 10))


def measure(command):
    """Wall and CPU seconds of a process and what it prints, or why it did not end well."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return None, f"not within {PATIENCE_S} s"
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if ran.returncode:
        return None, f"exit {ran.returncode}: {ran.stderr.strip()[-300:]}"
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu, "out": ran.stdout}, None


def counted(prefix):
    """The counts that were written, in the order of their words."""
    lines = []
    for path in glob.glob(prefix + "-*-of-*"):
        with open(path) as file:
            lines += file.read().splitlines()
    return sorted(lines)


def words_of(sdk, word_count, endpoint, text, folder):
    """One run of an SDK: wall and CPU seconds, and the counts."""
    out = os.path.join(folder, "counts")
    shutil.rmtree(out, ignore_errors=True)
    os.mkdir(out)
    counts = os.path.join(out, "words")
    commands = {
        "levain": [word_count, "run", "--runner", "beam", "--endpoint", endpoint, "--beam-option", "parallelism=2",
                   "--store", os.path.join(out, "runs"), "--progress", "none", text, counts],
        "python": [sys.executable, os.path.abspath(__file__), "python", endpoint, text, counts],
    }
    ran, why = measure(commands[sdk])
    print(f"{sdk} {os.path.basename(text)} {endpoint}: {why or {k: ran[k] for k in ('wall_s', 'cpu_s')}}", flush=True)
    return ran and {**ran, "counts": counted(counts)}


def words(word_count, folder, servers, megabytes):
    text, line = (os.path.join(folder, name) for name in (f"{megabytes}MB", "line"))
    if not os.path.exists(text):
        make_text(text, megabytes)
    with open(line, "w") as file:
        file.write("one line\n")
    right, rows = True, []
    for name, endpoint in servers:
        found = {}
        for sdk in ("levain", "python"):
            # The first job of a server is slower: it loads what later ones find there.
            words_of(sdk, word_count, endpoint, line, folder)
            start = words_of(sdk, word_count, endpoint, line, folder)
            ran = words_of(sdk, word_count, endpoint, text, folder)
            if start and ran:
                found[sdk] = ran["wall_s"], ran["cpu_s"] - start["cpu_s"], start["cpu_s"], ran["counts"]
        if len(found) == 2:
            right &= found["levain"][3] == found["python"][3]
        rows.append((name, found.get("levain"), found.get("python")))
    print(f"\n{megabytes} MB of text\n| runner | SDK | wall | CPU of workers | CPU of an empty job |\n|---|---|--:|--:|--:|")
    for name, *sdks in rows:
        for sdk, told in zip(("Levain", "Python"), sdks):
            figures = [f"{figure:.2f} s" for figure in told[:3]] if told else ["-"] * 3
            print(f"| {name} | {sdk} | {' | '.join(figures)} |")
    return right


def empty(binary, servers):
    print(f"\n{ELEMENTS} elements\n| runner | empty DoFn | wall, ns an element | CPU, ns an element |\n|---|---|--:|--:|")
    for work in ("empty", "empty-shuffled"):
        for name, place in [("direct", "direct"), *servers]:
            ran, why = measure([binary, work, place, str(ELEMENTS)])
            told = ran and json.loads(ran["out"])
            figures = [f"{told[key] * 1e9 / ELEMENTS:.0f}" for key in ("wall_s", "cpu_s")] if told else [why, "-"]
            print(f"| {name} | {work} | {' | '.join(figures)} |", flush=True)


def main():
    if sys.argv[1] == "python":
        return python_words(*sys.argv[2:])
    word_count, binary, folder, megabytes, *named = sys.argv[1:]
    servers = [tuple(it.split("=", 1)) for it in named]
    os.makedirs(folder, exist_ok=True)
    right = words(os.path.abspath(word_count), folder, servers, int(megabytes))
    empty(os.path.abspath(binary), servers)
    sys.exit(not right)


main()
