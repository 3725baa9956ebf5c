"""What is beside a session: another base in its database, another's transaction around it, engines with options."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.orm.session import JoinTransactionMode

from fastapi_filestore import FileObject, ObstoreBackend, SharedFileError, StoredObject, add_ledger
from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.orm.ledger.ledger import BoundLedger, ledger_of
from tests.rows.conftest import begin_sqlite_properly, pending
from tests.rows.models import Base, Document


class OtherBase(DeclarativeBase):
    """The base of another part of the application."""


add_ledger(OtherBase.metadata, name="other_intents")


class Other(OtherBase):
    """A row of that part."""

    __tablename__ = "others"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="rows"))


class Elsewhere(OtherBase):
    """A row whose table nobody made."""

    __tablename__ = "elsewhere"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="rows"))


class OlderBase(DeclarativeBase):
    """A base that describes tables of the others as they once were."""


class OlderDocument(OlderBase):
    """The row of another class, with a column that is gone."""

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    scan: Mapped[FileObject | None] = mapped_column(StoredObject(backend="rows"))


class SameDocument(OlderBase):
    """The row of another class."""

    __table__ = Table(
        "documents", MetaData(), Column("id", Integer, primary_key=True), Column("file", StoredObject("rows"))
    )


@pytest.fixture
def engine(tmp_path: Path, backend: ObstoreBackend) -> Iterator[Engine]:
    """A database with the tables of both."""
    engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
    begin_sqlite_properly(engine)
    Base.metadata.create_all(engine)
    tables = OtherBase.metadata.tables
    OtherBase.metadata.create_all(engine, tables=[tables["others"], tables["other_intents"]])
    yield engine
    engine.dispose()


@pytest.fixture
def document(engine: Engine) -> int:
    """A row with a file."""
    with Session(engine) as session:
        document = Document(title="a", file=pending(b"old"))
        session.add(document)
        session.commit()
        return document.id


def _content(engine: Engine, identity: int) -> bytes:
    with Session(engine) as session:
        file = session.get_one(Document, identity).file
        assert file is not None
        return file.get_content()


def test_a_file_is_not_shared_with_a_row_of_another_base(engine: Engine, document: int) -> None:
    """One database, two declarative bases: a file still belongs to one row."""
    with Session(engine) as session:
        session.add(Other(file=session.get_one(Document, document).file))
        with pytest.raises(SharedFileError):
            session.commit()

    assert _content(engine, document) == b"old"


def test_two_classes_of_one_table_are_one_place(engine: Engine, document: int, backend: ObstoreBackend) -> None:
    """A row is one place, however many classes describe it, and whatever else they think it has."""
    client = FileObject("rows", "a.txt", path="from/client")
    run_blocking(backend.put("from/client", b"client"))
    with Session(engine) as session:
        session.get_one(Document, document).file = client
        session.commit()

    assert _content(engine, document) == b"client"


def test_a_commit_inside_another_transaction_deletes_nothing(engine: Engine, document: int) -> None:
    """A session that joins a transaction, as test suites do, can't know whether that will be committed."""
    with engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            session.get_one(Document, document).file = pending(b"new")
            session.commit()
        outer.rollback()

    assert _content(engine, document) == b"old"


@pytest.mark.parametrize("mode", get_args(JoinTransactionMode))
def test_a_row_that_somebody_else_commits_keeps_its_file(engine: Engine, mode: JoinTransactionMode) -> None:
    """A session that flushes into another transaction, and is closed after that was committed, deletes nothing."""
    with engine.begin() as connection:
        session = Session(connection, join_transaction_mode=mode)
        session.add(document := Document(title="t", file=pending(b"kept")))
        session.flush()
        identity = document.id
        if mode == "create_savepoint":
            session.commit()
    session.close()

    assert _content(engine, identity) == b"kept"


def test_a_row_whose_connection_is_committed_keeps_its_file(engine: Engine) -> None:
    """Whoever commits a session's connection, and not the session, has committed its rows."""
    with Session(engine) as session:
        session.add(document := Document(title="t", file=pending(b"kept")))
        session.flush()
        identity = document.id
        session.connection().commit()

    assert _content(engine, identity) == b"kept"


def test_a_rollback_inside_another_transaction_undoes_the_bytes(
    engine: Engine, document: int, backend: ObstoreBackend
) -> None:
    """What the session rolls back itself is gone for good, and so are the bytes."""
    with (
        engine.connect() as connection,
        connection.begin(),
        Session(connection, join_transaction_mode="create_savepoint") as session,
    ):
        session.get_one(Document, document).file = new = pending(b"new")
        session.flush()
        session.rollback()

    assert not new.is_stored
    assert _content(engine, document) == b"old"


def test_engines_that_differ_in_options_alone_are_one_place(engine: Engine) -> None:
    """An engine with options for each request takes keys from where the others do; one of other schemas does not."""
    ledger = ledger_of(Base.metadata)
    assert ledger is not None
    here = BoundLedger(ledger, engine)

    assert BoundLedger(ledger, engine.execution_options(request=1)) == here
    assert hash(BoundLedger(ledger, engine.execution_options(request=2))) == hash(here)
    assert BoundLedger(ledger, engine.execution_options(schema_translate_map={None: "tenant"})) != here
    assert BoundLedger(ledger, create_engine("sqlite://")) != here
