"""Whether bakes on AWS Batch hold what Python's xarray makes of the same files, and the bytes of a bake
by one process.

usage: batch.py LEVAIN PROGRAMS ENDPOINT SHARED WORK [all | large MEBIBYTES]

AWS Batch is the emulator in the folder PROGRAMS, whose jobs are processes; the store is the S3 server at
ENDPOINT, which driver and workers reach by a proxy each. Bakes a part of the files under
SHARED/data/arm-test-data, or with `all` each of them, once on workers and once with threads, compares the
objects of both stores and every variable of the first. The logs of the proxies must show that workers have
written every chunk. With `large` it bakes one source of so many mebibytes in place of these files, of which the
driver must not move four. Prints one line a case and a summary; exits with 1 if anything is wrong.
"""
import glob
import json
import os
import subprocess
import sys
import urllib.request

import boto3
import numpy as np
import xarray as xr

from local import Suite

BUCKET = "levain-test"
PLACE = "interop-batch"
DRIVER_BYTES = 4 << 20
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
CHUNKS = [f"{PLACE}/*.zarr/*/c", f"{PLACE}/*.zarr/*/c/*"]


class Server:
    """A program that says where it listens, and ends with its input."""

    def __init__(self, program, *arguments, env=None):
        self.child = subprocess.Popen(
            [program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **(env or {})})
        self.url = self.child.stdout.readline().split()[-1]

    def post(self, path, body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), method="POST")
        return json.load(urllib.request.urlopen(request))

    def end(self):
        self.child.stdin.close()
        self.child.wait()


class BatchSuite(Suite):
    """Bakes on workers, and compares what they have written with what one process writes."""

    def __init__(self, levain, programs, endpoint, work):
        super().__init__(levain, work)
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        self.s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
        self.proxies = [
            Server(os.path.join(programs, "store-faults"), "--upstream", endpoint) for _ in range(2)]
        # What delays nothing still counts.
        puts = [{"mode": "latency", "delay_s": 0, "op": "PutObject", "key": key} for key in CHUNKS]
        for proxy in self.proxies:
            proxy.post("/_faults/rules", {"rules": puts})
        driver, workers = [proxy.url for proxy in self.proxies]
        reached = {**KEYS, "AWS_ENDPOINT_URL": workers, "AWS_ALLOW_HTTP": "true"}
        passed = [flag for name in reached for flag in ("--pass-env", name)]
        self.emulator = Server(
            os.path.join(programs, "batch-emulator"), "--create-queue", "bakery", "--fast",
            "--slots", "4", "--rate", "1000", *passed, env=reached)
        self.env = {
            **os.environ, **KEYS, "AWS_ENDPOINT_URL": driver, "AWS_ALLOW_HTTP": "true",
            "LEVAIN_BATCH__ENDPOINT": self.emulator.url, "LEVAIN_BATCH__REGION": "us-east-1",
            "LEVAIN_BATCH__QUEUE": "bakery"}
        self.chunks = 0
        self.command("batch", "jobdef", "register", "interop", "--image", "levain").check_returncode()

    def command(self, *arguments):
        return subprocess.run([self.levain, *arguments], capture_output=True, text=True, env=self.env)

    def uploaded(self, source):
        key = f"{PLACE}/sources/{os.path.basename(source)}"
        self.s3.upload_file(source, BUCKET, key)
        return f"s3://{BUCKET}/{key}"

    def objects(self, prefix):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix + "/")
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return {
            key[len(prefix) + 1:]: self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            for key in keys}

    def run(self, name, sources, *args):
        direct, done = super().run(name + ".direct", sources, *args)
        if done.returncode != 0:
            return direct, done
        place = f"{PLACE}/{name.replace('/', '_')}.zarr"
        done = self.command(
            "bake", *map(self.uploaded, sources), f"s3://{BUCKET}/{place}", *args,
            "--progress", "none", "--runner", "batch", "--job-definition", "interop",
            "--worker-command", f"{self.levain} worker", "--workers", "2", "--vcpus", "1",
            "--memory", "1GiB", "--look-ms", "20")
        if done.returncode != 0:
            return direct, done
        got, want = self.objects(place), files_below(direct)
        if got != want:
            done.returncode = 1
            done.stderr = f"other objects: {sorted(k for k in got | want if got.get(k) != want.get(k))}"
        self.chunks += sum("/c" in key and not key.endswith("zarr.json") for key in want)
        store = os.path.join(self.work, name.replace("/", "_") + ".zarr")
        for key, body in got.items():
            path = os.path.join(store, key)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(body)
        return store, done

    def check_writers(self):
        """Every chunk was written by workers, and none by the driver."""
        states = [proxy.post("/_faults/state", {}) for proxy in self.proxies]
        of_driver, of_workers = [sum(rule["applied"] for rule in it["rules"]) for it in states]
        moved = sum(it["sentBytes"] + it["receivedBytes"] for it in states[0]["operations"].values())
        print(f"chunks: {of_workers} written by workers, {of_driver} by the driver, of {self.chunks}; "
              f"{moved} bytes through the driver")
        if of_driver or of_workers < self.chunks:
            self.fail("writers", "the driver has written chunks, or workers have not written all")
        return moved

    def end(self):
        for server in [self.emulator, *self.proxies]:
            server.end()


def large_file(work, mebibytes):
    """A file with one variable that has a value of its own in every element of a step."""
    path, width = os.path.join(work, "large.nc"), 1 << 18
    steps = mebibytes
    values = np.arange(width, dtype="f4") * np.arange(1, steps + 1, dtype="f4")[:, None]
    dataset = xr.Dataset({"v": (("time", "x"), values)}, {"time": np.arange(float(steps))})
    dataset.to_netcdf(path, format="NETCDF3_64BIT")
    return path


def files_below(folder):
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


def main():
    levain, programs, endpoint, shared, work, *rest = sys.argv[1:]
    files = lambda pattern: sorted(glob.glob(os.path.join(shared, "data/arm-test-data", pattern)))
    suite = BatchSuite(levain, programs, endpoint, work)
    try:
        if "large" in rest:
            path = large_file(work, int(rest[1]))
            suite.right_case("large", [path], "--chunks", "time=16,x=262144")
            if suite.check_writers() >= DRIVER_BYTES:
                suite.fail("large", "data have passed through the driver")
            return
        met = files("sgpmetE13.b1.2019010[1-7]*.cdf")
        suite.right_case("met", met, "--static", "first", concat="time")
        sonde = files("twpsondewnpnC3.b1.200601*.cdf")
        suite.right_case("sonde", sonde, "--static", "first", concat="time")
        alone = files("*") if "all" in rest else files("sgpstampE13*") + files("sgpmet_no_time.nc")
        for path in alone:
            suite.right_case(os.path.basename(path), [path])
        suite.check_writers()
    finally:
        suite.end()
        print(f"{suite.right} right, {len(suite.wrong)} wrong")
        if suite.wrong:
            sys.exit(1)


main()
