"""Audits of 100,000 and of 1,000,000 objects and rows: seconds, and how much memory they take beyond an idle process.

    python -m benchmarks.audit [--count 100000 1000000] [--folder /var/tmp]

Objects are files on local disk and rows are in SQLite, or in a PostgreSQL that is started for it. One object in a
thousand is an orphan, one row in a thousand has lost its object, and one object in a thousand has another size. Each
audit runs in a process of its own, whose peak of resident memory is what the operating system says it was.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Engine, create_engine, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, ObstoreBackend, StoredObject, add_ledger, audit, storages
from fastapi_filestore.storage.paths import generate_path
from tests.servers.postgres import run_postgres

COUNTS = (100_000, 1_000_000)
EVERY = 1000
"""One in so many objects is an orphan, one is missing, and one has another size."""
ROWS_AT_ONCE = 5000
MEBIBYTE = 1024 * 1024


class Base(DeclarativeBase):
    """The benchmark's table."""


add_ledger(Base.metadata)


class Document(Base):
    """A row with a file."""

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="disk"))


def fill(engine: Engine, folder: Path, count: int) -> None:
    """Make rows and objects that agree but for a few of each kind."""
    Base.metadata.create_all(engine)
    for shard in range(256):
        (folder / f"{shard:02x}").mkdir(parents=True)
    rows = _rows(folder, count)
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        with engine.begin() as connection:
            connection.execute(insert(Document.__table__), batch)  # type: ignore[arg-type]


def _rows(folder: Path, count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        path, kind = generate_path(), number % EVERY
        if kind != 1:
            (folder / path).touch()
        if kind != 0:
            file = FileObject("disk", "a.txt", path=path)
            file.size, file.state = int(kind == 2), type(file.state).STORED
            yield {"file": file}


def measure(url: str, folder: str) -> None:
    """Audit, and print what it took: run in a process of its own."""
    storages.register_backend(ObstoreBackend("disk", folder))
    engine = create_engine(url)
    with engine.connect():
        idle = _peak()
    started = time.perf_counter()
    kinds = asyncio.run(_audit(engine))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "idle": idle, "peak": _peak(), "kinds": kinds}))


async def _audit(engine: Engine) -> dict[str, int]:
    kinds: Counter[str] = Counter()
    async for finding in audit(engine, Document, grace=timedelta(0)):
        kinds[finding.kind] += 1
    return dict(kinds)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MEBIBYTE


@contextmanager
def databases(folder: Path) -> Iterator[dict[str, str]]:
    """Give the URL of an empty database of each kind."""
    with run_postgres() as server:
        yield {"SQLite": f"sqlite:///{folder}/rows.db", "PostgreSQL": server.url("postgresql+psycopg")}


def run(count: int, parent: str | None) -> None:
    """Fill, audit and print a line for each database."""
    with TemporaryDirectory(dir=parent) as place, databases(Path(place)) as urls:
        for name, url in urls.items():
            folder = Path(place) / name
            fill(create_engine(url), folder, count)
            os.sync()
            command = (sys.executable, "-m", "benchmarks.audit", "--measure", url, str(folder))
            took = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            over = took["peak"] - took["idle"]
            print(
                f"{count:>9,} {name:<10} {took['seconds']:6.1f} s  idle {took['idle']:5.1f} MiB  "
                f"peak +{over:5.1f} MiB  {took['kinds']}",
                flush=True,
            )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, nargs="*", default=COUNTS)
    parser.add_argument("--folder", help="where the objects go: a disk with room for as many files")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(*given.measure)
        return
    for count in given.count:
        run(count, given.folder)


if __name__ == "__main__":
    main()
