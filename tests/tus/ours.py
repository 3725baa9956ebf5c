"""This library as a server of tus: a row takes what was uploaded, and gives it back."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from fastapi_filestore.web.tus_fields import ALGORITHMS, EXTENSIONS
from tests.servers.process import LOOPBACK, free_ports, running, temporary_folder
from tests.tus.target import ORIGIN, Running, Target

ROOT = Path(__file__).parents[2]
LARGEST = 1024 * 1024
"""Bytes of an upload."""
FILESTORE = Target(
    "filestore",
    "filestore",
    frozenset(
        {
            *EXTENSIONS,
            *(f"checksum-{algorithm}" for algorithm in ALGORITHMS),
            "max-size",
            "cors",
            "content",
            "expire",
        }
    ),
)


@contextmanager
def run_filestore() -> Iterator[Running]:
    """Run an application on SQLite and a folder."""
    with temporary_folder("tus") as folder:
        (port,) = free_ports(1)
        site, database = f"http://{LOOPBACK}:{port}", folder / "tus.db"
        command = (sys.executable, "-m", "uvicorn", "tests.tus.served:app", "--host", LOOPBACK, "--port", str(port))
        environment = {
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": f"sqlite+aiosqlite:///{database}",
            "FILESTORE_BACKENDS__DEFAULT__URL": (folder / "files").as_uri(),
            "LARGEST": str(LARGEST),
            "ORIGIN": ORIGIN,
        }

        def ready() -> bool:
            try:
                return httpx.options(f"{site}/documents/uploads").is_success
            except httpx.TransportError:
                return False

        def content(url: str) -> bytes:
            row = httpx.post(f"{site}/documents/", json={"upload": _id(url)}).raise_for_status()
            return httpx.get(f"{site}{row.headers['location']}/file").raise_for_status().content

        def expire(url: str) -> None:
            with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
                connection.execute("UPDATE filestore_uploads SET expires = 0 WHERE id = ?", [_id(url)])

        with running(command, folder=folder, ready=ready, environment=environment):
            yield Running(f"{site}/documents/uploads", content=content, expire=expire)


def _id(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]
