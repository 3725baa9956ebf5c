"""Primary keys that are not those of the tables: another order, other columns, other names, rows without a part."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    Table,
    create_engine,
    delete,
    func,
    insert,
    outerjoin,
    select,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, column_property, mapped_column

from fastapi_filestore import FileObject, ObstoreBackend, StoredObject, add_ledger, audit
from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.orm.ledger.reservations import release_reservations
from tests.rows.conftest import begin_sqlite_properly, pending
from tests.servers.postgres import Databases


class Base(DeclarativeBase):
    """The tables of this file."""


add_ledger(Base.metadata, name="intents_of_keys")


class Page(Base):
    """A row with a key of two parts."""

    __tablename__ = "pages_of_tenants"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "page"}  # noqa: RUF012 - as SQLAlchemy has it

    tenant: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    note: Mapped[str | None]


class Dated(Base):
    """A row a part of whose key SQLite spells otherwise than SQLAlchemy would."""

    __tablename__ = "dated"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    made: Mapped[datetime] = mapped_column(primary_key=True, server_default=func.now())
    note: Mapped[str | None]
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Scan(Page):
    """A row of two tables, the second of which has the parts of the key the other way round, and under other names."""

    __tablename__ = "scans_of_tenants"
    __table_args__ = (
        ForeignKeyConstraint(["of_tenant", "page_number"], ["pages_of_tenants.tenant", "pages_of_tenants.number"]),
    )
    __mapper_args__ = {"polymorphic_identity": "scan"}  # noqa: RUF012 - as SQLAlchemy has it

    page_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    of_tenant: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Coded(Base):
    """A class that knows its rows by another column than the table does."""

    __table__ = Table(
        "coded",
        Base.metadata,
        Column("id", Integer, primary_key=True),
        Column("code", Integer, unique=True, nullable=False),
        Column("file", StoredObject("rows")),
    )
    __mapper_args__ = {"primary_key": [__table__.c.code]}  # noqa: RUF012 - as SQLAlchemy has it
    file: Mapped[FileObject | None]


class Day(Base):
    """A row whose key is a date, which may be given as a time of that day."""

    __tablename__ = "days_with_files"

    day: Mapped[date] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class User(Base):
    """A row that may have another beside it."""

    __tablename__ = "users_of_profiles"

    id: Mapped[int] = mapped_column(primary_key=True)
    avatar: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Profile(Base):
    """The row beside it."""

    __tablename__ = "profiles_of_users"

    number: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id))
    banner: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Joined(Base):
    """Both as one row, the second part of whose key may be missing."""

    __table__ = outerjoin(User.__table__, Profile.__table__)
    user_id = column_property(User.__table__.c.id, Profile.__table__.c.user_id)
    avatar: Mapped[FileObject | None]
    banner: Mapped[FileObject | None]


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> Iterator[Engine]:
    """A database with the tables."""
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
        begin_sqlite_properly(engine)
        Base.metadata.create_all(engine)
    else:
        databases: Databases = request.getfixturevalue("postgres_databases")
        engine = create_engine(databases.copy("keys-of-tables", Base.metadata.create_all).url("postgresql+psycopg"))
    yield engine
    run_blocking(release_reservations())
    engine.dispose()


def findings(engine: Engine) -> list[str]:
    """Return what an audit finds of objects of any age."""

    async def found() -> list[str]:
        return [one.kind.value async for one in audit(engine, Base.metadata, grace=timedelta(seconds=-9))]

    return run_blocking(found())


@pytest.mark.parametrize("change", ["replace", "clear", "delete", "bulk"])
@pytest.mark.parametrize(
    ("added", "model", "key"),
    [
        (lambda: [scan(1, 2), scan(2, 1)], Scan, (1, 2)),
        (lambda: [Coded(id=1, code=2, file=pending(b"2")), Coded(id=2, code=1, file=pending(b"1"))], Coded, (2,)),
    ],
)
def test_a_row_is_told_by_the_key_of_its_class(
    engine: Engine, added: Any, model: type[Any], key: tuple[int, ...], change: str
) -> None:
    """What a row loses is its own file, and not that of the row whose table's key looks like its key."""
    with Session(engine) as session:
        session.add_all(added())
        session.commit()
        row = session.get_one(model, key)
        if change == "delete":
            session.delete(row)
        elif change == "bulk":
            condition = model.page_number == 2 if model is Scan else model.code == 2
            session.execute(update(model).where(condition).values(file=pending(b"new")))
        else:
            row.file = pending(b"new") if change == "replace" else None
        session.commit()

        assert findings(engine) == []
        assert session.get_one(model, key[::-1] if model is Scan else (1,)).file.get_content() == b"1"


def scan(tenant: int, number: int) -> Scan:
    """Return a page of a tenant whose content is its number."""
    return Scan(tenant=tenant, number=number, file=pending(str(number).encode()))


def test_a_row_may_lack_what_another_table_has(engine: Engine) -> None:
    """Of a class that joins two tables, a row whose second half is missing gives its file up like any other."""
    with Session(engine) as session:
        session.add_all([User(id=1, avatar=pending(b"a")), User(id=2, avatar=pending(b"b"))])
        session.flush()
        session.add(Profile(number=7, user_id=1, banner=pending(b"c")))
        session.commit()
        for row in session.query(Joined):
            row.avatar = pending(b"new")
            if row.banner is not None:
                row.banner = pending(b"new banner")
        session.commit()
        assert findings(engine) == []
        session.delete(session.query(Joined).filter(User.id == 1).one())
        session.commit()

    assert findings(engine) == []


def test_rows_of_a_base_class_that_hold_no_file(engine: Engine) -> None:
    """A bulk statement on a class is one on all of its rows, though only those of another class hold files."""
    with Session(engine) as session:
        session.add_all([scan(1, 1), Page(tenant=1, number=2), Page(tenant=1, number=3)])
        session.commit()
        changed = session.execute(update(Page).where(Page.number < 3).values(note="read").returning(Page.number))
        assert sorted(changed.scalars()) == [1, 2]
        session.execute(delete(Page).where(Page.kind == "page"))
        session.commit()

        assert [page.note for page in session.scalars(select(Page))] == ["read"]
    assert findings(engine) == []


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_key_that_does_not_come_back_as_it_was_given(engine: Engine) -> None:
    """Rows that can't be found by the keys that the database gave are changed all the same, as they are asked for."""
    with Session(engine) as session:
        session.execute(insert(Dated.__table__).values(number=1))  # type: ignore[arg-type]
        session.commit()
        session.execute(update(Dated).where(Dated.number == 1).values(note="changed"))
        session.commit()
        assert session.execute(select(Dated.note)).scalar_one() == "changed"
        session.execute(delete(Dated).where(Dated.number == 1))
        session.commit()
        assert session.execute(select(Dated.note)).all() == []


def test_a_date_that_was_given_as_a_time(engine: Engine) -> None:
    """SQLAlchemy writes the date of it, and the row is found by that."""
    with Session(engine, expire_on_commit=False) as session:
        row = Day(day=datetime(2024, 1, 1, 12, tzinfo=UTC), file=pending(b"old"))
        session.add(row)
        session.commit()
        row.file = pending(b"new")
        session.commit()
        assert findings(engine) == []
        session.delete(row)
        session.commit()

        assert session.scalars(select(Day.day)).all() == []
    assert findings(engine) == []
