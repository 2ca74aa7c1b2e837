"""Beam's job service, with the environment that the job servers of Flink, Spark and Prism have and that
of Python lacks: processes that are started by the path of a program, with the same flags."""

import logging
import os
import subprocess
import sys

from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability import local_job_service_main
from apache_beam.runners.portability.fn_api_runner import worker_handlers


@worker_handlers.WorkerHandler.register_environment(
    common_urns.environments.PROCESS.urn, beam_runner_api_pb2.ProcessPayload
)
class ProcessHandler(worker_handlers.GrpcWorkerHandler):
    def __init__(self, payload, state, provision_info, grpc_server):
        super().__init__(state, provision_info, grpc_server)
        self._payload = payload

    def start_worker(self):
        flags = [f"--id={self.worker_id}", f"--provision_endpoint={self.control_address}"]
        environment = {**os.environ, **self._payload.env}
        self._process = subprocess.Popen([self._payload.command, *flags], env=environment)

    def stop_worker(self):
        self._process.wait()


logging.basicConfig()
logging.getLogger().setLevel(logging.INFO)
local_job_service_main.run(sys.argv[1:])
