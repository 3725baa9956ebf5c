"""Savepoints, rollbacks, and what the database refuses."""

from contextlib import suppress

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tests.crash.application import Application
from tests.crash.models import Document, pending
from tests.crash.scripts.script import change_much, named, script, unit


@script(1, savepoints=True)
async def savepoint_released(application: Application) -> None:
    """What a released savepoint did counts when the outer transaction is committed."""

    def change(session: Session) -> None:
        session.add(Document(title="outer", file=pending("outer")))
        with session.begin_nested():
            change_much(session, "inner")

    await unit(change)(application)


@script(2, savepoints=True)
async def savepoint_rolled_back(application: Application) -> None:
    """What a rolled-back savepoint did is undone, and only that."""

    def change(session: Session) -> None:
        session.add(Document(title="outer", file=pending("outer")))
        savepoint = session.begin_nested()
        change_much(session, "inner")
        savepoint.rollback()
        named(session, "empty").file = pending("no longer")

    await unit(change)(application)


@script(0, savepoints=True)
async def savepoint_released_in_vain(application: Application) -> None:
    """A released savepoint goes with the outer transaction's rollback."""

    def change(session: Session) -> None:
        with session.begin_nested():
            change_much(session, "inner")
        session.rollback()

    await unit(change)(application)


@script(1, savepoints=True)
async def savepoints_nested(application: Application) -> None:
    """A savepoint within another that is rolled back, between two that are released."""

    def change(session: Session) -> None:
        with session.begin_nested():
            named(session, "empty").file = pending("no longer")
        outer = session.begin_nested()
        with session.begin_nested():
            change_much(session, "inner")
        outer.rollback()
        with session.begin_nested():
            named(session, "empty").file = pending("replaced")

    await unit(change)(application)


@script(0)
async def roll_back(application: Application) -> None:
    """A unit of work that is rolled back after its flush."""
    async with application.work() as work:
        await work.do(lambda session: change_much(session, "new"))
        await work.rollback()


@script(0)
async def close(application: Application) -> None:
    """A session that is closed without a commit."""
    async with application.work() as work:
        await work.do(lambda session: change_much(session, "new"))


@script(1)
async def violate_constraint(application: Application) -> None:
    """A row that the database refuses, a rollback, and another one."""
    async with application.work() as work:
        await work.do(lambda session: session.add(Document(title="one", file=pending("refused"))))
        with suppress(IntegrityError):
            await work.commit()
        await work.rollback()
        await work.do(lambda session: session.add(Document(title="new", file=pending("new"))))
        await work.commit()


@script(2, savepoints=True)
async def savepoint_touches_outer_rows(application: Application) -> None:
    """A savepoint changes a row that its transaction wrote, and is rolled back: the row has its files."""

    def change(session: Session) -> None:
        document = Document(title="outer", file=pending("outer"), pages=[pending("page")])
        session.add(document)
        session.flush()
        savepoint = session.begin_nested()
        assert document.pages is not None
        assert document.file is not None
        document.pages.append(pending("no longer"))
        document.file.metadata["k"] = "v"
        session.flush()
        savepoint.rollback()

    await unit(change)(application)


@script(0, savepoints=True)
async def savepoint_and_transaction_rolled_back(application: Application) -> None:
    """A savepoint moves and replaces files of its transaction; both are rolled back."""

    def change(session: Session) -> None:
        document = Document(title="outer", file=pending("outer"), pages=[pending("page")])
        session.add(document)
        session.flush()
        savepoint = session.begin_nested()
        named(session, "one").file, document.file = document.file, named(session, "one").file
        document.pages = [pending("no longer")]
        session.flush()
        savepoint.rollback()
        named(session, "empty").file = pending("no longer")
        session.flush()
        session.rollback()

    await unit(change)(application)


@script(2, savepoints=True, unledgered=True)
async def inside_another_transaction(application: Application) -> None:
    """A session on a connection whose transaction somebody else commits: its files come with the rows, or go."""

    def change(session: Session) -> None:
        session.add(Document(title="borrowed", file=pending("borrowed")))
        with session.begin_nested():
            named(session, "empty").file = pending("no longer")

    async with application.borrowing() as work:
        await work.do(change)
        await work.commit()
