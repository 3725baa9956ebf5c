"""How long another endpoint takes meanwhile, asked from a process of its own.

    python -m benchmarks.ping PORT

It asks until its standard input ends, then prints what it saw.
"""

import json
import os
import select
import sys
import time
from contextlib import suppress

from benchmarks.wire import Connection, request_head

PAUSE = 0.004
"""Seconds between two requests: often enough to see a loop that is blocked for some milliseconds."""


def main(port: int) -> None:
    """Ask again and again."""
    with suppress(PermissionError):
        os.nice(-10)  # what is measured is the server's delay, not this process's own
    latencies: list[float] = []
    request = request_head("GET", "/ping", {})
    with Connection(port) as connection:
        print("ready", flush=True)
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            started = time.perf_counter()
            connection.send(request)
            connection.answer()
            latencies.append(time.perf_counter() - started)
    print(json.dumps({"count": len(latencies), "worst": max(latencies, default=0.0)}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
