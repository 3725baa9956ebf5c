"""Mappings that are seldom: expressions, columns under other names, classes that share a table, defaults, views."""

from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastapi import UploadFile
from sqlalchemy import (
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    create_engine,
    delete,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, column_property, mapped_column

from fastapi_filestore import (
    FileObject,
    ObstoreBackend,
    StoredObject,
    UnsupportedStatementError,
    add_ledger,
    audit,
)
from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.orm.ledger.reservations import release_reservations
from tests.rows.conftest import begin_sqlite_properly, pending

_computed: list[int] = []


def _counted() -> int:
    _computed.append(1)
    return len(_computed)


class Base(DeclarativeBase):
    """The tables of this file."""


add_ledger(Base.metadata, name="intents_of_mappings")


class Child(Base):
    """A row with a file."""

    __tablename__ = "children"

    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("parents.id", ondelete="SET NULL"))
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Parent(Base):
    """A row without one that shows the newest of its children's."""

    __tablename__ = "parents"

    id: Mapped[int] = mapped_column(primary_key=True)


Parent.latest = column_property(
    select(Child.file).where(Child.parent_id == Parent.id).order_by(Child.id.desc()).limit(1).scalar_subquery()
)


class Asset(Base):
    """Rows of several classes in one table, each with a column of its own under one name."""

    __tablename__ = "mapped_assets"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "asset"}  # noqa: RUF012 - SQLAlchemy reads it

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]


class Picture(Asset):
    """One of them."""

    __mapper_args__ = {"polymorphic_identity": "picture"}  # noqa: RUF012 - as above

    file: Mapped[FileObject | None] = mapped_column("picture_file", StoredObject("rows"))


class Video(Asset):
    """Another one."""

    __mapper_args__ = {"polymorphic_identity": "video"}  # noqa: RUF012 - as above

    file: Mapped[FileObject | None] = mapped_column("video_file", StoredObject("rows"))


class Renamed(Base):
    """A row whose columns have other keys than names, and one that is computed at each update."""

    __tablename__ = "renamed"

    id: Mapped[int] = mapped_column("db_id", key="ident", primary_key=True)
    changes: Mapped[int] = mapped_column(default=0, onupdate=_counted)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class ChildView(Base):
    """Rows of a view of another table."""

    __table__ = Table(
        "children_view", MetaData(), Column("id", Integer, primary_key=True), Column("file", StoredObject())
    )
    file: Mapped[FileObject]


class ChildTwin(Base):
    """A second class for the rows of another."""

    __table__ = Table(
        "children", MetaData(), Column("id", Integer, primary_key=True), Column("file", StoredObject("rows"))
    )
    file: Mapped[FileObject]


@pytest.fixture
def engine(tmp_path: Path, backend: ObstoreBackend) -> Iterator[Engine]:
    """A database with the tables, and the view."""
    engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
    begin_sqlite_properly(engine)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(text("CREATE VIEW children_view AS SELECT id, file FROM children"))
    yield engine
    run_blocking(release_reservations())
    engine.dispose()


def _findings(engine: Engine) -> list[str]:
    async def found() -> list[str]:
        return [one.kind.value async for one in audit(engine, Child, grace=timedelta(seconds=-9))]

    return run_blocking(found())


def _add(engine: Engine, *rows: object) -> None:
    with Session(engine) as session:
        session.add_all(rows)
        session.commit()


def test_a_row_that_shows_the_file_of_another_does_not_hold_it(engine: Engine) -> None:
    """An expression over another table holds nothing: whoever shows a file may go without it."""
    _add(engine, Parent(id=1), Child(id=1, parent_id=1, file=pending(b"child")))
    with Session(engine) as session:
        parent = session.get_one(Parent, 1)
        assert parent.latest is not None  # type: ignore[attr-defined]
        session.delete(parent)
        session.commit()

    assert _findings(engine) == []


@pytest.mark.parametrize("is_late", [False, True])
def test_a_new_file_for_what_a_query_shows_is_refused(engine: Engine, *, is_late: bool) -> None:
    """It would be stored nowhere; a row that shows a stored one may be merged."""
    name = "late" if is_late else "latest"
    if is_late and "late" not in inspect(Parent).attrs:
        Parent.late = column_property(select(Child.file).where(Child.parent_id == Parent.id).limit(1).scalar_subquery())
    _add(engine, Parent(id=1), Child(id=1, parent_id=1, file=pending(b"child")))
    with Session(engine) as session, Session(engine) as other:
        parent: Any = session.get_one(Parent, 1)
        for new in (pending(), UploadFile(BytesIO(b"new"), filename="new.txt")):
            with pytest.raises(UnsupportedStatementError, match=rf"Parent\.{name} shows what a query finds, so '"):
                setattr(parent, name, new)
        with pytest.raises(UnsupportedStatementError, match=rf"Parent\.{name} shows"):
            Parent(**{name: pending()})
        assert getattr(parent, name).get_content() == b"child"
        assert getattr(other.merge(parent), name).get_content() == b"child"
        other.commit()

    assert _findings(engine) == []


