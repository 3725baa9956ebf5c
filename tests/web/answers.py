"""An application that a server serves, to see what clients are told by it."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from fastapi_filestore.web.problems import KINDS, PREFIX
from tests.servers.process import LOOPBACK, free_ports, running, served
from tests.web.site import SIGNING_KEY

ROOT = Path(__file__).parents[2]


PROBLEM = "application/problem+json"


MB = 1_000_000


FORM = "multipart/form-data; boundary=b"


TITLE = b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\n%s\r\n'


FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'


@dataclass(frozen=True)
class Running:
    """An application that a server serves, and where it keeps everything."""

    port: int
    folder: Path

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return (self.folder / "server.log").read_text()

    def client(self) -> httpx.Client:
        """Return a client that waits longer than a busy machine takes."""
        return httpx.Client(base_url=f"http://{LOOPBACK}:{self.port}", timeout=60)

    def received(self) -> int:
        """Return how many bytes the server has read."""
        with self.client() as client:
            return int(client.get("/received").text)

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection((LOOPBACK, self.port), timeout=60)

    def stored(self) -> list[Path]:
        """Return the files in the store."""
        return [path for path in (self.folder / "store").rglob("*") if path.is_file()]


@contextmanager
def application(folder: Path, parser: str = "httptools", **settings: str) -> Iterator[Running]:
    """Run the application on a port of its own."""
    (port,) = free_ports(1)
    environment = {
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/web.db",
        "FILESTORE_BACKENDS__WEB__URL": (folder / "store").as_uri(),
        "FILESTORE_SIGNING_KEYS": SIGNING_KEY,
        "FILESTORE_MAX_UPLOAD_SIZE": "1 MB",
    }

    def ready() -> bool:
        return httpx.get(f"http://{LOOPBACK}:{port}/received").status_code == 200

    def check() -> bool:
        try:
            return ready()
        except httpx.TransportError as error:
            raise OSError from error

    command = (sys.executable, "-m", "tests.web.answering", str(port), parser)
    with running(command, folder=folder, ready=check, environment=environment | settings):
        yield Running(port, folder)


@pytest.fixture(scope="session", params=["httptools", "h11"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The application behind each parser of uvicorn's."""
    folder = tmp_path_factory.mktemp("answers")
    with served(lambda: application(folder, request.param)) as server:
        yield server


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    """A client of it."""
    with server.client() as client:
        yield client


def check_problem(response: httpx.Response, name: str) -> dict[str, Any]:
    """Return the problem in a response, which is as the table says."""
    kind = next(kind for kind in KINDS.values() if kind.name == name)
    body: dict[str, Any] = response.json()
    assert (response.status_code, response.headers["content-type"]) == (kind.status, PROBLEM), response.text
    assert response.headers["cache-control"] == "no-store"
    assert (body["type"], body["title"], body["status"]) == (PREFIX + name, kind.title, kind.status)
    assert body["detail"]
    return body


def head(path: str, length: int | None, *extra: str) -> bytes:
    """Write the head of a request."""
    method = "PUT" if path.startswith("/filestore") else "POST"
    framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return "\r\n".join(
        [f"{method} {path} HTTP/1.1", "Host: a", f"Content-Type: {FORM}", framing, *extra, "", ""]
    ).encode()


def framed(block: bytes, chunked: bool) -> bytes:
    """Write a piece of a body."""
    return b"%x\r\n%b\r\n" % (len(block), block) if chunked else block
