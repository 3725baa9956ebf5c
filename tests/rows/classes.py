"""Classes with tables for themselves, abstract ones, and joined ones with conditions of their own."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import (
    FileObject,
    ObstoreBackend,
    StoredObject,
    add_ledger,
    audit,
)
from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.orm.ledger.reservations import release_reservations
from tests.rows.conftest import begin_sqlite_properly
from tests.servers.postgres import Databases


class Base(DeclarativeBase):
    """The tables of this file."""


add_ledger(Base.metadata, name="intents_of_classes")


class Employee(Base):
    """A class from which others inherit that have tables for themselves."""

    __tablename__ = "employees"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> Iterator[Engine]:
    """A database with the tables."""
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
        begin_sqlite_properly(engine)
        Base.metadata.create_all(engine)
    else:
        databases: Databases = request.getfixturevalue("postgres_databases")
        engine = create_engine(databases.copy("tables-of-classes", Base.metadata.create_all).url("postgresql+psycopg"))
    yield engine
    run_blocking(release_reservations())
    engine.dispose()


def findings(engine: Engine) -> list[str]:
    """Return what an audit finds of objects of any age."""

    async def found() -> list[str]:
        return [one.kind.value async for one in audit(engine, Base.metadata, grace=timedelta(seconds=-9))]

    return run_blocking(found())


def add(engine: Engine, *rows: object) -> None:
    """Commit new rows."""
    with Session(engine) as session:
        session.add_all(rows)
        session.commit()


def change(engine: Engine, work: Callable[[Session], object]) -> None:
    """Run a function in a session, commit it, and see that rows and objects agree."""
    with Session(engine) as session:
        work(session)
        session.commit()

    assert findings(engine) == []


EMPLOYEES: Any = Employee.__table__
