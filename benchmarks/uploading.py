"""What clients do whose uploads are things of their own: begin one, send its bytes, and let a row take it."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from benchmarks.memory import BLOCK, memory
from benchmarks.wire import Answer, Connection, request_head

TUS = {"Tus-Resumable": "1.0.0"}
KIND = "application/octet-stream"
PIECE = 64 * 1024

Result = dict[str, Any]


def patch(*, port: int, path: str, size: int, files: int) -> Result:
    """Send so many files at once, each in one PATCH, and let rows take them."""
    content = memory(min(size, BLOCK))

    def send(_: int) -> Answer:
        with Connection(port) as connection:
            upload = begin(connection, path, size)
            connection.send(patch_head(upload, 0, size))
            connection.send_file(content, size, block=BLOCK)
            answer = connection.answer()
            return answer if answer.status >= 300 else claim(connection, path, upload)

    return _timed(send, range(files))


def direct(*, port: int, path: str, size: int, is_claimed: bool) -> Result:
    """Store a file where the answer says, and let a row take it, if there are rows."""
    content = memory(min(size, BLOCK))

    def send(_: int) -> Answer:
        with Connection(port) as connection:
            answer = post(connection, f"{path}uploads", {"filename": "a.bin", "content_type": KIND, "size": size})
        begun = json.loads(answer.body)
        url = urlsplit(begun["direct"]["url"])
        headers = {**begun["direct"]["headers"], "Content-Length": str(size), "Host": url.netloc}
        with Connection(url.port or 80) as store:
            store.send(request_head("PUT", f"{url.path}?{url.query}", headers))
            store.send_file(content, size, block=BLOCK)
            stored = store.answer()
        if stored.status >= 300 or not is_claimed:
            return stored
        with Connection(port) as connection:  # servers close one that was silent for so long
            return claim(connection, path, begun["id"])

    return _timed(send, range(1))


def claimed(*, port: int, path: str, upload: str) -> Result:
    """Let a row take an upload."""

    def send(_: int) -> Answer:
        with Connection(port) as connection:
            return claim(connection, path, upload)

    return _timed(send, range(1))


def beside(*, port: int, path: str, other: int) -> Result:
    """Ask another process for an upload while a PATCH of it hangs, and send it the rest."""
    size = 2 * PIECE
    with Connection(port) as hanging:
        upload = begin(hanging, path, size)
        hanging.send(patch_head(upload, 0, size) + bytes(PIECE))
        time.sleep(1)
        started = time.perf_counter()
        offset = _ask(other, upload)
        asked = time.perf_counter()
        while (answer := _go_on(other, upload, offset, size)).status == 409:
            offset = _ask(other, upload)
        served = time.perf_counter()
    return {"head": asked - started, "served": served - asked, "statuses": [answer.status]}


def _ask(port: int, upload: str) -> int:
    with Connection(port) as connection:
        connection.send(request_head("HEAD", upload, TUS))
        return int(connection.answer().headers["upload-offset"])


def _go_on(port: int, upload: str, offset: int, size: int) -> Answer:
    with Connection(port) as connection:  # a refusal ends it
        connection.send(patch_head(upload, offset, size - offset) + bytes(size - offset))
        return connection.answer()


def begin(connection: Connection, path: str, size: int) -> str:
    """Begin an upload, and return its path."""
    connection.send(request_head("POST", f"{path}uploads", {**TUS, "Upload-Length": str(size), "Content-Length": "0"}))
    answer = connection.answer()
    if answer.status != 201:
        raise ConnectionError(f"An upload was answered {answer.status}.")
    return f"{path}{answer.headers['location']}"


def patch_head(upload: str, offset: int, size: int) -> bytes:
    """Return the head of a request that brings bytes of an upload."""
    headers = {
        **TUS,
        "Upload-Offset": str(offset),
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(size),
    }
    return request_head("PATCH", upload, headers)


def claim(connection: Connection, path: str, upload: str) -> Answer:
    """Let a row take an upload, by its id or its URL, however long it takes."""
    while True:
        answer = post(connection, path, {"title": "A file", "upload": upload.rpartition("/")[2]})
        if answer.status != 503:
            return answer
        time.sleep(0.1)


def post(connection: Connection, path: str, value: Mapping[str, object]) -> Answer:
    """Send JSON."""
    body = json.dumps(value).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    connection.send(request_head("POST", path, headers) + body)
    return connection.answer(keeps_body=True)


def _timed(send: Callable[[int], Answer], numbers: Iterable[int]) -> Result:
    started = time.perf_counter()
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(send, numbers))
    return {
        "seconds": time.perf_counter() - started,
        "statuses": [answer.status for answer in answers],
        "location": answers[-1].headers.get("location", ""),
    }
