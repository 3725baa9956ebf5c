"""A database whose tables have triggers, and a store, spoken to in raw SQL."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Engine,
    ForeignKey,
    create_engine,
    event,
    select,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import FileObject, ObstoreBackend, StoredObject, add_ledger
from fastapi_filestore.orm.ledger.ledger import DELETION
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.service.sweep.sweep import BATCH, sweep
from tests.schema.conftest import triggers_in


class Base(DeclarativeBase):
    """Tables with triggers."""


LEDGER = add_ledger(Base.metadata, triggers=True)


class Album(Base):
    """A row with a file, a list of files, and a name that has to be quoted."""

    __tablename__ = "Album's"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(default="t")
    cover: Mapped[FileObject | None] = mapped_column("the cover", StoredObject(backend="rows"))
    pages: Mapped[list[FileObject] | None] = mapped_column(StoredObject(backend="rows", multiple=True))


class Photo(Base):
    """A row that its album takes along."""

    __tablename__ = "photos"

    id: Mapped[int] = mapped_column(primary_key=True)
    album_id: Mapped[int | None] = mapped_column(ForeignKey("Album's.id", ondelete="CASCADE"))
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="rows"))


class Place:
    """A database and a store, spoken to in raw SQL."""

    def __init__(self, engine: Engine, backend: ObstoreBackend) -> None:
        self.engine, self.backend = engine, backend

    def add(self, *rows: Base) -> None:
        """Commit rows through the unit of work, which leaves no intents."""
        with Session(self.engine) as session:
            session.add_all(rows)
            session.commit()

    def add_album(self, **files: Any) -> None:
        """Commit an album."""
        self.add(Album(**files))

    def run(self, *statements: str) -> None:
        """Run raw SQL in one transaction."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def intents(self) -> int:
        """Return how many deletion intents there are."""
        with Session(self.engine) as session:
            return len(session.scalars(select(LEDGER.table.c.path).where(LEDGER.table.c.kind == DELETION)).all())

    async def keys(self) -> set[str]:
        """Return the keys of the objects in the store."""
        return {info.path async for info in self.backend.list()}

    async def swept(self, batch: int = BATCH) -> int:
        """Let all intents fall due, sweep, and return how many objects there still are."""
        await release_reservations()
        self.run(f"UPDATE {LEDGER.table.name} SET due_at = 0")
        assert [one.error async for one in sweep(self.engine, LEDGER, batch=batch) if one.error] == []
        return len(await self.keys())


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> Iterator[Place]:
    """Give each test a fresh database whose tables have triggers."""
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
        event.listen(engine, "connect", lambda connection, record: connection.execute("PRAGMA foreign_keys = ON"))
    else:
        engine = create_engine(request.getfixturevalue("postgres_database").url("postgresql+psycopg"))
    Base.metadata.create_all(engine)
    yield Place(engine, backend)
    Base.metadata.drop_all(engine)
    assert triggers_in(engine) == set()
    engine.dispose()
