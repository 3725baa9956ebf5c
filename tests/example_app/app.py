"""The example application as a process of its own, with a database and a folder that nobody else has."""

import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import httpx

from tests.servers.process import LOOPBACK, free_ports, running, temporary_folder

ROOT = Path(__file__).parents[2]
DOCUMENTS = "/documents/"
"""Where the prebuilt router is."""
BACKEND = "FILESTORE_BACKENDS__DEFAULT__"
"""What the variables of the application's one backend begin with."""


@dataclass(frozen=True, slots=True)
class App:
    """A running example application, and a client of it."""

    url: str
    folder: Path
    client: httpx.Client

    def files_on_disk(self) -> list[Path]:
        """Return the objects that the default backend holds."""
        return [path for path in (self.folder / "files").rglob("*") if path.is_file()]

    def add(self, name: str, content: bytes) -> str:
        """Store a text without the page and return its id."""
        answer = self.client.post(DOCUMENTS, data={"title": name}, files={"file": (name, content, "text/plain")})
        identity: str = answer.raise_for_status().json()["id"]
        return identity

    def listed(self) -> list[dict[str, str]]:
        """Return the first page of the documents."""
        items: list[dict[str, str]] = self.client.get(DOCUMENTS).raise_for_status().json()["items"]
        return items

    def content(self, identity: str) -> bytes:
        """Return the bytes of a document's file."""
        return self.client.get(f"{DOCUMENTS}{identity}/file").raise_for_status().content

    def delete(self, identity: str) -> None:
        """Delete a document."""
        self.client.delete(DOCUMENTS + identity).raise_for_status()

    def clear(self) -> None:
        """Delete every document, and what closed tabs have left of others."""
        while items := self.listed():
            for item in items:
                self.delete(item["id"])
        with closing(sqlite3.connect(self.folder / "documents.db")) as database:
            uploads = database.execute("SELECT id FROM filestore_uploads WHERE state <> 'claimed'").fetchall()
        for (upload,) in uploads:
            self.client.delete(f"{DOCUMENTS}uploads/{upload}")


@contextmanager
def run_app(
    environment: Mapping[str, str] | None = None, *, folder: Path | None = None, port: int | None = None
) -> Iterator[App]:
    """Run the application; the environment decides where it keeps things, a temporary folder if it does not say.

    With the folder and the port of one that was killed, it is the same one, started again.
    """
    if port is None:
        [port] = free_ports(1)
    url = f"http://{LOOPBACK}:{port}"
    with (
        temporary_folder("app") if folder is None else nullcontext(folder) as place,
        httpx.Client(base_url=url) as client,
    ):
        command = (
            sys.executable, "-m", "uvicorn", "--app-dir", ROOT, "--host", LOOPBACK, "--port", str(port),
            # Longer than its clients keep theirs: a connection that is closed as it is used again is reset.
            "--timeout-keep-alive", "60", "example_app.main:app",
        )  # fmt: skip
        given = _local(place) | dict(environment or {})
        with running(command, folder=place, environment=given, ready=lambda: _answers(url)):
            yield App(url, place, client)


def _local(folder: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/documents.db",
        f"{BACKEND}URL": f"file://{folder}/files",
    }


def _answers(url: str) -> bool:
    with urlopen(f"{url}/health", timeout=5) as answer:
        healthy: bool = answer.status == 200
    return healthy
