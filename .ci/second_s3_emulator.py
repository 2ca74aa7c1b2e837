"""MiniStack: a second S3 server, which shares no code with the first, until it is told to end.

Usage: second_s3_emulator.py FILE. Writes its address to FILE once it answers and has the bucket.
"""

import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request

# It takes no port 0. Whoever else took the port meanwhile would make its start fail, and loudly.
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
endpoint = f"http://127.0.0.1:{port}"
# By itself it listens on all interfaces and starts all services of a cloud.
os.environ.update(
    BIND_HOST="127.0.0.1",
    GATEWAY_PORT=str(port),
    SERVICES="s3,logs,sts",
    LOG_LEVEL="WARNING",
)


def announce(path):
    while True:
        try:
            urllib.request.urlopen(f"{endpoint}/_localstack/health", timeout=5).close()
            break
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    bucket = urllib.request.Request(f"{endpoint}/levain-test", method="PUT")
    urllib.request.urlopen(bucket, timeout=5).close()
    # Whoever waits for the file must never see half of the address.
    with open(path + ".new", "w") as file:
        file.write(endpoint)
    os.rename(path + ".new", path)


threading.Thread(target=announce, args=[sys.argv[1]], daemon=True).start()

from ministack.app import main  # noqa: E402  (it reads the environment when it is imported)

sys.argv = sys.argv[:1]
main()
