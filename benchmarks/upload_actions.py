"""What is done with those that take uploads which are things of their own, and what of it is measured."""

import subprocess
import time
from pathlib import Path

from benchmarks.actions import SMALL, UPLOAD, Measured, check, taken_of, upload
from benchmarks.machine import touch_memory
from benchmarks.measure import watching
from benchmarks.place import SOURCE
from benchmarks.server import ROOT, Server, make_source, serving
from benchmarks.wire import LOOPBACK
from tests.servers.azurite import find_node

SEND = ROOT / "tests" / "servers" / "node" / "send.mjs"
"""tus-js-client, which is given a file, an endpoint and the bytes of a request, and tells the URL of the upload."""


def by_tus_js_client(server: Server, *, size: int, chunk: int) -> Measured:
    """Upload a file, some bytes a request, and claim it where there are rows."""
    has_rows = server.contender.is_application
    endpoint = f"http://{LOOPBACK}:{server.port}" + (f"{UPLOAD}uploads" if has_rows else "/files")
    file = Path(server.place.root) / SOURCE

    def send() -> tuple[float, float]:
        started = time.perf_counter()
        command = (find_node(), SEND, file, endpoint, str(chunk))
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        answered = time.perf_counter() - started
        if not has_rows:
            return answered, 0.0
        claimed = server.client("claimed", path=UPLOAD, upload=done.stdout.strip())
        check(claimed, 201)
        return answered, claimed["seconds"]

    make_source(server.place, SMALL)
    send()
    make_source(server.place, size)
    touch_memory(3 * size)
    with watching(server.pid, server.port) as taken:
        answered, claim = send()
    return {"": {**taken_of(taken, answered + claim, size), "answered": answered}}


def in_one_patch(server: Server, *, size: int, files: int = 1) -> Measured:
    """Upload files at once, each in one PATCH, and claim them; `ours` takes them as forms."""
    if server.contender.name == "ours":
        return upload(server, size=size, files=files)
    check(server.client("patch", path=UPLOAD, size=SMALL, files=1), 201)
    touch_memory(2 * size * files)
    with watching(server.pid, server.port) as taken:
        result = server.client("patch", path=UPLOAD, size=size, files=files)
    check(result, 201)
    return {"": {**taken_of(taken, result["seconds"], size * files), "answered": result["seconds"]}}


def straight(server: Server, *, size: int) -> Measured:
    """Store a file where a signed URL says, and claim it where there are rows."""
    has_rows = server.contender.name != "boto3_url"
    expected = 201 if has_rows else 200
    check(server.client("direct", path=UPLOAD, size=SMALL, is_claimed=has_rows), expected)
    touch_memory(2 * size)
    with watching(server.pid, server.port) as taken:
        result = server.client("direct", path=UPLOAD, size=size, is_claimed=has_rows)
    check(result, expected)
    return {"": taken_of(taken, result["seconds"], size)}


def beside_another(server: Server) -> Measured:
    """Ask for an upload, and send more of it, while a PATCH of it hangs in another process."""
    with serving(server.contender, server.place) as other:
        result = server.client("beside", path=UPLOAD, other=other.port)
    check(result, 204)
    return {"": {"head": result["head"] * 1000, "served": result["served"] * 1000}}
