"""An S3 emulator with the bucket that the tests want, until it is told to end.

Usage: s3_emulator.py FILE. Writes its address to FILE once it answers.
"""

import os
import signal
import sys

import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
endpoint = "http://{}:{}".format(*server.get_host_and_port())
client = boto3.client(
    "s3",
    endpoint_url=endpoint,
    region_name="us-east-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
client.create_bucket(Bucket="levain-test")

# Whoever waits for the file must never see half of the address.
path = sys.argv[1]
with open(path + ".new", "w") as file:
    file.write(endpoint)
os.rename(path + ".new", path)
signal.pause()
