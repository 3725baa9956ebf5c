"""What is done with a contender that has just been started, and what of it is measured."""

from collections.abc import Mapping
from functools import partial
from statistics import quantiles
from typing import Any

from benchmarks.machine import touch_memory
from benchmarks.measure import MEBIBYTE, Taken, watching
from benchmarks.place import SOURCE
from benchmarks.results import Values
from benchmarks.server import Server

UPLOAD = "/documents/"
SMALL = 10 * 1024
RANGE = 64 * 1024
CONCURRENCY = (1, 16, 64)
RANGE_CONCURRENCY = (1, 8)
WARM_UP = 900_000_000
"""Number of a file that nothing else has, so that those who overwrite equal names keep it."""
TOKEN = "a-token-of-the-benchmark"

Measured = dict[str, Values]
"""Case → metric → value."""


class WrongAnswerError(Exception):
    """A contender did not do what it was asked to."""


def check(result: Mapping[str, Any], expected: int) -> None:
    """Raise an error unless all requests were answered with a status."""
    statuses = result["statuses"]
    if wrong := [status for status in statuses if status != expected]:
        raise WrongAnswerError(f"{len(wrong)} of {len(statuses)} requests were answered {wrong[0]}.")


def taken_of(taken: Taken, seconds: float, size: int) -> dict[str, float]:
    """Return the metrics of what took so many seconds for so many bytes."""
    return {
        "seconds": seconds,
        "speed": size / MEBIBYTE / seconds,
        "memory": taken.memory,
        "written": taken.written / size,
        "cpu": taken.cpu,
        "ping": taken.ping * 1000,
    }


def _warm(server: Server) -> None:
    if server.contender.reads_body:
        server.client("upload", path=UPLOAD, size=SMALL, files=1, first=WARM_UP)


def upload(server: Server, *, size: int, files: int = 1) -> Measured:
    """Upload files at once; a contender that answers before it has stored is waited for."""
    _warm(server)
    discards = server.contender.name == "discard"
    before = server.place.stored_bytes()
    touch_memory(2 * size * files)  # what comes in, and its copy
    with watching(server.pid, server.port) as taken:
        if server.contender.reads_body:
            result = server.client("upload", path=UPLOAD, size=size, files=files)
        else:
            result = server.client("trigger", path=UPLOAD)
        late = 0.0 if discards else server.wait_until_stored(before + size * files)
    check(result, 201)
    answered = result["seconds"]
    return {"": {**taken_of(taken, answered + late, size * files), "answered": answered, "early": float(late > 0)}}


def download(server: Server, *, size: int) -> Measured:
    """Download a big file."""
    path = _path_of_file(server, size)
    server.client("ranges", path=path, size=size, length=RANGE, number=4, concurrency=1)
    with watching(server.pid, server.port) as taken:
        result = server.client("download", path=path)
    check(result, 200)
    if result["received"] != size:
        raise WrongAnswerError(f"{result['received']} bytes came instead of {size}.")
    return {"": taken_of(taken, result["seconds"], size)}


def ranges(server: Server, *, size: int, number: int) -> Measured:
    """Read many ranges of a big file."""
    path = _path_of_file(server, size)
    ask = partial(server.client, "ranges", path=path, size=size, length=RANGE)
    ask(number=4, concurrency=1)
    measured: Measured = {}
    for concurrency in RANGE_CONCURRENCY:
        with watching(server.pid, server.port) as taken:
            result = ask(number=number, concurrency=concurrency)
        check(result, 206)
        seconds = result["seconds"]
        measured[str(concurrency)] = {**taken_of(taken, seconds, RANGE * number), "rate": number / seconds}
    return measured


def _path_of_file(server: Server, size: int) -> str:
    if server.contender.name in {"file_response", "obstore_stream"}:
        return f"/files/{SOURCE}"
    result = server.client("upload", path=UPLOAD, size=size, files=1)
    check(result, 201)
    server.wait_until_stored(size)
    return f"{result['location']}/file"


def read(server: Server, *, seconds: float) -> Measured:
    """Read a small file with its row."""
    return _read(server, _path_of_file(server, SMALL), {}, 200, seconds)


def revalidate(server: Server, *, seconds: float) -> Measured:
    """Ask for a small file that the client has already."""
    path = _path_of_file(server, SMALL)
    tag = server.client("head", path=path)["headers"]["etag"]
    return _read(server, path, {"If-None-Match": tag}, 304, seconds)


def read_signed(server: Server, *, seconds: float) -> Measured:
    """Read a small file without a row: by its signed URL or, where there is none, by its name."""
    path = _path_of_file(server, SMALL)
    if server.contender.name == "ours":
        path = server.client("head", path=f"{path.removesuffix('/file')}/signed")["headers"]["location"]
    return _read(server, path, {}, 200, seconds)


def _read(server: Server, path: str, headers: dict[str, str], status: int, seconds: float) -> Measured:
    ask, measured = partial(server.client, "read", path=path, headers=headers), dict[str, Values]()
    ask(concurrency=1, seconds=seconds / 10)
    for concurrency in CONCURRENCY:
        with watching(server.pid, server.port) as taken:
            result = ask(concurrency=concurrency, seconds=seconds)
        check(result, status)
        if result["received"] != (SMALL * len(result["statuses"]) if status == 200 else 0):
            raise WrongAnswerError(f"{result['received']} bytes came.")
        measured[str(concurrency)] = {**taken_of(taken, result["seconds"], SMALL), **_rate(result, result["latencies"])}
    return measured


def create(server: Server, *, seconds: float) -> Measured:
    """Upload small files as fast as they are answered."""
    _warm(server)
    return {str(concurrency): _create(server, concurrency, seconds) for concurrency in CONCURRENCY}


def _create(server: Server, concurrency: int, seconds: float) -> Values:
    with watching(server.pid, server.port) as taken:
        result = server.client("create", path=UPLOAD, size=SMALL, concurrency=concurrency, seconds=seconds)
    latencies = result["latencies"]
    if len(latencies) < 2:
        raise WrongAnswerError("Hardly any upload succeeded.")
    return {**taken_of(taken, result["seconds"], SMALL * len(latencies)), **_rate(result, latencies)}


def _rate(result: Mapping[str, Any], latencies: list[float]) -> dict[str, float]:
    cuts = quantiles(latencies, n=100)
    return {
        "rate": len(latencies) / result["seconds"],
        "p50": cuts[49] * 1000,
        "p99": cuts[98] * 1000,
        "errors": len(result["statuses"]) - len(latencies),
    }


def refuse(server: Server, *, size: int) -> Measured:
    """Send what must be refused: without a token, and with one but over the limit."""
    measured: Measured = {}
    for case, headers in {"unauthenticated": {}, "oversize": {"Authorization": f"Bearer {TOKEN}"}}.items():
        _refuse(server, SMALL, headers)  # what is imported or opened by the first one is not read from the client
        measured[case] = _refuse(server, size, headers)
    return measured


def _refuse(server: Server, size: int, headers: dict[str, str]) -> Values:
    with watching(server.pid, server.port) as taken:
        result = server.client("refusal", path=UPLOAD, size=size, headers=headers)
    return {
        "milliseconds": result["seconds"] * 1000,
        "read": taken.read / 1e6,
        "status": result["statuses"][0],
        "memory": taken.memory,
        "ping": taken.ping * 1000,
    }
