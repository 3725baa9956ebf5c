"""Stores that speak S3 and know no conditional writes: Ceph, older MinIOs, others' S3 APIs."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from fastapi_filestore.errors import ObjectExistsError, StorageError, StoragePermissionError, StorageUnavailableError
from fastapi_filestore.storage.obstore_backend import ObstoreBackend

MIB = 1024 * 1024


class Handler(BaseHTTPRequestHandler):
    """A store that keeps what it is sent, and refuses a condition."""

    protocol_version = "HTTP/1.1"
    refusal: ClassVar[tuple[int, str]] = (501, "NotImplemented")
    always: ClassVar[bool] = False
    objects: ClassVar[dict[str, bytes]] = {}

    def do_PUT(self) -> None:
        """Keep an object."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.always or "If-None-Match" in self.headers:
            status, code = self.refusal
            self._answer(status, f"<Error><Code>{code}</Code><Message>A header</Message></Error>".encode())
            return
        self.objects[self.path] = body
        self._answer(200)

    def do_HEAD(self) -> None:
        """Tell whether an object is there."""
        self._answer(200 if self.path in self.objects else 404)

    def do_GET(self) -> None:
        """List nothing."""
        self._answer(200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("ETag", '"tag"')
        self.send_header("Last-Modified", "Thu, 26 Nov 2026 10:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the server's own name
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    """Give a store that knows no conditional writes."""
    monkeypatch.setattr(Handler, "objects", {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def backend_at(server: ThreadingHTTPServer, **options: Any) -> ObstoreBackend:
    """Return a backend in that store."""
    return ObstoreBackend(
        "b",
        "s3://bucket",
        aws_endpoint=f"http://127.0.0.1:{server.server_port}",
        aws_access_key_id="id",
        aws_secret_access_key="secret",
        aws_region="r",
        retry_config={"max_retries": 0},
        **options,
    )


@pytest.mark.parametrize("refusal", [(501, "NotImplemented"), (400, "InvalidArgument"), (400, "InvalidRequest")])
@pytest.mark.parametrize("size", [5, 6 * MIB])
async def test_it_is_told_as_what_it_is(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, refusal: tuple[int, str], size: int
) -> None:
    """A refused condition is told with what the store says and the setting that helps; other writes are done."""
    monkeypatch.setattr(Handler, "refusal", refusal)
    backend = backend_at(server)
    await backend.put("other", b"bytes")
    with pytest.raises(
        StorageError, match=f"conditional writes .{refusal[0]} {refusal[1]}.*AWS_CONDITIONAL_PUT"
    ) as told:
        await backend.put("k", b"x" * size, if_absent=True)

    assert not isinstance(told.value, StorageUnavailableError)
    assert (told.value.backend, told.value.path) == ("b", "k")
    assert Handler.objects == {"/bucket/other": b"bytes"}


@pytest.mark.parametrize("how", ["option", "environment"])
async def test_without_conditions(server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """With that setting, what is there is looked for, and nothing is overwritten."""
    if how == "environment":
        monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    backend = backend_at(server, **({"aws_conditional_put": "disabled"} if how == "option" else {}))
    await backend.put("k", b"first", if_absent=True)
    with pytest.raises(ObjectExistsError):
        await backend.put("k", b"second", if_absent=True)

    assert Handler.objects == {"/bucket/k": b"first"}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (503, "SlowDown", StorageUnavailableError),
        (403, "AccessDenied", StoragePermissionError),
        (400, "ExpiredToken", StoragePermissionError),
    ],
)
async def test_other_refusals_are_told_as_they_are(
    server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, status: int, code: str, kind: type[StorageError]
) -> None:
    """What has nothing to do with the condition is not taken for that."""
    monkeypatch.setattr(Handler, "refusal", (status, code))
    monkeypatch.setattr(Handler, "always", True)
    with pytest.raises(kind):
        await backend_at(server).put("k", b"bytes", if_absent=True)
