"""A row that others delete, and add again under its key, while a transaction is about to change or delete it.

On PostgreSQL each statement sees what was committed before it: a row may be gone for one and there for the next.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, Integer, delete, event, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import FileObject, StaleRowError, StoredObject
from tests.rows.conftest import Rows, pending
from tests.rows.models import Author, Document, Label

pytestmark = pytest.mark.parametrize("rows", ["postgres-sync"], indirect=True)


@contextmanager
def after_each(rows: Rows, part: str, *acts: Callable[[Session], object]) -> Iterator[None]:
    """Let another session act after the first statement with some text, then after the second, and so on."""
    engine, waiting, acting = rows.engine, list(acts), list[str]()
    assert isinstance(engine, Engine)

    def act(*call: Any) -> None:
        if waiting and part in call[2] and not acting:
            acting.append(part)
            with Session(engine) as session:
                act_now = waiting.pop(0)
                act_now(session)
                session.commit()
            acting.clear()

    event.listen(engine, "after_cursor_execute", act)
    try:
        yield
    finally:
        event.remove(engine, "after_cursor_execute", act)
    assert not waiting


def remove(session: Session) -> None:
    """Delete the documents."""
    for row in session.query(Document):
        session.delete(row)


def add(session: Session) -> None:
    """Add the document again."""
    session.add(Document(id=1, title="a", file=pending(b"reborn")))


def replace(session: Session, row: Document) -> None:
    """Give it another file."""
    row.file = pending(b"mine")
    session.flush()


def take_its_place(session: Session, row: Document) -> None:
    """Add a row with its key in its place."""
    session.delete(row)
    session.add(Document(id=1, title="b", file=pending(b"mine")))
    session.flush()


def update_by_key(session: Session, row: Document) -> None:
    """Update it among rows that are named by their keys."""
    session.execute(update(Document), [{"id": 1, "file": pending(b"mine")}])


@pytest.mark.parametrize("change", [replace, take_its_place, update_by_key])
async def test_a_row_that_is_born_anew_is_not_written(rows: Rows, change: Callable[[Session, Document], None]) -> None:
    """What another transaction put there keeps its file: the row is not the one that was read."""
    identity = await rows.add(id=1, title="a", file=pending(b"old"))

    def work_on(session: Session) -> None:
        row = session.get_one(Document, identity)
        with Session(session.get_bind()) as other:
            remove(other)
            other.commit()
        with after_each(rows, "FOR UPDATE", add), pytest.raises(StaleRowError):
            change(session, row)

    async with rows.work() as work:
        await work.do(work_on)
        await work.rollback()

    assert await rows.content(identity) == b"reborn"
    assert len(await rows.keys()) == 1


async def test_a_deleted_row_that_is_born_anew_stays(rows: Rows) -> None:
    """A row that is gone already is deleted, as ever; the one that was added since is another one."""
    identity = await rows.add(id=1, title="a", file=pending(b"old"))

    def work_on(session: Session) -> None:
        row = session.get_one(Document, identity)
        with Session(session.get_bind()) as other:
            remove(other)
            other.commit()
        session.delete(row)
        with after_each(rows, "FOR UPDATE", add):
            session.flush()
        assert row not in session

    async with rows.work() as work:
        await work.do(work_on)
        await work.commit()

    assert await rows.content(identity) == b"reborn"


async def test_a_row_that_counts_versions_tells_that_it_is_gone(rows: Rows) -> None:
    """SQLAlchemy would say so, too, unless another transaction had added the row again."""

    class Base(DeclarativeBase):
        pass

    class Plan(Base):
        __tablename__ = "plans"

        id: Mapped[int] = mapped_column(primary_key=True)
        version: Mapped[int] = mapped_column(Integer)
        file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="rows"))

        __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy reads it

    def work_on(session: Session) -> None:
        Base.metadata.create_all(session.connection())
        session.add(Plan(id=1, file=pending(b"old")))
        session.commit()
        row = session.get_one(Plan, 1)
        with Session(session.get_bind()) as other:
            other.delete(other.get_one(Plan, 1))
            other.commit()
        session.delete(row)
        with pytest.raises(StaleRowError):
            session.flush()

    async with rows.work() as work:
        await work.do(work_on)


async def test_a_row_of_two_tables_that_is_born_anew_in_between_goes_whole(rows: Rows) -> None:
    """One table is asked when the row is gone, the next when it is there again: then both are asked once more."""

    def add_author(session: Session) -> None:
        session.add(Author(id=1, photo=pending(b"photo"), essay=pending(b"essay")))

    def work_on(session: Session) -> None:
        add_author(session)
        session.commit()
        row = session.get_one(Author, 1)
        with Session(session.get_bind()) as other:
            other.delete(other.get_one(Author, 1))
            other.commit()
        session.delete(row)
        with after_each(rows, "FOR UPDATE", add_author):
            session.flush()

    async with rows.work() as work:
        await work.do(work_on)
        await work.commit()

    assert await rows.keys() == set()


@pytest.mark.parametrize("moments", [(remove, add), (remove, lambda s: None, add)])
async def test_a_bulk_delete_is_held_to_the_rows_that_it_found(
    rows: Rows, moments: tuple[Callable[[Session], object], ...]
) -> None:
    """A row of a statement with a join goes with its files, or stays with them, whenever it is born anew."""
    await rows.add(id=1, title="a", file=pending(b"old"), pages=[pending(b"page")])
    joined = delete(Document).where(Document.title == Label.code).execution_options(synchronize_session=False)

    def work_on(session: Session) -> None:
        session.add(Label(code="a"))
        session.commit()
        with after_each(rows, "FROM documents", *moments):
            session.execute(joined)
        session.commit()

    async with rows.work() as work:
        await work.do(work_on)