def test_bulk_statements_tell_columns_of_one_name_apart(engine: Engine) -> None:
    """Classes that share a table may call two columns the same; each row's own file is replaced and deleted."""
    _add(engine, Picture(id=1, file=pending(b"1")), Video(id=2, file=pending(b"2")), Picture(id=3, file=pending(b"3")))
    table: Any = Asset.__table__
    with Session(engine) as session:
        session.execute(update(table).where(table.c.id == 1).values(picture_file=pending(b"new")))
        session.execute(delete(Asset).where(Asset.id == 3))
        session.commit()
        assert (session.get_one(Picture, 1).file or pending()).get_content() == b"new"

    assert _findings(engine) == []


@pytest.mark.parametrize(("target", "wrong"), [(Picture, "picture_file"), (Asset.__table__, "file")])
def test_an_insert_by_a_wrong_name_is_refused(engine: Engine, target: Any, wrong: str) -> None:
    """A class has attributes, and a table columns; SQLAlchemy passes over what else is given."""
    with Session(engine) as session:
        with pytest.raises(UnsupportedStatementError, match="name its attributes"):
            session.execute(insert(target), [{"kind": "picture", wrong: pending()}])
        session.commit()

    assert _findings(engine) == []


def test_a_column_may_have_another_key_than_its_name(engine: Engine) -> None:
    """Files of such a row are replaced and deleted like any other's, and nothing is computed but for real updates."""
    _add(engine, Renamed(id=1, file=pending(b"old")))
    _computed.clear()
    with Session(engine) as session:
        row = session.get_one(Renamed, 1)
        row.file = pending(b"new")
        session.commit()
        assert len(_computed) == 1
        session.delete(row)
        session.commit()

    assert _findings(engine) == []


def test_a_view_is_no_second_place(engine: Engine, backend: ObstoreBackend) -> None:
    """A file that a client stored comes into a table of which a class maps a view."""
    run_blocking(backend.put("from/client", b"client"))
    _add(engine, Child(file=FileObject("rows", "a.txt", path="from/client")))
    with Session(engine) as session:
        shown = session.scalars(select(ChildView)).one()
        assert shown.file.get_content() == b"client"


def test_a_class_that_maps_a_query_shows_files(engine: Engine) -> None:
    """SQLAlchemy would write its table, and nobody would know: its files are read, and changed by the class of that."""

    class Shown(Base):
        __table__ = select(Child.__table__.c.id, Child.__table__.c.file).subquery()
        __mapper_args__ = {"primary_key": [__table__.c.id]}  # noqa: RUF012 - as SQLAlchemy has it
        file: Mapped[FileObject | None]

    try:
        _add(engine, Child(id=1, file=pending(b"child")))
        with Session(engine) as session:
            shown = session.scalars(select(Shown)).one()
            assert (shown.file or pending()).get_content() == b"child"
            for new in (None, pending()):
                with pytest.raises(UnsupportedStatementError, match=r"Shown\.file shows the files of children\.file"):
                    shown.file = new
            session.commit()
        assert _findings(engine) == []
    finally:
        Base.registry._dispose_cls(Shown)  # noqa: SLF001 - of this class alone


def test_two_classes_of_one_row_are_not_changed_at_once(engine: Engine) -> None:
    """Nobody can tell which of the two is written last: it is refused by name, and nothing is left."""
    _add(engine, Child(id=1, file=pending(b"old")))
    for is_deleted in (False, True):
        with Session(engine) as session:
            twin = session.get_one(ChildTwin, 1)
            session.get_one(Child, 1).file = pending(b"1")
            if is_deleted:
                session.delete(twin)
            else:
                twin.file = pending(b"2")
            with pytest.raises(UnsupportedStatementError, match="are the same row of children"):
                session.commit()
    with Session(engine) as session:
        session.get_one(Child, 1).file = pending(b"1")
        session.flush()
        session.get_one(ChildTwin, 1).file = pending(b"2")
        session.commit()
        assert session.get_one(ChildTwin, 1).file.get_content() == b"2"

    assert _findings(engine) == []
