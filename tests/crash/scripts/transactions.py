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
