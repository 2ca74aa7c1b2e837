"""Whether jobs on a stand-alone Flink write what the direct runner writes, also when a task manager is killed.

usage: beam_cluster.py LEVAIN SHARED WORK [SIZE]

Starts Flink from the jars in LEVAIN_TEST_FLINK, a job manager and two task managers, and Beam's job server for it from
those in LEVAIN_TEST_BEAM_FLINK, all on loopback; then runs the command LEVAIN on it below the folder WORK, with workers
in processes that the task managers start: the bake and the rechunk of `beam_bakes.py`, the workload W1 of SHARED
(SIZE `small`, or a smaller one), whose values zarr-python reads too, and a rechunk in the midst of which a task manager
is killed. Every object must be the one of the direct runner, and every chunk must have been written by a worker: each
task manager has a umask of its own, which its workers inherit. Exits with 1 if anything is wrong.
"""

import functools
import http.server
import os
import re
import sys
import threading
import time

import psutil

from beam_jobs import (DRIVER_UMASK, FLINK, JOB_LIMIT_S, Server, chunks, compared, ended, endpoint_of,
                       java, job_server, levain, mask_of, on_beam, real_jobs, said_of, started)
from slabs import many_slabs, slab_job, values_differ

# Two machines with two slots each, of which a job takes one: so one machine can go on alone.
UMASKS = {"first": 0o002, "second": 0o020}
SLOTS, PARALLELISM = 2, "parallelism=2"
SETTINGS = {
    "jobmanager.rpc.address": "localhost",
    "jobmanager.rpc.port": 0,
    "jobmanager.bind-host": "localhost",
    "taskmanager.host": "localhost",
    "taskmanager.bind-host": "localhost",
    "taskmanager.numberOfTaskSlots": SLOTS,
    "taskmanager.load-balance.mode": "SLOTS",
    # What Flink's scripts derive from the size of the process.
    "taskmanager.cpu.cores": 1,
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.task.heap.size": "256m",
    "taskmanager.memory.task.off-heap.size": "0",
    "taskmanager.memory.managed.size": "64m",
    "taskmanager.memory.network.min": "32m",
    "taskmanager.memory.network.max": "32m",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "64m",
    "taskmanager.memory.jvm-overhead.max": "64m",
    "rest.address": "localhost",
    "rest.bind-address": "localhost",
    "rest.bind-port": 0,
    # A job is begun again when a machine is lost. Beam has options for that too, but not for bounded jobs.
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": 10,
    "restart-strategy.fixed-delay.delay": "1 s",
    # One that is gone is missed when it is called, so that it is called often; a slow one is waited for.
    "heartbeat.interval": 1000,
    "pekko.ask.timeout": "120 s",
}
RPC_PORT = re.compile(r"pekko\.tcp://flink@localhost:(\d+)")
REGISTERED = re.compile("Successful registration at resource manager")
REST_PORT = re.compile(r"Rest endpoint listening at [\w.]+:(\d+)")
# Arrays are copied in this order, each by one task: the last two are held back until a machine was killed.
NAMES = [f"v{place}" for place in range(8)]
HELD = NAMES[-2:]
SHAPE, SLAB, PENCIL = (96, 37, 72), (8, 37, 72), "time=96,lat=6,lon=6"
LOOK_S = 0.05


class Cluster:
    """A job manager, two task managers, and a job server of Beam for them."""

    def __init__(self, flink, beam, work):
        self.flink, self.work, self.servers = flink, work, []
        with open(os.path.join(work, "flink-conf.yaml"), "w") as file:
            file.writelines(f"{name}: {value}\n" for name, value in SETTINGS.items())
        entry = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
        manager = self.start("job-manager", entry, "512m")
        self.rpc = manager.wait_for(RPC_PORT.search)[1]
        self.rest = manager.wait_for(REST_PORT.search)[1]
        self.machines = {name: self.machine(name) for name in UMASKS}
        for machine in self.machines.values():
            machine.wait_for(REGISTERED.search)
        command = job_server(beam, work, FLINK, f"--flink-master=localhost:{self.rest}")
        server = Server("job-server", command, work)
        self.servers.append(server)
        self.endpoint = endpoint_of(server)

    def start(self, name, entry, memory, *words, umask=-1):
        own = os.path.join(self.work, name)
        os.mkdir(own)
        said = ["org.apache.flink.runtime"]
        command = java(self.flink, own, said, memory, entry, "--configDir", self.work, *words)
        self.servers.append(Server(name, command, own, umask))
        return self.servers[-1]

    def machine(self, name):
        entry = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        return self.start(name, entry, "768m", "-D", f"jobmanager.rpc.port={self.rpc}", umask=UMASKS[name])

    def end(self):
        for server in reversed(self.servers):
            server.end()


