"""Running applications, as an attacker finds them: over sockets."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import httpx
import pytest

from tests.example_app.app import App
from tests.example_app.conftest import browser, shared_app
from tests.servers.process import LOOPBACK, free_ports, running, served, temporary_folder

__all__ = ["browser", "shared_app"]

ROOT = Path(__file__).parents[2]
SIGNING_KEY = "a-signing-key-that-is-long-enough-for-all"


@dataclass(frozen=True, slots=True)
class Server:
    """A running application, the folder it keeps everything in, and a client of it."""

    url: str
    port: int
    folder: Path
    client: httpx.Client

    def log(self) -> str:
        """Return what the process has printed."""
        return (self.folder / "server.log").read_text(errors="replace")

    def peak(self) -> int:
        """Return the most memory that the process ever had, in bytes."""
        return int(self.client.get("/peak").json())


def stored_file(
    site: Server | App, collection: str, filename: str, content: bytes, content_type: str, **fields: str
) -> str:
    """Store a file with a prebuilt router and return the URL that it is downloaded from."""
    answer = site.client.post(collection, files={"file": (filename, content, content_type)}, data=fields)
    url: str = answer.raise_for_status().json()["file"]["url"]
    return site.url + url


@contextmanager
def run_server(database: str | None = None) -> Iterator[Server]:
    """Run the application of every kind of model, on SQLite or the database of a URL."""
    [port] = free_ports(1)
    url = f"http://{LOOPBACK}:{port}"
    command = (
        sys.executable, "-m", "uvicorn", "tests.security.application:app", "--host", LOOPBACK, "--port", str(port),
        # Longer than its clients keep theirs: a connection that is closed as it is used again is reset.
        "--timeout-keep-alive", "60",
    )  # fmt: skip
    with temporary_folder("security") as folder, httpx.Client(base_url=url, timeout=60) as client:
        environment = {
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": database or f"sqlite+aiosqlite:///{folder}/rows.db",
            "FILESTORE_BACKENDS__WEB__URL": f"file://{folder}/store",
            "FILESTORE_SIGNING_KEYS": SIGNING_KEY,
        }
        with running(command, folder=folder, environment=environment, ready=lambda: _answers(url)):
            yield Server(url, port, folder, client)


def _answers(url: str) -> bool:
    with urlopen(f"{url}/peak", timeout=5) as answer:
        return bool(answer.status == 200)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The application of every kind of model, fresh for each file of tests."""
    with served(run_server) as server:
        yield server
