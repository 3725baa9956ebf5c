"""The client that drives every contender, in a process of its own.

    python -m benchmarks.client '{"work": "upload", "port": 8000, …}'

What it sends lies in memory, and what it receives the kernel throws away, so that it costs next to nothing.
"""

import gc
import json
import select
import socket
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from random import Random
from typing import Any

from benchmarks import uploading
from benchmarks.memory import BLOCK, memory
from benchmarks.wire import HEAD_END, TIMEOUT, Answer, Connection, request_head

BOUNDARY = "benchmark-4b1f0c7d"
LEAST = 2
"""Times that a thing is read on a connection, however slow that is: percentiles need two."""

Result = dict[str, Any]


def upload(*, port: int, path: str, size: int, files: int, first: int = 0) -> Result:
    """Upload so many files at once, each on a connection of its own and with a name of its own, from `first` on."""
    content = memory(min(size, BLOCK))

    def send(number: int) -> Answer:
        head, tail = form(number, path, size, {})
        with Connection(port) as connection:
            connection.send(head)
            connection.send_file(content, size, block=BLOCK)
            connection.send(tail)
            return connection.answer()

    return _timed(send, range(first, first + files), threads=files)


def trigger(*, port: int, path: str) -> Result:
    """Make a server do what needs no body."""

    def send(_: int) -> Answer:
        with Connection(port) as connection:
            connection.send(request_head("POST", path, {"Content-Length": "0"}))
            return connection.answer()

    return _timed(send, [0], threads=1)


def create(*, port: int, path: str, size: int, concurrency: int, seconds: float) -> Result:
    """Upload small files one after the other, on so many connections, for so many seconds."""
    content, deadline = Random(0).randbytes(size), time.perf_counter() + seconds
    numbers = count(concurrency * 1_000_000)  # no name is used twice on one server

    def send(_: int) -> list[tuple[int, float]]:
        taken = []
        with Connection(port) as connection:
            while (started := time.perf_counter()) < deadline:
                head, tail = form(next(numbers), path, size, {})
                connection.send(head + content + tail)
                taken.append((connection.answer().status, time.perf_counter() - started))
        return taken

    started = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        taken = [each for part in pool.map(send, range(concurrency)) for each in part]
    seconds = time.perf_counter() - started
    latencies = sorted(latency for status, latency in taken if status < 300)
    return {"seconds": seconds, "latencies": latencies, "statuses": [status for status, _ in taken]}


def download(*, port: int, path: str) -> Result:
    """Download one file."""

    def receive(_: int) -> Answer:
        with Connection(port) as connection:
            connection.send(request_head("GET", path, {}))
            return connection.answer()

    return _timed(receive, [0], threads=1)


def head(*, port: int, path: str) -> Result:
    """Read one answer, and tell of its headers."""
    with Connection(port) as connection:
        connection.send(request_head("GET", path, {}))
        answer = connection.answer()
    return {"statuses": [answer.status], "received": answer.size, "headers": dict(answer.headers)}


def read(*, port: int, path: str, headers: dict[str, str], concurrency: int, seconds: float) -> Result:
    """Read one thing again and again, on so many connections, for so many seconds."""
    request, deadline = request_head("GET", path, headers), time.perf_counter() + seconds

    def receive(_: int) -> list[tuple[int, int, float]]:
        taken = list[tuple[int, int, float]]()
        with Connection(port) as connection:
            while (started := time.perf_counter()) < deadline or len(taken) < LEAST:
                connection.send(request)
                answer = connection.answer()
                taken.append((answer.status, answer.size, time.perf_counter() - started))
        return taken

    started = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        taken = [each for part in pool.map(receive, range(concurrency)) for each in part]
    return {
        "seconds": time.perf_counter() - started,
        "statuses": [status for status, _, _ in taken],
        "received": sum(size for _, size, _ in taken),
        "latencies": [latency for _, _, latency in taken],
    }


def ranges(*, port: int, path: str, size: int, length: int, number: int, concurrency: int) -> Result:
    """Read so many ranges at random places of one file."""
    random = Random(0)
    places = [random.randrange(size - length) for _ in range(number)]

    def receive(share: int) -> list[Answer]:
        with Connection(port) as connection:
            return [_range(connection, path, place, length) for place in places[share::concurrency]]

    started = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        answers = [each for part in pool.map(receive, range(concurrency)) for each in part]
    return _result(time.perf_counter() - started, answers)


def refusal(*, port: int, path: str, size: int, headers: dict[str, str]) -> Result:
    """Send a big file until the server answers, as a client does that does not wait for leave to send."""
    head, tail = form(0, path, size, headers)
    started = time.perf_counter()
    with Connection(port) as connection:
        connection.send(head)
        status = _send_until_answered(connection.socket, size, tail)
    return {"seconds": time.perf_counter() - started, "statuses": [status]}


def _send_until_answered(server: socket.socket, size: int, tail: bytes) -> int:
    """Return the status, 0 if the connection was reset before it came."""
    content, sent, answer = Random(0).randbytes(1024 * 1024), 0, b""
    with suppress(ConnectionError):
        while HEAD_END not in answer:
            sending = [server] if sent < size + len(tail) else []
            readable, writable, _ = select.select([server], sending, [], TIMEOUT)
            if readable:
                answer += server.recv(4096) or HEAD_END
            elif writable:
                data = content[: size - sent] if sent < size else tail[sent - size :]
                sent += server.send(data, socket.MSG_DONTWAIT)
            else:
                raise TimeoutError(f"No answer in {TIMEOUT} s.")
    return int(answer.split()[1]) if answer.strip() else 0


def _range(connection: Connection, path: str, place: int, length: int) -> Answer:
    connection.send(request_head("GET", path, {"Range": f"bytes={place}-{place + length - 1}"}))
    return connection.answer()


def form(number: int, path: str, size: int, headers: dict[str, str]) -> tuple[bytes, bytes]:
    """Return what comes before and after the file's bytes in a request."""
    start = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="title"\r\n\r\nA file\r\n'
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="file-{number:09}.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()
    described = {
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Content-Length": str(len(start) + size + len(tail)),
    }
    return request_head("POST", path, {**headers, **described}) + start, tail


def _timed(send: Callable[[int], Answer], numbers: Iterable[int], *, threads: int) -> Result:
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        answers = list(pool.map(send, numbers))
    return _result(time.perf_counter() - started, answers)


def _result(seconds: float, answers: list[Answer]) -> Result:
    return {
        "seconds": seconds,
        "statuses": [answer.status for answer in answers],
        "received": sum(answer.size for answer in answers),
        "location": answers[-1].headers.get("location", ""),
    }


WORKS: dict[str, Callable[..., Result]] = {
    each.__name__: each for each in (upload, trigger, create, download, head, read, ranges, refusal)
} | {each.__name__: each for each in (uploading.patch, uploading.direct, uploading.claimed, uploading.beside)}


def main(job: dict[str, Any]) -> None:
    """Do one work and print what it took."""
    gc.disable()
    print(json.dumps(WORKS[job.pop("work")](**job)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