def is_alive(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def told(writers):
    by_mask = {mask: name for name, mask in UMASKS.items()}
    return ", ".join(f"{count} chunks by workers of the {by_mask[mask]}" for mask, count in sorted(writers.items()))


def run(command, cluster, job):
    """Runs a job on the cluster: what is wrong, and who has written."""
    what, start, target, layout = job
    got = os.path.join(cluster.work, os.path.basename(target))
    levain(command, *start, got, *layout, *on_beam(cluster.endpoint, command, PARALLELISM))
    why, writers = compared(target, got, UMASKS.values())
    if not why and what.startswith("W1"):
        why = values_differ(start[1], got)
    elif not why and len(writers) < len(UMASKS):
        why = f"not by workers of both: {told(writers)}"
    return said_of(f"{what} on two task managers", why, writers and told(writers))


class Held(http.server.SimpleHTTPRequestHandler):
    """A folder, of which the chunks of some arrays come only when `let` is set."""

    def __init__(self, *arguments, let, **words):
        self.let = let
        super().__init__(*arguments, **words)

    def do_GET(self):
        folder, chunk = os.path.split(self.path)
        if os.path.basename(folder) in HELD and chunk[:1].isdigit():
            self.let.wait()
        try:
            super().do_GET()
        except ConnectionError:
            # Whoever has asked is gone.
            pass

    def log_message(self, *_):
        pass


def waited_for(what, look):
    """What `look` finds, once it finds something."""
    end = time.monotonic() + JOB_LIMIT_S
    while not (found := look()):
        if time.monotonic() > end:
            return sys.exit(f"in vain was waited for {what}")
        time.sleep(LOOK_S)
    return found


def killed(running, machine, got):
    """Kills a task manager once workers of both have written: how many chunks there are, and whose workers it had."""
    def both_write():
        if running.poll() is not None:
            sys.exit(f"the job has ended early: {ended(running)}")
        return set(map(mask_of, chunks(got))) >= set(UMASKS.values())

    waited_for("chunks by workers of both task managers", both_write)
    workers = psutil.Process(machine.process.pid).children(recursive=True)
    machine.process.kill()
    machine.process.wait()
    return len(chunks(got)), workers


def run_killed(command, cluster, work):
    """Kills a task manager in the midst of a job, which must end well all the same."""
    want, got = os.path.join(work, "pencils.zarr"), os.path.join(cluster.work, "pencils.zarr")
    many_slabs(os.path.join(work, "slabs"), NAMES, SHAPE, SLAB)
    layout = ["--chunks", PENCIL, "--mem", "512MiB", "--threads", "2"]
    levain(command, "rechunk", os.path.join(work, "slabs"), want, *layout)
    let = threading.Event()
    handler = functools.partial(Held, let=let, directory=work)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        words = ["rechunk", f"http://127.0.0.1:{server.server_port}/slabs", got, *layout]
        running = started(command, *words, *on_beam(cluster.endpoint, command, PARALLELISM))
        try:
            count, orphans = killed(running, cluster.machines["first"], got)
        finally:
            let.set()
            ended(running)
            server.shutdown()
    why, writers = compared(want, got, UMASKS.values())
    late = {mask_of(path) for name in HELD for path in chunks(os.path.join(got, name))}
    if not why and not count < writers.total():
        why = "it was killed too late"
    if not why and late != {UMASKS["second"]}:
        why = f"what was written later is not by workers of the one that is left: {late}"
    if not why:
        why = values_differ(os.path.join(work, "slabs"), got)
    waited_for("the end of the workers of the one that was killed", lambda: not any(map(is_alive, orphans)))
    how = writers and f"{count} of {writers.total()} chunks were there; at last {told(writers)}"
    return said_of("rechunk, one of two task managers killed", why, how)


def main():
    command, shared, work, *size = sys.argv[1:]
    command = os.path.abspath(command)
    places = [os.environ.get(name) for name in ("LEVAIN_TEST_FLINK", "LEVAIN_TEST_BEAM_FLINK")]
    if not all(places):
        print("skipped: set LEVAIN_TEST_FLINK and LEVAIN_TEST_BEAM_FLINK to run on two task managers")
        return
    os.umask(DRIVER_UMASK)
    jobs = [*real_jobs(command, shared, work), slab_job(command, shared, work, *(size or ["scaled"]))]
    own = os.path.join(work, "cluster")
    os.mkdir(own)
    cluster = Cluster(*places, own)
    try:
        wrong = [run(command, cluster, job) for job in jobs]
        wrong.append(run_killed(command, cluster, work))
    finally:
        cluster.end()
    sys.exit(any(wrong))


main()
