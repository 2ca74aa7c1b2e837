"""Levain beside dask, in turns in one run: wall time, CPU time and peak resident memory.

usage: run.py LEVAIN PEERS WORK [SIZE [ROUNDS [WORKLOAD ...]]]

LEVAIN is a command built in release, PEERS the folder with the generator, the meter and the check
of the workloads, WORK a folder for data (about 2 GB for SIZE `small`). The interpreter needs the
packages of `.ci/requirements.txt`. W1 turns slabs of a Zarr array into pencils, W3 turns NetCDF-4
files into a sharded Zarr array. Every result is checked against the function that made the data.
Prints a line a run and the medians as a table; exits with 1 if a result is not right.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys

LIMITS = {"small": "512MiB", "tiny": "512MiB", "full": "1GiB"}


def main():
    levain, peers, work = sys.argv[1:4]
    size = sys.argv[4] if len(sys.argv) > 4 else "small"
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 5
    names = sys.argv[6:] or ["W1", "W3"]
    sys.path.insert(0, peers)
    import workloads

    def script(name, *args):
        return [sys.executable, os.path.join(peers, name), *args]

    def lengths(shape):
        return ",".join(f"{dim}={n}" for dim, n in zip(("time", "lat", "lon"), shape))

    def of_levain(name, folder, out):
        spec = workloads.get(name, size)
        limit = ["--mem", LIMITS[size], "--overwrite", "--progress", "none", "--output", "json"]
        if name == "W1":
            chunks = lengths(spec["tgt"])
            return [levain, "rechunk", f"{folder}/src", out, "--chunks", chunks, "--zarr-format", "2", *limit]
        layout = ["--chunks", lengths(spec["tgt"]), "--shards", lengths(spec["shard"])]
        return [levain, "bake", f"{folder}/src/*.nc", out, "--concat", "time", *layout, *limit]

    def tools(name, folder, out):
        ours = ("levain", of_levain(name, folder, out))
        if name == "W1":
            return [ours, ("dask threads", script("peer_dask.py", name, size, folder, out, "threads"))]
        return [ours, ("xarray, dask", script("peer_xarray.py", name, size, folder, out))]

    found, right = {}, True
    for name in names:
        folder = os.path.join(work, name)
        if not os.path.exists(os.path.join(folder, "src")):
            os.makedirs(folder, exist_ok=True)
            subprocess.run(script("gen.py", name, size, folder), check=True, stdout=subprocess.DEVNULL)
    for round_number in range(rounds):
        for name in names:
            folder = os.path.join(work, name)
            out = os.path.join(folder, "out")
            for tool, command in tools(name, folder, out):
                for left in (out, out + ".levain"):
                    shutil.rmtree(left, ignore_errors=True)
                metered = script("measure.py", "--evict", f"{folder}/src", "--", *command)
                done = subprocess.run(metered, capture_output=True, text=True)
                line = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "{}"
                told = json.loads(line) if done.returncode == 0 else None
                checked = subprocess.run(script("verify.py", name, size, folder, out), capture_output=True, text=True)
                verdict = (checked.stdout.strip().splitlines() or ["no result"])[-1]
                is_right = told is not None and checked.returncode == 0 and "DIFFERS" not in verdict
                right &= is_right
                print(f"{round_number} {name} {tool}: {verdict if told else done.stderr[-300:]}"
                      f" {told and told['wall_s']} s", flush=True)
                if is_right:
                    found.setdefault((name, tool), []).append(told)
    print(f"\n| workload, {size} | tool | wall | CPU | peak RSS | wall, of levain |\n|---|---|--:|--:|--:|--:|")
    for (name, tool), runs in sorted(found.items()):
        wall, cpu, peak = (statistics.median(run[key] for run in runs)
                           for key in ("wall_s", "cpu_s", "peak_rss_mb"))
        ours = statistics.median(run["wall_s"] for run in found[name, "levain"])
        print(f"| {name} | {tool} | {wall:.2f} s | {cpu:.2f} s | {peak:.0f} MB | {wall / ours:.2f} |")
    sys.exit(not right)


main()
