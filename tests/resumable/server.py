"""The page's application as a process of its own, which can be killed and started again."""

import sqlite3
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import httpx

from tests.resumable.page import application
from tests.servers.process import LOOPBACK, free_ports, running

PATIENCE = 60.0
"""Seconds that an upload may take, on a machine that is busy with other tests."""
PAGES = """
from fastapi.staticfiles import StaticFiles
app.mount("/pages", StaticFiles(directory="{folder}/pages"))
"""


@dataclass(frozen=True, slots=True)
class Server:
    """The application, and a client of it."""

    port: int
    folder: Path
    client: httpx.Client
    stack: ExitStack

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = ("--app-dir", self.folder, "--host", LOOPBACK, "--port", str(self.port), "--timeout-keep-alive", "60")
        environment = {
            "FILESTORE_BACKENDS__DEFAULT__URL": f"file://{self.folder}/files",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        command = (sys.executable, "-m", "uvicorn", *options, "app:app")
        self.stack.enter_context(running(command, folder=self.folder, environment=environment, ready=self._answers))

    def kill(self) -> None:
        """End it at once."""
        self.stack.close()

    def rows(self) -> list[dict[str, Any]]:
        """Return the first rows."""
        rows: list[dict[str, Any]] = self.client.get("/documents/").raise_for_status().json()["items"]
        return rows

    def first_row(self) -> dict[str, Any]:
        """Wait until there is a row, and return it."""
        deadline = time.monotonic() + PATIENCE
        while not (rows := self.rows()):
            assert time.monotonic() < deadline, "No row was made."
            time.sleep(0.1)
        return rows[0]

    def until_none_open(self) -> None:
        """Wait until no upload is left that no row has taken."""
        deadline = time.monotonic() + PATIENCE
        with closing(sqlite3.connect(self.folder / "app.db")) as database:
            while left := database.execute("SELECT id FROM filestore_uploads WHERE state <> 'claimed'").fetchall():
                assert time.monotonic() < deadline, f"{len(left)} uploads are left."
                time.sleep(0.1)

    def content(self, row: Mapping[str, Any]) -> bytes:
        """Return the bytes of a row's file."""
        return self.client.get(row["file"]["url"]).raise_for_status().content

    def clear(self) -> None:
        """Delete every row."""
        for row in self.rows():
            self.client.delete(f"/documents/{row['id']}").raise_for_status()

    def _answers(self) -> bool:
        with urlopen(f"http://{LOOPBACK}:{self.port}/documents/", timeout=5) as answer:
            return bool(answer.status == 200)


@contextmanager
def run_server(folder: Path) -> Iterator[Server]:
    """Run the application on a port of its own."""
    (port,) = free_ports(1)
    code = application().replace("app.db", f"{folder}/app.db") + PAGES.format(folder=folder)
    code = code.replace("https://app.example.com", f"http://localhost:{port}")
    (folder / "pages").mkdir(exist_ok=True)
    (folder / "app.py").write_text(code, encoding="utf-8")
    with ExitStack() as stack, httpx.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=30) as client:
        server = Server(port, folder, client, stack)
        server.start()
        yield server
