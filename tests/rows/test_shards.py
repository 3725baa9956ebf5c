"""A session that chooses a database for each row can read rows with files, and is told to write them otherwise."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, select, update
from sqlalchemy.ext.horizontal_shard import ShardedSession
from sqlalchemy.orm import Session

from fastapi_filestore import ObstoreBackend, UnsupportedStatementError
from fastapi_filestore.concurrency.blocking import run_blocking
from tests.rows.conftest import pending
from tests.rows.models import Base, Document


@pytest.fixture
def shards(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Make two databases, each with a document of the same key."""
    engines = {name: create_engine(f"sqlite:///{tmp_path}/{name}.db") for name in ("a", "b")}
    for engine in engines.values():
        Base.metadata.create_all(engine)
        with Session(engine) as session:
            session.add(Document(id=1, title="one", file=pending()))
            session.commit()
    yield engines
    for engine in engines.values():
        engine.dispose()


def look_in_b(mapper: Any, key: Any, **options: Any) -> list[str]:
    """Look for a row in the second database."""
    return ["b"]


def sharded(engines: dict[str, Any]) -> ShardedSession:
    """Return a session with choosers as SQLAlchemy documents them: by the row, never without one."""
    return ShardedSession(
        shards=engines,
        shard_chooser=lambda mapper, instance, clause=None: "b" if instance.title == "two" else "a",
        identity_chooser=look_in_b,  # type: ignore[arg-type]  # its protocol names every option
        execute_chooser=lambda context: ["b"],
    )


CHANGES: dict[str, Callable[[Session], object]] = {
    "replace": lambda session: setattr(session.get_one(Document, 1), "file", pending(b"new")),
    "rename": lambda session: setattr(session.get_one(Document, 1).file, "filename", "b.txt"),
    "delete": lambda session: session.delete(session.get_one(Document, 1)),
    "add": lambda session: session.add(Document(title="two", file=pending())),
    "bulk update": lambda session: session.execute(update(Document).values(file=None)),
    "bulk delete": lambda session: session.execute(delete(Document)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_writing_files_through_shards_is_refused(change: str, backend: ObstoreBackend, shards: dict[str, Any]) -> None:
    """Nothing is deleted in either database, and the message says what to do."""

    def write() -> None:
        with sharded(shards) as session:
            CHANGES[change](session)
            session.commit()

    with pytest.raises(UnsupportedStatementError, match=r"ShardedSession.*Document"):
        write()

    assert len(run_blocking(_keys(backend))) == 2
    for engine in shards.values():
        with Session(engine) as session:
            assert session.scalars(select(Document)).one().file.get_content() == b"content"  # type: ignore[union-attr]


def test_rows_with_files_can_be_read_through_shards(backend: ObstoreBackend, shards: dict[str, Any]) -> None:
    """Only what is written has to be known beyond doubt."""
    with sharded(shards) as session:
        row = session.get_one(Document, 1)
        assert row.file is not None
        assert row.file.get_content() == b"content"
        row.title = "two"
        session.commit()

    with Session(shards["b"]) as session:
        assert session.get_one(Document, 1).title == "two"


async def _keys(backend: ObstoreBackend) -> list[str]:
    return [info.path async for info in backend.list()]
