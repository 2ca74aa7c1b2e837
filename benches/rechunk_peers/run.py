"""Levain, its peers and the floor on the same rechunking work, in turns in one run on this machine.

usage: run.py [--rounds N] [--sweeps] [--only-levain] [--drop-data] [--floor BINARY]
              LEVAIN SHARED FOLDER SIZE [W1 ...]

LEVAIN is a command built in release; the floor is what `cargo build --release --bench rechunk_peers`
puts beside it, or BINARY. SHARED has the workloads and the peers' scripts in `peers/rechunk`. FOLDER
takes data and results: about 3 GB for SIZE `small`, 40 GB for `full`; with --drop-data those of one
workload at a time. The interpreter needs the packages of the peers (see their README) and h5py, or
PEERS_PY names one that has; RECHUNKER_PY and ZARRS_REENCODE name the interpreter of rechunker and the
tool of zarrs, which are left out without.

W1 slabs to pencils, W2 chunks of 1000 to 999, W3 NetCDF-4 files into shards, W4 chunks into shards.
Before each run the source is evicted from the page cache and what is dirty is written. Peak memory
is the greatest sum of resident memory of all processes of a tool, sampled every 20 ms, or the VmHWM
of one of them if that is more. Every result is checked against the function that made the data. A
peer keeps to the limit if it takes no more than 1.1 times of it; one that takes 40 times as long as
Levain, and two minutes, is stopped. The floor reads, decodes, encodes and writes the same bytes with
the same libraries on all cores, and spills as much as Levain did; that of W4 copies bytes as they are.

--sweeps adds Levain at the limit, a half and a quarter of it, and W1 at 1, 2, 4 and 8 times its size.
Prints a table a workload, medians of the rounds; exits with 1 if a result of Levain is not right or
not within its limit.
"""
import argparse
import glob
import json
import math
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import threading
import time

import psutil

INTERVAL_S = 0.02
OVER_LIMIT = 1.1
PATIENCE, PATIENCE_S = 40, 120
GROWTH = (1, 2, 4, 8)
FRACTIONS = (1, 2, 4)
THREADS = {"OMP_NUM_THREADS": "2", "BLOSC_NTHREADS": "1", "NUMCODECS_BLOSC_NTHREADS": "1", "PYTHONWARNINGS": "ignore"}
UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def grown(peers, name, size, factor):
    """The workloads, with this one `factor` times as long; of the grown one pencils stay whole."""
    sys.path.insert(0, peers)
    import workloads

    spec = dict(workloads.W[name][size])
    length = spec["shape"][0] * factor
    spec["shape"] = (length, *spec["shape"][1:])
    if name == "W1":
        spec["tgt"] = (length, *spec["tgt"][1:])
    workloads.W[name][size] = spec
    return workloads


def scripted(script, peers, name, size, factor, *rest):
    """Runs one of the peers' scripts in this process, on a workload that may be grown."""
    grown(peers, name, size, int(factor))
    module = __import__(script)
    module.main(name, size, *rest)


def evict(folder):
    os.sync()
    for path in files_of(folder):
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def files_of(folder):
    return [os.path.join(root, file) for root, _, files in os.walk(folder) for file in sorted(files)]


