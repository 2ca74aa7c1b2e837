"""Whether bakes and rechunks on real runners of Beam write what the direct runner writes.

usage: beam_bakes.py LEVAIN SHARED WORK [SIZE]

Starts each runner whose place the environment names (LEVAIN_TEST_BEAM_FLINK, LEVAIN_TEST_BEAM_SPARK: folders of
jars; LEVAIN_TEST_BEAM_PRISM: a program) on loopback, and runs the command LEVAIN on it below the folder WORK, with
workers in processes that the runner starts. Every object must be the one of the direct runner, and every chunk
must have been written by a worker: these have a umask of their own. With SIZE, the workload W1 of SHARED in that
size (`small`) is rechunked too, and its values are read by zarr-python. Exits with 1 if anything is wrong.
"""

import os
import sys

from beam_jobs import (DRIVER_UMASK, FLINK, SPARK, Server, compared, endpoint_of, job_server, levain, on_beam,
                       real_jobs, said_of)
from slabs import slab_job, values_differ

RUNNERS = {
    "flink": lambda place, work: job_server(place, work, FLINK, "--flink-master=[local]"),
    "spark": lambda place, work: job_server(place, work, SPARK, "--spark-master-url=local[2]"),
    "prism": lambda place, work: [place, "--job_port=0", "--serve_http=false", "--log_kind=text"],
}
WORKER_UMASK = 0


def main():
    command, shared, work, *size = sys.argv[1:]
    command = os.path.abspath(command)
    worker = os.path.join(work, "worker")
    with open(worker, "w") as file:
        file.write(f'#!/bin/sh\numask {WORKER_UMASK:04o}\nexec "{command}" "$@"\n')
    os.chmod(worker, 0o755)
    os.umask(DRIVER_UMASK)
    jobs = real_jobs(command, shared, work)
    jobs += [slab_job(command, shared, work, it) for it in size]
    wrong = False
    for name, command_of in RUNNERS.items():
        place = os.environ.get(f"LEVAIN_TEST_BEAM_{name.upper()}")
        if not place:
            print(f"skipped: set LEVAIN_TEST_BEAM_{name.upper()} to bake on {name}")
            continue
        own = os.path.join(work, name)
        os.mkdir(own)
        server = Server(name, command_of(place, own), own)
        try:
            endpoint = endpoint_of(server)
            for what, start, target, layout in jobs:
                got = os.path.join(own, os.path.basename(target))
                levain(command, *start, got, *layout, *on_beam(endpoint, worker))
                why, writers = compared(target, got, [WORKER_UMASK])
                if not why and what.startswith("W1"):
                    why = values_differ(start[1], got)
                wrong |= said_of(f"{what} on {name}", why, writers and f"{writers.total()} chunks by workers")
        finally:
            server.end()
    sys.exit(wrong)


main()
