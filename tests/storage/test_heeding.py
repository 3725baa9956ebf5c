"""Whether a store heeds that a URL writes once: it is tried before the first, once, and forgotten where it failed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from fastapi_filestore import (
    FileObject,
    ObstoreBackend,
    SigningUnavailableError,
    StorageRegistry,
    StorageUnavailableError,
)
from fastapi_filestore.storage.backend import Announcement
from fastapi_filestore.storage.paths import generate_once_path, is_upload_path
from tests.servers.process import LOOPBACK

SHA = "ab" * 32
CHECKSUM = "x-amz-checksum-sha256"


class Bucket:
    """A server of S3's kind that knows as much of conditions as it is told to."""

    endpoint = ""

    def __init__(self, *, once: int = 412, checksum: int = 400) -> None:
        self.once, self.checksum = once, checksum
        self.objects, self.puts, self.status = dict[str, bytes](), 0, 200

    def put(self, path: str, content: bytes, headers: Any) -> int:
        """Store an object, unless a condition that it knows of says otherwise."""
        self.puts += 1
        if self.status != 200:
            return self.status
        if headers[CHECKSUM] and content == b"filestore-other" and self.checksum != 200:
            return self.checksum
        if path in self.objects and self.once != 200:
            return self.once
        self.objects[path] = content
        return 200

    def backend(self) -> ObstoreBackend:
        """Return a backend of it."""
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "aws_region": "us-east-1"}
        options: dict[str, Any] = {**keys, "retry_config": {"max_retries": 0}}
        return ObstoreBackend("s", "s3://bucket", aws_endpoint=self.endpoint, **options)


@contextmanager
def running(bucket: Bucket) -> Iterator[Bucket]:
    """Run a bucket's server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"] or 0))
            self._answer(bucket.put(self.path.partition("?")[0], content, self.headers))

        def do_DELETE(self) -> None:
            bucket.objects.pop(self.path.partition("?")[0], None)
            self._answer(204)

        def do_POST(self) -> None:  # of many keys
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            bucket.objects.clear()
            self._answer(200, b"<DeleteResult/>")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server calls it
            """Say nothing."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    bucket.endpoint = f"http://{LOOPBACK}:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def sign(backend: ObstoreBackend, checksum: str | None = SHA) -> Any:
    """Sign a URL that writes once."""
    announced = Announcement(5, "image/png", checksum)
    return await backend.sign_once(generate_once_path("", 60), expires_in=60, announced=announced)


async def test_it_is_tried_once() -> None:
    """However many ask at the same time; what it was tried with is deleted."""
    with running(Bucket()) as bucket:
        backend = bucket.backend()
        signed = await asyncio.gather(*(sign(backend) for _ in range(20)))
        await sign(backend)

        assert all(CHECKSUM in each.headers for each in signed)
        assert (bucket.puts, bucket.objects) == (3, {})


@pytest.mark.parametrize("once", [200, 501])
async def test_a_store_that_ignores_it(once: int) -> None:
    """It is remembered, and what clients store is copied as ever."""
    with running(Bucket(once=once, checksum=200)) as bucket:
        if once == 501:
            bucket.status = 501  # it knows nothing of conditions
        backend, registry = bucket.backend(), StorageRegistry()
        registry.register_backend(backend)
        for _ in range(2):
            with pytest.raises(SigningUnavailableError, match="is copied before a row takes it"):
                await sign(backend)
        puts, file = bucket.puts, FileObject("s", "a.png", registry=registry)
        await file.signed_url_async(method="PUT", once=Announcement(5))

        assert is_upload_path(str(file.path))
        assert (bucket.puts, bucket.objects) == (puts, {})


async def test_a_store_that_checks_no_bytes() -> None:
    """A digest that the store would not hold bytes against is not sent, and so it is nobody's word."""
    with running(Bucket(checksum=200)) as bucket:
        signed = await sign(bucket.backend())

        assert CHECKSUM not in signed.headers
        assert signed.headers["If-None-Match"] == "*"


@pytest.mark.parametrize("status", [500, 503, 403, 429])
async def test_a_try_that_fails_says_nothing(status: int) -> None:
    """While the store is away, or refuses everything, what clients store is copied; it is tried again later."""
    with running(Bucket()) as bucket:
        bucket.status, backend = status, bucket.backend()
        with pytest.raises(SigningUnavailableError, match="could not be tried"):
            await sign(backend)
        bucket.status = 200

        assert (await sign(backend)).headers["If-None-Match"] == "*"


async def test_a_store_that_is_away() -> None:
    """Nobody answers at all."""
    bucket = Bucket()
    bucket.endpoint = "http://127.0.0.1:1"
    with pytest.raises(SigningUnavailableError, match="can't be reached"):
        await sign(bucket.backend())


async def test_without_keys_nothing_is_asked() -> None:
    """What can't be signed need not be tried."""
    with running(Bucket()) as bucket:
        backend = ObstoreBackend("s", "s3://bucket", aws_endpoint=bucket.endpoint, aws_skip_signature=True)
        with pytest.raises(StorageUnavailableError, match="no credentials"):
            await sign(backend)

        assert bucket.puts == 0
