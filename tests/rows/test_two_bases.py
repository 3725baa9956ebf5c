"""A file that goes from rows of one base to rows of another: beside each other in a database, or in two of them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import (
    FileObject,
    Ledger,
    ObstoreBackend,
    SharedFileError,
    StaleFileError,
    StoredObject,
    add_ledger,
    sweep,
)
from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.orm.ledger.reservations import release_reservations
from tests.rows.conftest import begin_sqlite_properly, pending


class First(DeclarativeBase):
    """A base whose deleted files are deleted at once."""


class Keeping(DeclarativeBase):
    """A base whose deleted files are kept for a week."""


class Bare(DeclarativeBase):
    """A base without a ledger."""


LEDGERS = {
    First: add_ledger(First.metadata, name="intents_of_first"),
    Keeping: add_ledger(Keeping.metadata, name="intents_of_keeping", keep_deleted=timedelta(days=7)),
}


class Letter(First):
    """A row of the first base."""

    __tablename__ = "letters_of_first"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Draft(Keeping):
    """A row of the base that keeps what is deleted."""

    __tablename__ = "drafts_of_keeping"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Copied(Bare):
    """A row of the base without a ledger."""

    __tablename__ = "copies_of_bare"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Office:
    """Sessions that write the rows of all three bases."""

    def __init__(self, engines: dict[Any, Engine]) -> None:
        self.engines = engines

    def session(self) -> Session:
        """Open a session."""
        binds: Any = self.engines
        return Session(binds=binds, expire_on_commit=False)

    def add(self, row: Any) -> FileObject:
        """Commit a row, and return its file as a stranger knows it: by its place."""
        with self.session() as session:
            session.add(row)
            session.commit()
            return FileObject("rows", "a.txt", path=row.file.path)

    def intents(self, ledger: Ledger, base: Any) -> set[str]:
        """Return the paths that a ledger knows to be garbage."""
        columns = ledger.table.c
        with self.engines[base].connect() as connection:
            return set(connection.scalars(select(columns.path).where(columns.kind == "delete")))

    def sweep(self) -> None:
        """Let all intents fall due, and settle them."""

        async def all_swept() -> None:
            await release_reservations()
            for base, ledger in LEDGERS.items():
                with self.engines[base].begin() as connection:
                    connection.execute(update(ledger.table).values(due_at=0))
                async for _ in sweep(self.engines[base], ledger):
                    pass

        run_blocking(all_swept())


@pytest.fixture(params=["one database", "two databases"])
def office(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> Iterator[Office]:
    """The bases in one database, or the first in one of its own."""
    names = ("a", "a", "a") if request.param == "one database" else ("a", "b", "b")
    engines = {name: create_engine(f"sqlite:///{tmp_path}/{name}.db") for name in dict.fromkeys(names)}
    bases = (First, Keeping, Bare)
    for engine in engines.values():
        begin_sqlite_properly(engine)
    for base, name in zip(bases, names, strict=True):
        base.metadata.create_all(engines[name])
    yield Office({base: engines[name] for base, name in zip(bases, names, strict=True)})
    run_blocking(release_reservations())
    for engine in engines.values():
        engine.dispose()


@pytest.mark.parametrize("taker", [Copied, Draft])
def test_a_file_of_a_row_of_another_base(office: Office, taker: type[Any]) -> None:
    """Rows of all bases that a session writes are asked: a file is in one place, whichever database it is in."""
    file = office.add(Letter(file=pending(b"precious")))

    with office.session() as session:
        session.add(taker(file=file))
        with pytest.raises(SharedFileError):
            session.commit()


@pytest.mark.parametrize("taker", [Copied, Draft])
def test_garbage_of_another_base(
    office: Office, backend: ObstoreBackend, monkeypatch: pytest.MonkeyPatch, taker: type[Any]
) -> None:
    """A file whose deletion another base's ledger knows of is refused: it goes when its store is back."""
    file = office.add(Letter(id=1, file=pending(b"precious")))

    async def fail(*paths: str) -> None:
        raise ConnectionError

    with monkeypatch.context() as patched, office.session() as session:
        patched.setattr(backend, "delete", fail)
        session.delete(session.get_one(Letter, 1))
        session.commit()
    assert office.intents(LEDGERS[First], First) == {file.path}

    with office.session() as session:
        session.add(taker(file=file))
        with pytest.raises(StaleFileError):
            session.commit()
    office.sweep()


@pytest.mark.parametrize("taker", [Copied, Letter])
def test_what_another_base_keeps(office: Office, taker: type[Any]) -> None:
    """A file that a ledger keeps is taken back in its database, and refused by the others: it would go unasked."""
    file = office.add(Draft(id=1, file=pending(b"precious")))
    with office.session() as session:
        session.delete(session.get_one(Draft, 1))
        session.commit()
    is_near = office.engines[taker.__base__] is office.engines[Keeping]

    with office.session() as session:
        session.add(taker(id=1, file=file))
        if is_near:
            session.commit()
        else:
            with pytest.raises(StaleFileError):
                session.commit()
    office.sweep()

    with office.session() as session:
        row = session.get(taker, 1)
        assert (row is not None) == is_near
        assert row is None or row.file.get_content() == b"precious"
