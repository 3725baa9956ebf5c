"""Start a contender in a place of its own, and let the client drive it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.request import urlopen
from uuid import uuid4

from benchmarks.contenders import Contender
from benchmarks.place import SOURCE, Bucket, Place, StoreKind
from benchmarks.wire import LOOPBACK
from tests.servers.postgres import Postgres
from tests.servers.process import free_ports, running
from tests.servers.seaweedfs import run_seaweedfs

Program = Literal["uvicorn", "granian"]

ROOT = Path(__file__).parents[1]
FLAGS = ("--host", LOOPBACK, "--workers", "1", "--no-access-log", "--log-level", "warning")
"""The same for every contender; both servers take uvloop, and uvicorn takes httptools, which are installed."""
PROGRAMS: dict[Program, tuple[str, ...]] = {
    "uvicorn": ("uvicorn", "--app-dir", str(ROOT)),
    "granian": ("granian", "--interface", "asgi", "--workers-kill-timeout", "1", "--working-dir", str(ROOT)),
}
BLOCK = 16 * 1024 * 1024
STORED_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running contender."""

    contender: Contender
    place: Place
    port: int
    pid: int

    def client(self, work: str, **job: object) -> dict[str, Any]:
        """Let a client process do a work, and return what it saw."""
        text = json.dumps({"work": work, "port": self.port, **job})
        done = subprocess.run(
            (sys.executable, "-m", "benchmarks.client", text), cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
        )
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def wait_until_stored(self, size: int) -> float:
        """Return the seconds until so many bytes are complete in the store, 0.0 if they are now."""
        if self.place.stored_bytes() >= size:
            return 0.0
        started = time.perf_counter()
        while self.place.stored_bytes() < size:
            if time.perf_counter() > started + STORED_TIMEOUT:
                raise TimeoutError(f"{self.contender.name} answered, but never stored {size} bytes.")
            time.sleep(0.02)
        return time.perf_counter() - started


@contextmanager
def open_place(store: StoreKind, postgres: Postgres | None, parent: str | None) -> Iterator[Place]:
    """Make an empty folder or bucket and an empty database, and remove them afterwards."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(TemporaryDirectory(prefix="benchmark-", dir=parent)))
        place = Place(str(root), _database(root, postgres))
        place.folder.mkdir()
        place.spool.mkdir()
        if store == "s3":
            server = stack.enter_context(run_seaweedfs())
            keys = (server.access_key, server.secret_key)
            place = replace(place, bucket=Bucket(server.endpoint, server.bucket, server.region, *keys))
        yield place


def _database(root: Path, postgres: Postgres | None) -> str:
    if postgres is None:
        return f"sqlite:///{root}/rows.db"
    name = f"benchmark_{uuid4().hex}"
    postgres.execute(f"CREATE DATABASE {name}")
    return replace(postgres, database=name).url("postgresql")


@contextmanager
def serving(contender: Contender, place: Place, program: Program = "uvicorn") -> Iterator[Server]:
    """Run a contender as a server process of its own."""
    [port] = free_ports(1)
    name = f"benchmarks.contenders.{contender.name}"
    command = (*PROGRAMS[program], f"{name}:app", *FLAGS, "--port") if contender.is_application else (name,)
    with running(
        (sys.executable, "-m", *command, str(port)),
        folder=Path(place.root),
        environment={**place.environment(), "PYTHONPATH": str(ROOT)},
        ready=lambda: _pid(port) > 0,
        stop_signal=signal.SIGTERM if program == "granian" else signal.SIGKILL,  # or its worker would outlive it
    ):
        yield Server(contender, place, port, _pid(port))


def _pid(port: int) -> int:
    with urlopen(f"http://{LOOPBACK}:{port}/ping", timeout=5) as answer:
        return int(answer.read())


def make_source(place: Place, size: int) -> None:
    """Put a file on the disk for what stores or sends one that is there."""
    path, block = Path(place.root) / SOURCE, Random(0).randbytes(min(BLOCK, size))
    with path.open("wb") as file:
        for offset in range(0, size, BLOCK):
            file.write(block[: min(BLOCK, size - offset)])


def store_source(place: Place) -> None:
    """Move that file into the folder or bucket."""
    path = Path(place.root) / SOURCE
    if place.bucket is None:
        path.rename(place.folder / SOURCE)
    else:
        place.bucket.store().put(SOURCE, path)
        path.unlink()
