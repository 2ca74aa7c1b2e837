"""Job servers of Beam on loopback, the command on them, and what it has written.

What `beam_bakes.py` and `beam_cluster.py` share.
"""

import collections
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
# So much of a log tells why its process has ended.
LAST_WORDS = 4000
# Metadata are written by the driver, with this mask; whoever runs workers gives them another one.
DRIVER_UMASK = 0o022
ENDPOINT = re.compile(r"(?:JobService started on |endpoint=)(localhost:\d+)\n")


def java(jars, work, said, memory, *words):
    """The command of a program of these jars, which logs nothing but warnings and what loggers `said` say."""
    logs = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            *[f"-Dorg.slf4j.simpleLogger.log.{name}=info" for name in said]]
    # Short jobs end before a second compiler has anything of its work.
    return ["java", f"-Xmx{memory}", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *logs,
            f"-Djava.io.tmpdir={work}", *[f"--add-opens={it}=ALL-UNNAMED" for it in OPENED],
            "-cp", os.path.join(jars, "*"), *words]


def job_server(jars, work, driver, master):
    """The command of a job server of Beam that is written in Java."""
    return java(jars, work, ["org.apache.beam.runners.jobsubmission"], "1g", driver, master,
                "--job-host=localhost", "--job-port=0", "--artifact-port=0", "--expansion-port=-1",
                f"--artifacts-dir={work}/staging")


FLINK = "org.apache.beam.runners.flink.FlinkJobServerDriver"
SPARK = "org.apache.beam.runners.spark.SparkJobServerDriver"


class Server:
    """A process with a log, that ends when it is told so."""

    def __init__(self, name, command, work, umask=-1):
        self.name, self.log = name, os.path.join(work, f"{name}.log")
        with open(self.log, "w") as file:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                            umask=umask)

    def said(self):
        with open(self.log) as file:
            return file.read()

    def wait_for(self, look):
        """What `look` finds in the log, once it finds something."""
        end = time.monotonic() + START_LIMIT_S
        while time.monotonic() < end and self.process.poll() is None:
            found = look(self.said())
            if found:
                return found
            time.sleep(0.1)
        self.process.kill()
        sys.exit(f"{self.name} does not start: {self.said()[-LAST_WORDS:]}")

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def endpoint_of(server):
    """Where a job server listens, once it does."""
    return server.wait_for(ENDPOINT.search)[1]


def on_beam(endpoint, worker, *options):
    """What says that a job runs on the runner there, by processes that it starts of the program `worker`."""
    return ["--runner", "beam", "--endpoint", endpoint, "--environment", "process", "--worker-command", worker,
            *[word for option in options for word in ("--beam-option", option)]]


def started(command, *arguments):
    """The command, begun."""
    return subprocess.Popen([command, *arguments, "--progress", "none"], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ended(running):
    """Waits for a command that has begun, which must end well; what it has said."""
    try:
        said = "".join(running.communicate(timeout=JOB_LIMIT_S))
    except subprocess.TimeoutExpired:
        running.kill()
        said = "it does not end: " + "".join(running.communicate())
    if running.returncode:
        sys.exit(f"levain {' '.join(running.args[1:])}: {said}")
    return said


def levain(command, *arguments):
    return ended(started(command, *arguments))


def files(store):
    paths = (os.path.join(folder, name) for folder, _, names in os.walk(store) for name in names)
    return {os.path.relpath(path, store): path for path in paths}


def chunks(store):
    """The paths of all chunks of a store, temporary files left out."""
    return [path for key, path in files(store).items()
            if not key.endswith(".json") and "#" not in os.path.basename(path)]


def mask_of(path):
    """The mask of who has written a file."""
    return ~stat.S_IMODE(os.stat(path).st_mode) & 0o066


def compared(want, got, masks):
    """What differs, and how many chunks are there of each of those whose masks these are."""
    want, got_chunks, got = files(want), chunks(got), files(got)
    if want.keys() != got.keys():
        return f"other objects: {sorted(want.keys() ^ got.keys())[:3]}", None
    other = [key for key in want if not filecmp.cmp(want[key], got[key], shallow=False)]
    if other:
        return f"other bytes: {sorted(other)[:3]}", None
    writers = collections.Counter(map(mask_of, got_chunks))
    if not got_chunks or not writers.keys() <= set(masks):
        return f"not written by workers: {[path for path in got_chunks if mask_of(path) not in masks][:3]}", None
    return None, writers


def real_jobs(command, shared, work):
    """A bake of real files, and a rechunk of its store: name, words, the direct runner's store, layout."""
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
    return jobs


def said_of(what, why, how):
    print(f"{'WRONG' if why else 'right'}   {what}: {why or how}", flush=True)
    return why is not None
