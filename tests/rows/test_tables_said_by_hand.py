"""Which tables a row is in where a class says by hand how it is joined, or maps a query."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, ForeignKey, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from fastapi_filestore import (
    FileObject,
    StoredObject,
)
from tests.rows.classes import EMPLOYEES, Base, Employee, add, change, engine
from tests.rows.conftest import pending

__all__ = ["engine"]


class Part(Base):
    """A row that classes extend by tables of their own, and say themselves how these are joined."""

    __tablename__ = "parts"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "part"}  # noqa: RUF012 - as above

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str | None] = mapped_column(unique=True)
    kind: Mapped[str]
    file: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Wheel(Part):
    """A part with two foreign keys to parts."""

    __tablename__ = "wheels"

    id: Mapped[int] = mapped_column(ForeignKey("parts.id", ondelete="CASCADE"), primary_key=True)
    axle_id: Mapped[int | None] = mapped_column(ForeignKey("parts.id"))
    drawing: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))
    __mapper_args__ = {"polymorphic_identity": "wheel", "inherit_condition": id == Part.id}  # noqa: A003, RUF012 - as above


class Spoked(Wheel):
    """A wheel with a file of its own in the table of wheels."""

    __mapper_args__ = {"polymorphic_identity": "spoked"}  # noqa: RUF012 - as above

    spoke: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))


class Screw(Part):
    """A part whose table has another key than the part's."""

    __tablename__ = "screws"

    part_code: Mapped[str] = mapped_column(
        ForeignKey("parts.code", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True
    )
    thread: Mapped[FileObject | None] = mapped_column(StoredObject("rows"))
    __mapper_args__ = {  # noqa: RUF012 - as above
        "polymorphic_identity": "screw",
        "inherit_condition": part_code == Part.code,
    }


WHEELS: Any = Wheel.__table__


PARTS: Any = Part.__table__


@pytest.mark.parametrize(
    "work",
    [
        lambda session: session.execute(delete(Part).where(Part.id == 1)),
        lambda session: session.execute(delete(PARTS).where(PARTS.c.id == 1)),
        lambda session: session.execute(update(Part).where(Part.id == 1).values(file=pending(b"new"))),
        lambda session: session.delete(session.get_one(Part, 1)),
        lambda session: session.execute(delete(WHEELS).where(WHEELS.c.id == 2)),
        lambda session: session.execute(delete(WHEELS).where(WHEELS.c.id == 4)),
        lambda session: session.delete(session.get_one(Part, 2)),
        lambda session: session.delete(session.get_one(Part, 4)),
        lambda session: session.delete(session.get_one(Screw, 6)),
        lambda session: setattr(session.get_one(Screw, 6), "thread", pending(b"new")),
        lambda session: session.execute(delete(Part).where(Part.id == 6)),
        lambda session: session.execute(update(Part).where(Part.id == 6).values(file=None, code="new")),
    ],
)
def test_a_join_that_is_said_by_hand(engine: Engine, work: Callable[[Session], object]) -> None:
    """A condition of joined tables may name attributes or columns, keys or others: no row is taken for another."""
    add(engine, Part(id=1, file=pending()))
    add(engine, *(Wheel(id=each, file=pending(), drawing=pending()) for each in (2, 3)))
    add(engine, *(Spoked(id=each, file=pending(), drawing=pending(), spoke=pending()) for each in (4, 5)))
    add(engine, *(Screw(id=each, code=f"M{each}", file=pending(), thread=pending()) for each in (6, 7)))

    change(engine, work)


def test_a_row_of_a_class_that_maps_a_query_is_deleted(engine: Engine) -> None:
    """SQLAlchemy deletes the row whose key the query shows, and its file is the only one that goes."""

    class Shown(Base):
        __table__ = select(EMPLOYEES.c.id, EMPLOYEES.c.file).subquery()
        __mapper_args__ = {"primary_key": [__table__.c.id]}  # noqa: RUF012 - as SQLAlchemy has it
        file: Mapped[FileObject | None]

    try:
        add(engine, *(Employee(id=each, file=pending()) for each in (1, 2)))
        change(engine, lambda session: session.delete(session.get_one(Shown, 1)))
        with Session(engine) as session:
            assert [row.id for row in session.scalars(select(Employee))] == [2]
    finally:
        Base.registry._dispose_cls(Shown)  # noqa: SLF001 - of this class alone
