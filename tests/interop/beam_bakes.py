"""Whether bakes and rechunks on real runners of Beam write what the direct runner writes.

usage: beam_bakes.py LEVAIN SHARED WORK

Starts each runner whose place the environment names (LEVAIN_TEST_BEAM_FLINK, LEVAIN_TEST_BEAM_SPARK: folders of
jars; LEVAIN_TEST_BEAM_PRISM: a program) on loopback, and runs the command LEVAIN on it below the folder WORK, with
workers in processes that the runner starts. Every object must be the one of the direct runner, and every chunk
must have been written by a worker: these have a umask of their own. Exits with 1 if anything is wrong.
"""

import filecmp
import glob
import os
import re
import stat
import subprocess
import sys
import time

OPENED = ["io", "lang", "lang.invoke", "lang.reflect", "net", "nio", "util", "util.concurrent",
          "util.concurrent.atomic"]
OPENED = [f"java.base/java.{name}" for name in OPENED]
OPENED += ["java.base/sun.nio.ch", "java.base/sun.security.action", "java.base/sun.util.calendar"]
START_LIMIT_S = 120
JOB_LIMIT_S = 300


def java(jars, driver, master, work):
    quiet = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
             "-Dorg.slf4j.simpleLogger.log.org.apache.beam.runners.jobsubmission=info"]
    return ["java", "-Xmx1g", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *quiet,
            f"-Djava.io.tmpdir={work}", *[f"--add-opens={it}=ALL-UNNAMED" for it in OPENED],
            "-cp", os.path.join(jars, "*"), driver, master, "--job-host=localhost", "--job-port=0",
            "--artifact-port=0", "--expansion-port=-1", f"--artifacts-dir={work}/staging"]


RUNNERS = {
    "flink": lambda place, work: java(
        place, "org.apache.beam.runners.flink.FlinkJobServerDriver", "--flink-master=[local]", work),
    "spark": lambda place, work: java(
        place, "org.apache.beam.runners.spark.SparkJobServerDriver", "--spark-master-url=local[2]", work),
    "prism": lambda place, work: [place, "--job_port=0", "--serve_http=false", "--log_kind=text"],
}
ENDPOINT = re.compile(r"(?:JobService started on |endpoint=)(localhost:\d+)")


def started(name, command, work):
    """A job server that listens, and where."""
    log = os.path.join(work, "log")
    with open(log, "w") as file:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end and server.poll() is None:
        with open(log) as file:
            found = ENDPOINT.search(file.read())
        if found:
            return server, found[1]
        time.sleep(0.1)
    server.kill()
    with open(log) as file:
        sys.exit(f"{name} does not start: {file.read()}")


def levain(command, *arguments):
    ran = subprocess.run([command, *arguments, "--progress", "none"], capture_output=True, text=True,
                         timeout=JOB_LIMIT_S)
    if ran.returncode:
        sys.exit(f"levain {' '.join(arguments)}: {ran.stdout}{ran.stderr}")


def files(store):
    paths = (os.path.join(folder, name) for folder, _, names in os.walk(store) for name in names)
    return {os.path.relpath(path, store): path for path in paths}


def compared(want, got):
    """What differs, and how many chunks there are."""
    want, got = files(want), files(got)
    if want.keys() != got.keys():
        return f"other objects: {sorted(want.keys() ^ got.keys())[:3]}", 0
    other = [key for key in want if not filecmp.cmp(want[key], got[key], shallow=False)]
    if other:
        return f"other bytes: {sorted(other)[:3]}", 0
    chunks = [path for key, path in got.items() if not key.endswith(".json")]
    not_by_workers = [path for path in chunks if not os.stat(path).st_mode & stat.S_IWOTH]
    if not_by_workers or not chunks:
        return f"not written by workers: {not_by_workers[:3]}", 0
    return None, len(chunks)


def main():
    command, shared, work = sys.argv[1:]
    command = os.path.abspath(command)
    worker = os.path.join(work, "worker")
    with open(worker, "w") as file:
        file.write(f'#!/bin/sh\numask 0000\nexec "{command}" "$@"\n')
    os.chmod(worker, 0o755)
    os.umask(0o022)
    sources = sorted(glob.glob(os.path.join(shared, "data/arm-test-data/sgpmetE13.b1.2019010*.cdf")))
    if not sources:
        sys.exit(f"there are no files in {shared}/data/arm-test-data")
    baked, turned = os.path.join(work, "baked.zarr"), os.path.join(work, "turned.zarr")
    jobs = [
        ("bake", ["bake", *sources], baked, ["--chunks", "time=1000", "--static", "concat"]),
        ("rechunk", ["rechunk", baked], turned, ["--chunks", "time=333"]),
    ]
    for _, start, target, layout in jobs:
        levain(command, *start, target, *layout)
    wrong = False
    for name, command_of in RUNNERS.items():
        place = os.environ.get(f"LEVAIN_TEST_BEAM_{name.upper()}")
        if not place:
            print(f"skipped: set LEVAIN_TEST_BEAM_{name.upper()} to bake on {name}")
            continue
        own = os.path.join(work, name)
        os.mkdir(own)
        server, endpoint = started(name, command_of(place, own), own)
        try:
            for what, start, target, layout in jobs:
                got = os.path.join(own, os.path.basename(target))
                on = ["--runner", "beam", "--endpoint", endpoint, "--environment", "process",
                      "--worker-command", worker]
                levain(command, *start, got, *layout, *on)
                why, count = compared(target, got)
                wrong |= why is not None
                print(f"{'WRONG' if why else 'right'}   {what} on {name}: {why or f'{count} chunks by workers'}")
        finally:
            server.terminate()
            server.wait(60)
    sys.exit(wrong)


main()