def high_water(pid):
    with open(f"/proc/{pid}/status") as status:
        return next((int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:")), 0)


def measure(command, source, environment=None, patience_s=None):
    """Wall, CPU and peak memory of a command and its children, its exit code and what it says."""
    evict(source)
    began = time.monotonic()
    child = psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                         env=dict(os.environ, **THREADS, **(environment or {})))
    peak, cpu, ended = [0], {}, threading.Event()

    def watch():
        while not ended.wait(INTERVAL_S):
            if patience_s and time.monotonic() - began > patience_s:
                for process in [*child.children(recursive=True), child]:
                    process.kill()
                return
            resident = 0
            try:
                tree = [child, *child.children(recursive=True)]
            except psutil.Error:
                continue
            for process in tree:
                try:
                    resident += process.memory_info().rss
                    times = process.cpu_times()
                    cpu[process.pid] = times.user + times.system
                    peak[0] = max(peak[0], high_water(process.pid))
                except (psutil.Error, OSError):
                    pass
            peak[0] = max(peak[0], resident)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, error = [], []
    reader = threading.Thread(target=lambda: error.append(child.stderr.read()))
    reader.start()
    out.append(child.stdout.read())
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - began
    ended.set()
    watcher.join()
    reader.join()
    child.returncode = os.waitstatus_to_exitcode(status)
    # What the kernel counts of the process itself leaves out nothing between samples.
    peak[0] = max(peak[0], usage.ru_maxrss << 10)
    seconds = max(usage.ru_utime + usage.ru_stime, sum(cpu.values()))
    return {"code": child.returncode, "wall_s": wall, "cpu_s": seconds, "peak_bytes": peak[0],
            "out": out[0], "error": error[0]}


class Workload:
    """One of the workloads at a size, with its folder; grown by a factor along its first dimension."""

    def __init__(self, options, name, factor=1):
        self.options, self.name, self.factor = options, name, factor
        self.peers = os.path.join(options.shared, "peers", "rechunk")
        self.spec = grown(self.peers, name, options.size, 1).get(name, options.size)
        if factor > 1:
            shape = (self.spec["shape"][0] * factor, *self.spec["shape"][1:])
            self.spec = dict(self.spec, shape=shape, nbytes=self.spec["nbytes"] * factor)
            self.spec["tgt"] = (shape[0], *self.spec["tgt"][1:])
        self.folder = os.path.join(options.folder, options.size, name + (f"x{factor}" if factor > 1 else ""))
        self.source, self.out = os.path.join(self.folder, "src"), os.path.join(self.folder, "out")
        self.limit = self.spec["mem"]

    def script(self, script, *rest):
        this = os.path.abspath(__file__)
        return [self.options.python, this, "script", script, self.peers, self.name, self.options.size,
                str(self.factor), self.folder, *rest]

    def make(self):
        if not os.path.exists(self.source):
            os.makedirs(self.folder, exist_ok=True)
            subprocess.run(self.script("gen"), check=True, stdout=subprocess.DEVNULL)

    def clear(self):
        for left in (self.out, self.out + ".levain"):
            shutil.rmtree(left, ignore_errors=True)

    def drop(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def verdict(self):
        done = subprocess.run(self.script("verify", self.out), capture_output=True, text=True)
        said = (done.stdout.strip().splitlines() or ["no result"])[-1]
        return "right" if done.returncode == 0 and "DIFFERS" not in said else said

    def levain(self, limit_bytes):
        spec = self.spec

        def lengths(shape):
            return ",".join(f"{dim}={n}" for dim, n in zip(spec["dims"], shape))

        command = [self.options.levain, "bake" if self.name == "W3" else "rechunk"]
        command += [self.source + ("/*.nc" if self.name == "W3" else ""), self.out]
        command += ["--chunks", lengths(spec["tgt"]), "--mem", str(limit_bytes), "--overwrite"]
        command += ["--concat", "time"] if self.name == "W3" else []
        command += ["--shards", lengths(spec["shard"])] if "shard" in spec else ["--zarr-format", "2"]
        return [*command, "--progress", "none", "--output", "json"]

    def tools(self):
        """The peers that run here, by name."""
        name, size, options = self.name, self.options.size, self.options

        def of(script, *rest, python=options.python):
            return [python, os.path.join(self.peers, script), name, size, self.folder, self.out, *rest]

        found = []
        if name == "W3":
            found.append(("xarray, dask", of("peer_xarray.py")))
        else:
            found += [(f"dask {way}", of("peer_dask.py", way)) for way in ("threads", "tasks", "p2p")]
            found += [(f"cubed {way}", of("peer_cubed.py", way)) for way in ("processes", "threads")]
            found.append(("tensorstore", of("peer_tensorstore.py")))
            ways = {"W1": ("cache", "twostep"), "W2": ("naive", "cache"), "W4": ("shard",)}[name]
            if options.zarrs:
                found += [(f"zarrs {way}", of("peer_zarrs.py", way)) for way in ways]
        if name in ("W1", "W2") and options.rechunker:
            found.append(("rechunker", of("peer_rechunker.py", python=options.rechunker)))
        return [*found, ("xarray-beam", of("peer_xbeam.py"))]


def chunk_files(folder):
    return [path for path in files_of(folder) if not os.path.basename(path).startswith((".", "zarr.json"))]


def manifest_of(work, spilled_bytes):
    """What the floor has to do: pieces of sources, and of the target that Levain has just written."""
    lines = []

    def add(kind, codec, offset, length, path):
        lines.append(f"{kind}\t{codec}\t{offset}\t{length}\t{path}")

    codec = "none" if work.name == "W4" else "blosc"
    if work.name == "W3":
        import h5py

        for path in sorted(glob.glob(work.source + "/*.nc")):
            with h5py.File(path) as file:
                stored = file["v"].id
                for place in range(stored.get_num_chunks()):
                    info = stored.get_chunk_info(place)
                    add("source", "zlib", info.byte_offset, info.size, path)
    else:
        for path in chunk_files(os.path.join(work.source, "v")):
            add("source", codec, 0, os.path.getsize(path), path)
    for path in chunk_files(os.path.join(work.out, "v")):
        size = os.path.getsize(path)
        if "shard" not in work.spec:
            add("target", codec, 0, size, path)
            continue
        count = math.prod(outer // inner for outer, inner in zip(work.spec["shard"], work.spec["tgt"]))
        with open(path, "rb") as shard:
            shard.seek(size - 16 * count - 4)
            index = struct.unpack(f"<{2 * count}Q", shard.read(16 * count))
        places = [place for place in zip(index[::2], index[1::2]) if place[0] != 2**64 - 1]
        for offset, length in sorted(places):
            add("target", codec, offset, length, path)
    lines.append(f"spill\t{spilled_bytes}")
    return "\n".join(lines)


def floor(work, spilled_bytes):
    manifest, out = os.path.join(work.folder, "manifest"), os.path.join(work.folder, "floor")
    with open(manifest, "w") as file:
        file.write(manifest_of(work, spilled_bytes))
    shutil.rmtree(out, ignore_errors=True)
    done = measure([work.options.floor, manifest, out], work.source)
    shutil.rmtree(out, ignore_errors=True)
    if done["code"] != 0:
        raise SystemExit(f"the floor failed: {done['error']}")
    return dict(json.loads(done["out"].strip().splitlines()[-1]), code=0, peak_bytes=done["peak_bytes"])


def copied(work):
    """`cp -r` of the source, which is the least that a repack can do."""
    out = os.path.join(work.folder, "copied")
    shutil.rmtree(out, ignore_errors=True)
    done = measure(["cp", "-r", work.source, out], work.source)
    shutil.rmtree(out, ignore_errors=True)
    return done


def run_levain(work, limit_bytes):
    work.clear()
    done = measure(work.levain(limit_bytes), work.source)
    done["limit_bytes"] = limit_bytes
    done["verdict"] = work.verdict() if done["code"] == 0 else f"exit {done['code']}"
    if done["code"] == 0:
        told = json.loads(done["out"])
        copy = next(it["copy"] for it in told["plan"]["variables"] if it["name"] == "v")
        costs = done["plan"] = dict(copy["costs"], method=name_of(copy["method"]))
        # What is put aside is written once and read once.
        done["spilled_bytes"] = max(told["spilled_bytes"], costs["segment_bytes_written"])
    return done


def name_of(method):
    """A method of a plan without its grids."""
    return method if isinstance(method, str) else next(iter(method))


def plan_text(plan):
    """What a plan says that it takes."""
    if not plan:
        return "-"
    gets, puts = plan["source_gets"] + plan["segment_gets"], plan["segment_puts"] + plan["target_puts"]
    return (f"{plan['method']}, {plan['task_count']} tasks, {gets} reads, {puts} writes, "
            f"{plan['source_bytes'] / 1e6:.0f} MB in, {plan['segment_bytes_written'] / 1e6:.0f} MB aside, "
            f"{plan['peak_bytes'] / 1e6:.0f} MB held")


def medians(runs):
    keys = [key for key in ("wall_s", "cpu_s", "peak_bytes") if all(key in run for run in runs)]
    return {key: statistics.median(run[key] for run in runs) for key in keys}


def is_within(run, limit_bytes):
    return run["peak_bytes"] <= limit_bytes * OVER_LIMIT


def compare(work, options, say):
    """All tools on one workload; the table, and whether Levain was right and within its limit."""
    found, sound = {}, True

    def note(tool, run):
        found.setdefault(tool, []).append(run)
        say(work, tool, run)

    for round_number in range(options.rounds):
        ours = run_levain(work, work.limit)
        note("levain", ours)
        sound &= ours["verdict"] == "right" and ours["peak_bytes"] <= work.limit
        if ours["code"] == 0:
            note("floor", floor(work, ours["spilled_bytes"]))
        if work.name == "W4":
            note("cp -r", copied(work))
        for tool, command in [] if options.only_levain else work.tools():
            work.clear()
            environment = {"ZARRS_REENCODE": options.zarrs} if options.zarrs else None
            patience_s = max(PATIENCE_S, PATIENCE * ours["wall_s"])
            run = measure(command, work.source, environment, patience_s)
            stopped = f"stopped after {run['wall_s']:.0f} s" if run["wall_s"] > patience_s else None
            run["verdict"] = work.verdict() if run["code"] == 0 else stopped or f"exit {run['code']}"
            note(tool, run)
        work.clear()
    print(table(work, options, found), flush=True)
    return found, sound


def table(work, options, found):
    rows = {tool: medians(runs) for tool, runs in found.items()}
    right = {tool for tool, runs in found.items()
             if all(run.get("verdict", "right") == "right" and run["code"] == 0 for run in runs)}
    peers = [tool for tool in rows if tool not in ("levain", "floor", "cp -r") and tool in right]
    best = min((rows[tool]["wall_s"] for tool in peers if is_within(rows[tool], work.limit)), default=None)
    least = rows.get("floor", {}).get("wall_s")

    def ratio(wall, other):
        return f"{wall / other:.2f}" if other else "-"

    text = [f"\n| {work.name}, {options.size}, {work.limit >> 20} MiB | wall | CPU | peak memory | to best peer | to floor | |",
            "|---|--:|--:|--:|--:|--:|---|"]
    for tool, row in sorted(rows.items(), key=lambda item: item[1]["wall_s"]):
        state = "" if tool in right else found[tool][0].get("verdict", "failed")
        if tool in peers and not is_within(row, work.limit):
            state = "over the limit"
        cpu = f"{row['cpu_s']:.2f} s" if "cpu_s" in row else "-"
        text.append(f"| {tool} | {row['wall_s']:.2f} s | {cpu} | {row['peak_bytes'] / 1e6:.0f} MB "
                    f"| {ratio(row['wall_s'], best)} | {ratio(row['wall_s'], least)} | {state} |")
    if "levain" in right:
        text += ["", "plan: " + plan_text(found["levain"][0]["plan"]), "", goals(rows, [tool for tool in peers if is_within(rows[tool], work.limit)])]
    return "\n".join(text)


def goals(rows, peers):
    """Levain's wall time beside that of what it is measured by, and the goals."""
    fast = [tool for tool in peers if tool.startswith(("tensorstore", "zarrs"))]
    others = {
        "the best of dask, rechunker, Cubed, xarray-beam": (0.5, [tool for tool in peers if tool not in fast]),
        "the best of tensorstore, zarrs": (1.0, fast),
        "the floor": (2.0, [tool for tool in rows if tool == "floor"]),
        "cp -r": (2.0, [tool for tool in rows if tool == "cp -r"]),
    }
    text = []
    for name, (goal, tools) in others.items():
        if tools:
            ratio = rows["levain"]["wall_s"] / min(rows[tool]["wall_s"] for tool in tools)
            text.append(f"{ratio:.2f} of {name} (goal {goal}{'' if ratio <= goal else ', missed'})")
    return "levain: " + "; ".join(text)


def advised_bytes(error):
    """The least memory that a refusal says would do."""
    asked = re.search(r"allow at least ([\d.]+) ?([KMG]?i?B)", error)
    return math.ceil(float(asked[1]) * UNITS[asked[2]]) if asked else None


def sweep_limits(work, say):
    """Levain at fractions of the limit: it ends within it, or says the least that would do."""
    text = [f"\n| {work.name}, limit | wall | peak memory | plan | |", "|---|--:|--:|---|---|"]
    limits, sound = [(f"/{fraction}", work.limit // fraction) for fraction in FRACTIONS], True
    while limits:
        label, limit = limits.pop(0)
        run = run_levain(work, limit)
        say(work, f"levain {label}", run)
        state = run["verdict"]
        if run["code"] != 0:
            least = advised_bytes(run["out"] + run["error"])
            state = f"refused; {least >> 20} MiB would do" if least else " ".join(run["error"].split())[-120:]
            sound &= run["code"] == 4 and least is not None
            if least and not label.startswith("advised"):
                limits.insert(0, (f"advised for {label}", least))
            elif least:
                sound = False
        else:
            sound &= state == "right" and run["peak_bytes"] <= limit
        text.append(f"| {label}: {limit >> 20} MiB | {run['wall_s']:.2f} s | {run['peak_bytes'] / 1e6:.0f} MB "
                    f"| {plan_text(run.get('plan'))} | {state} |")
    work.clear()
    print("\n".join(text), flush=True)
    return sound


def sweep_sizes(options, say):
    """W1 grown: what a byte costs should not depend on how many there are."""
    text = ["\n| W1, times as long | bytes | wall | ns a byte | of the first | CPU, ns a byte | peak memory | plan | |",
            "|---|--:|--:|--:|--:|--:|--:|---|---|"]
    first, sound = None, True
    for factor in GROWTH:
        work = Workload(options, "W1", factor)
        work.make()
        runs = [run_levain(work, work.limit) for _ in range(options.rounds)]
        for run in runs:
            say(work, f"levain x{factor}", run)
            sound &= run["verdict"] == "right" and run["peak_bytes"] <= work.limit
        row = medians(runs)
        cost, cpu = (row[key] / work.spec["nbytes"] * 1e9 for key in ("wall_s", "cpu_s"))
        first = first or cost
        text.append(f"| {factor} | {work.spec['nbytes'] / 1e6:.0f} MB | {row['wall_s']:.2f} s | {cost:.2f} "
                    f"| {cost / first:.2f} | {cpu:.2f} | {row['peak_bytes'] / 1e6:.0f} MB "
                    f"| {plan_text(runs[0].get('plan'))} | {runs[0]['verdict']} |")
        work.clear()
        if factor > 1:
            work.drop()
    print("\n".join(text), flush=True)
    return sound


def newest(pattern):
    found = [path for path in glob.glob(pattern) if os.access(path, os.X_OK) and "." not in os.path.basename(path)]
    return max(found, key=os.path.getmtime, default=None)


def main():
    if sys.argv[1:2] == ["script"]:
        return scripted(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("levain", "shared", "folder", "size"):
        parser.add_argument(name)
    parser.add_argument("workloads", nargs="*", default=["W1", "W2", "W3", "W4"])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--floor")
    for flag in ("--sweeps", "--only-levain", "--drop-data"):
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args()
    options.levain, options.folder = os.path.abspath(options.levain), os.path.abspath(options.folder)
    options.python = os.environ.get("PEERS_PY", sys.executable)
    options.rechunker = os.environ.get("RECHUNKER_PY")
    options.zarrs = shutil.which(os.environ.get("ZARRS_REENCODE", "zarrs_reencode"))
    beside = newest(os.path.join(os.path.dirname(options.levain), "deps", "rechunk_peers-*"))
    options.floor = options.floor or beside
    if options.floor is None:
        raise SystemExit("the floor is not built: cargo build --release --bench rechunk_peers")
    os.makedirs(options.folder, exist_ok=True)
    results = open(os.path.join(options.folder, "results.jsonl"), "a")

    def say(work, tool, run):
        kept = {key: value for key, value in run.items() if key not in ("out", "error")}
        if run["code"] != 0:
            kept["why"] = run["error"].strip()[-400:]
        line = json.dumps({"workload": work.name, "size": options.size, "tool": tool, **kept})
        print(line, file=results, flush=True)
        print(f"{work.name} {tool}: {run['wall_s']:.2f} s, {run['peak_bytes'] / 1e6:.0f} MB, "
              f"{run.get('verdict', '')} {kept.get('why', '')[-200:]}", flush=True)

    sound = True
    for name in options.workloads:
        work = Workload(options, name)
        work.make()
        sound &= compare(work, options, say)[1]
        if options.sweeps:
            sound &= sweep_limits(work, say)
            sound &= sweep_sizes(options, say) if name == "W1" else True
        if options.drop_data:
            work.drop()
    sys.exit(not sound)


main()
