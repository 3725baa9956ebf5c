"""Savepoints that somebody sets on the session's connection, of which the session is not told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, insert, update
from sqlalchemy.orm import Session

from tests.rows.conftest import Rows, begin_sqlite_properly, pending
from tests.rows.giving_up import give_up
from tests.rows.models import Base, Document, Label

Change = Callable[[Session], object]


def replace(session: Session) -> None:
    """Give a row another file."""
    session.get_one(Document, 1).file = pending(b"new")


def clear(session: Session) -> None:
    """Take a row's file away."""
    session.get_one(Document, 1).file = None


def add(session: Session) -> None:
    """Add a row."""
    session.add(Document(title="b", file=pending(b"new")))


def remove(session: Session) -> None:
    """Delete a row."""
    session.delete(session.get_one(Document, 1))


def replace_all(session: Session) -> None:
    """Give a row another file by a bulk statement."""
    session.execute(update(Document).values(file=pending(b"new")))


def insert_one(session: Session) -> None:
    """Add a row by a bulk statement."""
    session.execute(insert(Document).values(title="b", file=pending(b"new")))


def remove_all(session: Session) -> None:
    """Delete all rows by a bulk statement."""
    session.execute(delete(Document))


def replace_in_its_own(session: Session) -> None:
    """Replace a file in a savepoint of the session itself, which is released."""
    with session.begin_nested():
        replace(session)


def give_up_in_its_own(session: Session) -> None:
    """Replace a file, and do more in a savepoint of the session itself, which is rolled back."""
    replace(session)
    give_up(session, clear)


CHANGES: list[Change] = [
    *(replace, clear, add, remove, replace_all, insert_one, remove_all, replace_in_its_own, give_up_in_its_own)
]


@pytest.mark.parametrize("change", CHANGES)
async def test_what_such_a_savepoint_undoes_leaves_rows_and_files_as_they_were(rows: Rows, change: Change) -> None:
    """The row keeps its file, and what was stored for it goes."""
    identity = await rows.add(title="a", file=pending(b"old"))

    def work_on(session: Session) -> None:
        savepoint = session.connection().begin_nested()
        change(session)
        session.flush()
        savepoint.rollback()

    async with rows.work() as work:
        await work.do(work_on)
        await work.commit()

    assert await rows.content(identity) == b"old"
    assert len(await rows.keys()) == 1


@pytest.mark.parametrize("change", [replace, replace_all, replace_in_its_own])
async def test_what_such_a_savepoint_keeps_is_committed(rows: Rows, change: Change) -> None:
    """A released savepoint changes nothing of what was done in it."""
    identity = await rows.add(title="a", file=pending(b"old"))

    def work_on(session: Session) -> None:
        with session.connection().begin_nested():
            change(session)
            session.flush()

    async with rows.work() as work:
        await work.do(work_on)
        await work.commit()

    assert await rows.content(identity) == b"new"
    assert len(await rows.keys()) == 1


async def test_what_is_done_around_such_a_savepoint_stays(rows: Rows) -> None:
    """Before it, after it, and in another one inside of it that is rolled back alone."""
    first, second, third = [await rows.add(title=name, file=pending(b"old")) for name in "abc"]

    def put(session: Session, identity: int, content: bytes) -> None:
        session.get_one(Document, identity).file = pending(content)
        session.flush()

    def work_on(session: Session) -> None:
        connection = session.connection()
        put(session, first, b"before")
        outer = connection.begin_nested()
        put(session, second, b"outer")
        inner = connection.begin_nested()
        put(session, third, b"inner")
        inner.rollback()
        outer.commit()
        undone = connection.begin_nested()
        put(session, first, b"undone")
        undone.rollback()
        session.expire_all()
        put(session, third, b"after")

    async with rows.work() as work:
        await work.do(work_on)
        await work.commit()

    assert [await rows.content(each) for each in (first, second, third)] == [b"before", b"outer", b"after"]
    assert len(await rows.keys()) == 3


async def test_a_file_of_a_row_that_was_undone_comes_into_another(rows: Rows) -> None:
    """Its upload is no row's again until then: the ledger must not take it for garbage afterwards."""
    file = pending(b"new")

    def work_on(session: Session) -> None:
        savepoint = session.connection().begin_nested()
        row = Document(title="a", file=file)
        session.add(row)
        session.flush()
        savepoint.rollback()
        session.expunge(row)
        session.add(Document(id=7, title="b", file=file))

    async with rows.work() as work:
        await work.do(work_on)
        await work.commit()
    await rows.sweep()

    assert await rows.content(7) == b"new"


async def test_a_savepoint_inside_of_the_sessions_own(rows: Rows) -> None:
    """One that went with the session's own savepoint undoes nothing of what was done since."""
    identity = await rows.add(title="a", file=pending(b"old"))

    def work_on(session: Session) -> None:
        with session.begin_nested():
            savepoint = session.connection().begin_nested()
            replace(session)
            session.flush()
            savepoint.rollback()
        session.expire_all()
        session.get_one(Document, identity).file = pending(b"newer")

    async with rows.work() as work:
        await work.do(work_on)
        await work.commit()

    assert await rows.content(identity) == b"newer"
    assert len(await rows.keys()) == 1


@pytest.mark.parametrize("rows", ["sqlite-sync"], indirect=True)
async def test_a_savepoint_of_one_of_two_databases_loses_nothing(rows: Rows, tmp_path: Path) -> None:
    """What it undid and what it did not is not known: nothing is deleted, and an audit finds what is left."""
    identity = await rows.add(title="a", file=pending(b"old"))
    other: Any = create_engine(f"sqlite:///{tmp_path}/other.db", connect_args={"check_same_thread": False})
    begin_sqlite_properly(other)
    Base.metadata.create_all(other)

    def work_on(engine: Any) -> None:
        with Session(other) as session:
            session.add(Label(code="a", file=pending(b"label")))
            session.commit()
        with Session(binds={Document: engine, Label: other}) as session:
            savepoint = session.connection(bind_arguments={"mapper": Document}).begin_nested()
            replace(session)
            session.get_one(Label, "a").file = pending(b"new label")
            session.flush()
            savepoint.rollback()
            session.commit()
        with Session(other) as session:
            label = session.get_one(Label, "a")
            assert label.file is not None
            assert label.file.get_content() == b"new label"

    async with rows.work() as work:
        await work.do(lambda s: work_on(s.get_bind()))
    other.dispose()

    assert await rows.content(identity) == b"old"
    async with rows.work() as work:
        held = (await work.get(Document, identity)).file
        assert held is not None
    for path in await rows.keys() - {held.path}:
        await rows.backend.delete(path)
