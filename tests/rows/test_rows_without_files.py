"""Rows that have no file and no place for one, beside rows of other classes that do: they change and go as ever."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, ForeignKey, create_engine, delete, event, func, select, update
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, configure_mappers, mapped_column, relationship

from fastapi_filestore import FileObject, ObstoreBackend, StoredObject
from tests.rows.conftest import begin_sqlite_properly, pending
from tests.servers.postgres import Databases


class Base(DeclarativeBase):
    """The tables of this file."""


class OtherBase(DeclarativeBase):
    """Those of another database."""


class Keeper(Base):
    """Who owns animals."""

    __tablename__ = "keepers"

    id: Mapped[int] = mapped_column(primary_key=True)
    animals: Mapped[list["Beast"]] = relationship(cascade="all, delete-orphan")


class Beast(Base):
    """A class without files, whose heirs have some in tables of theirs."""

    __tablename__ = "beasts"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="beast")
    name: Mapped[str] = mapped_column(default="")
    version: Mapped[int] = mapped_column()
    keeper_id: Mapped[int | None] = mapped_column(ForeignKey("keepers.id"))

    __mapper_args__ = {  # noqa: RUF012 - SQLAlchemy reads it
        "polymorphic_on": "kind",
        "polymorphic_identity": "beast",
        "version_id_col": version,
    }


class Dog(Beast):
    """An heir."""

    __tablename__ = "dogs"
    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012 - as above

    id: Mapped[int] = mapped_column(ForeignKey("beasts.id"), primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Note(Base):
    """A class without files, in a table whose name another database has for another table."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)


class NoteWithFile(OtherBase):
    """That one."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> Iterator[Engine]:
    """A database with the tables."""
    configure_mappers()
    if request.param == "sqlite":
        engine = create_engine(f"sqlite:///{tmp_path}/rows.db")
        begin_sqlite_properly(engine)
        Base.metadata.create_all(engine)
    else:
        databases: Databases = request.getfixturevalue("postgres_databases")
        engine = create_engine(databases.copy("without-files", Base.metadata.create_all).url("postgresql+psycopg"))
    yield engine
    engine.dispose()


def _delete(session: Session) -> None:
    session.delete(session.get_one(Beast, 1))
    session.delete(session.get_one(Note, 1))


def _delete_by_cascade(session: Session) -> None:
    session.delete(session.get_one(Keeper, 1))
    session.delete(session.get_one(Note, 1))


def _orphan(session: Session) -> None:
    keeper = session.get_one(Keeper, 1)
    keeper.animals.clear()
    session.flush()
    session.delete(session.get_one(Note, 1))


def _delete_in_bulk(session: Session) -> None:
    session.execute(delete(Beast).where(Beast.id == 1))
    session.execute(delete(Note))


@pytest.mark.parametrize("way", [_delete, _delete_by_cascade, _orphan, _delete_in_bulk])
def test_they_go(engine: Engine, way: Callable[[Session], None]) -> None:
    """However they are deleted, and whether their class counts versions or not."""
    with Session(engine) as session:
        session.add_all([Keeper(id=1, animals=[Beast(id=1)]), Note(id=1)])
        session.commit()
        way(session)
        session.commit()

        assert session.scalars(select(Beast.id)).all() == session.scalars(select(Note.id)).all() == []


def test_they_are_asked_for_files_together(engine: Engine) -> None:
    """However many go in one flush, their heirs' table is read once."""
    reads = list[str]()
    with Session(engine) as session:
        session.add_all([Beast(id=number) for number in range(1, 6)])
        session.commit()
        for beast in session.scalars(select(Beast)).all():
            session.delete(beast)
        event.listen(engine, "before_cursor_execute", lambda *call: reads.append(call[2]))
        session.commit()

    assert len([read for read in reads if read.startswith("SELECT") and "dogs" in read]) == 1


def test_a_row_whose_only_file_is_none_goes(engine: Engine) -> None:
    """A place for a file may be empty."""
    with Session(engine) as session:
        session.add(Dog(id=1))
        session.commit()
        session.delete(session.get_one(Dog, 1))
        session.commit()

        assert session.scalars(select(Beast.id)).all() == []


def test_a_row_whose_other_half_is_gone_goes(engine: Engine) -> None:
    """A bulk delete of heirs leaves their rows in the table that they inherit from."""
    with Session(engine) as session:
        session.add(Dog(id=1, file=pending()))
        session.commit()
        session.execute(delete(Dog))
        session.commit()
        for beast in session.scalars(select(Beast)):
            session.delete(beast)
        with pytest.warns(SAWarning, match="'dogs' expected to delete 1 row"):
            session.commit()

        assert session.scalars(select(Beast.id)).all() == []


def test_a_condition_that_finds_others_each_time(engine: Engine) -> None:
    """A bulk statement comes to an end, whatever its condition says of rows that others' tables lack."""
    with Session(engine) as session:
        session.add_all([*(Beast() for _ in range(40)), Dog(file=pending())])
        session.commit()
        condition = func.random() < (0.5 if engine.dialect.name == "postgresql" else 0)
        session.execute(
            update(Beast).where(condition).values(name="b"), execution_options={"synchronize_session": False}
        )
        session.commit()

        named = session.scalars(select(func.count()).where(Beast.name == "b")).one()

    assert 0 < named < 41
