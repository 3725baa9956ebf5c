"""A row that others delete, and add again under its key, while a transaction is about to change or delete it.

On PostgreSQL each statement sees what was committed before it: a row may be gone for one and there for the next.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, Integer, delete, event, update
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.orm.exc import StaleDataError

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


def remove_elsewhere(session: Session) -> None:
    """Have another transaction delete the documents."""
    with Session(session.get_bind()) as other:
        remove(other)
        other.commit()


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


@pytest.mark.parametrize("change", [replace, take_its_place])
async def test_a_row_that_is_born_anew_loses_the_file_that_it_came_with(
    rows: Rows, change: Callable[[Session, Document], None]
) -> None:
    """Whoever writes a row last says what it holds, whether it is the row that was read or one in its place."""
    identity = await rows.add(id=1, title="a", file=pending(b"old"))

    def work_on(session: Session) -> None:
        row = session.get_one(Document, identity)
        remove_elsewhere(session)
        with after_each(rows, "FOR UPDATE", add):
            change(session, row)

    async with rows.work() as work:
        await work.do(work_on)
        await work.commit()

    assert await rows.content(identity) == b"mine"
    assert len(await rows.keys()) == 1


async def test_a_list_that_is_born_anew_is_not_written(rows: Rows) -> None:
    """Nobody knows what it holds: it is refused as any list that another transaction changed."""
    identity = await rows.add(id=1, title="a", pages=[pending(b"old")])

    def add_pages(session: Session) -> None:
        session.add(Document(id=1, title="a", pages=[pending(b"reborn")]))

    def work_on(session: Session) -> None:
        row = session.get_one(Document, identity)
        row.pages = [*(row.pages or []), pending(b"mine")]
        remove_elsewhere(session)
        with after_each(rows, "FOR UPDATE", add_pages), pytest.raises(StaleRowError):
            session.flush()

    async with rows.work() as work:
        await work.do(work_on)
        await work.rollback()

    assert len(await rows.keys()) == 1


async def test_a_bulk_update_of_rows_by_key_refuses_one_that_is_born_anew(rows: Rows) -> None:
    """What another transaction put there keeps its file."""
    identity = await rows.add(id=1, title="a", file=pending(b"old"))

    def work_on(session: Session) -> None:
        remove(session)
        session.commit()
        with after_each(rows, "FOR UPDATE", add), pytest.raises(StaleRowError):
            session.execute(update(Document), [{"id": 1, "file": pending(b"mine")}])

    async with rows.work() as work:
        await work.do(work_on)
        await work.rollback()

    assert await rows.content(identity) == b"reborn"
    assert len(await rows.keys()) == 1


async def test_a_deleted_row_that_is_born_anew_goes_with_its_file(rows: Rows) -> None:
    """A row is deleted by its key, whoever put it there."""
    identity = await rows.add(id=1, title="a", file=pending(b"old"))

    def work_on(session: Session) -> None:
        row = session.get_one(Document, identity)
        remove_elsewhere(session)
        session.delete(row)
        with after_each(rows, "FOR UPDATE", add):
            session.flush()

    async with rows.work() as work:
        await work.do(work_on)
        await work.commit()

    assert await rows.keys() == set()


async def test_a_row_that_is_gone_is_sqlalchemys_to_tell(rows: Rows) -> None:
    """A change of it is an error, and a deletion a warning."""
    identity = await rows.add(id=1, title="a", file=pending(b"old"))

    def work_on(session: Session) -> None:
        row = session.get_one(Document, identity)
        remove_elsewhere(session)
        row.file = pending(b"mine")
        with pytest.raises(StaleDataError):
            session.flush()
        session.rollback()

    def delete_it(session: Session) -> None:
        add(session)
        session.commit()
        row = session.get_one(Document, identity)
        remove_elsewhere(session)
        session.delete(row)
        with pytest.warns(SAWarning, match="expected to delete 1 row"):
            session.flush()

    async with rows.work() as work:
        await work.do(work_on)
        await work.do(delete_it)
        await work.commit()

    assert await rows.keys() == set()


async def test_a_row_that_counts_versions_tells_that_it_is_gone(rows: Rows) -> None:
    """By the error of SQLAlchemy, which a program that counts versions waits for."""

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
        with pytest.raises(StaleDataError):
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
