"""Bulk statements of those who listen to a flush."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session, object_session

from fastapi_filestore import UnsupportedStatementError
from tests.rows.conftest import Rows, pending
from tests.rows.listening import listening
from tests.rows.models import Badge, Document, Label

Change = Callable[[Session], object]

OF_SESSIONS = ["before_flush", "after_flush", "after_flush_postexec"]
OF_ROWS = ["before_update", "after_update"]


def remove(session: Session) -> None:
    """Delete a label."""
    session.execute(delete(Label).where(Label.code == "a"))


def replace(session: Session) -> None:
    """Give a label another file."""
    session.execute(update(Label).where(Label.code == "a").values(file=pending(b"bulk")))


def insert_one(session: Session) -> None:
    """Add a label."""
    session.execute(insert(Label).values(code="b", file=pending(b"bulk")))


def remove_none(session: Session) -> None:
    """Delete from a table that has no rows."""
    session.execute(delete(Badge))


LEFT: dict[Change, int] = {remove: 1, replace: 2, insert_one: 3, remove_none: 2}
"""How many objects there are afterwards."""


async def add_both(rows: Rows) -> int:
    """Add a document, and a label, each with a file."""
    async with rows.work() as work:
        await work.add(Label(code="a", file=pending(b"label")))
        await work.commit()
    return await rows.add(title="a", file=pending(b"old"))


@pytest.mark.parametrize("change", LEFT)
@pytest.mark.parametrize("moment", [*OF_SESSIONS, *OF_ROWS])
async def test_a_listener_executes_a_bulk_statement(rows: Rows, moment: str, change: Change) -> None:
    """It does what it does elsewhere, beside what the flush writes."""
    identity = await add_both(rows)
    done: list[str] = []

    def listen(*arguments: Any) -> None:
        session: Any = arguments[0] if moment in OF_SESSIONS else object_session(arguments[2])
        if not done:
            done.append(moment)
            change(session)

    async with rows.work() as work:
        session = work.plain_session
        with listening(session if moment in OF_SESSIONS else Document, moment, listen):
            (await work.get(Document, identity)).file = pending(b"new")
            await work.commit()

    assert done
    assert await rows.content(identity) == b"new"
    assert len(await rows.keys()) == LEFT[change]


@pytest.mark.parametrize("is_caught", [True, False])
@pytest.mark.parametrize("statement", [update(Document).values(title="b", file=None), delete(Document)])
async def test_a_bulk_statement_on_a_row_that_the_flush_writes_is_refused(
    rows: Rows, statement: Any, *, is_caught: bool
) -> None:
    """The flush would write the row after it, or had written it before: nobody knows what it holds then."""
    identity = await rows.add(title="a", file=pending(b"old"))

    def listen(mapper: object, connection: object, row: object) -> None:
        session: Any = object_session(row)
        if not is_caught:
            session.execute(statement)
            return
        with pytest.raises(UnsupportedStatementError, match=r"A bulk statement of a listener.*before_flush"):
            session.execute(statement)

    async with rows.work() as work:
        with listening(Document, "before_update", listen):
            (await work.get(Document, identity)).file = pending(b"new")
            if is_caught:
                await work.commit()
            else:
                with pytest.raises(UnsupportedStatementError):
                    await work.commit()
                await work.rollback()

    assert await rows.content(identity) == (b"new" if is_caught else b"old")
    async with rows.work() as work:  # and when that flush is over
        await work.execute(statement)
        await work.commit()
    assert await rows.keys() == set()


@pytest.mark.parametrize("moment", ["before_flush", "after_flush"])
async def test_a_listener_replaces_what_the_flush_writes_by_a_bulk_statement(rows: Rows, moment: str) -> None:
    """Before the flush has begun, and after it has written, it is known what the row holds."""
    identity = await rows.add(title="a", file=pending(b"old"))
    done: list[str] = []

    def listen(session: Session, *_: object) -> None:
        if not done:
            done.append(moment)
            statement = update(Document).values(file=pending(b"bulk"))
            session.execute(statement.execution_options(synchronize_session=False))

    async with rows.work() as work:
        session = work.plain_session
        with listening(session, moment, listen):
            (await work.get(Document, identity)).file = pending(b"new")
            await work.commit()

    assert await rows.content(identity) == (b"bulk" if moment == "after_flush" else b"new")
    assert len(await rows.keys()) == 1


async def test_a_statement_after_a_flush_that_failed_is_none_of_it(rows: Rows) -> None:
    """What a flush had booked, which was rolled back, keeps no later statement from the same rows."""
    first, second = [await rows.add(title=name, file=pending(name.encode())) for name in "ab"]

    def fail(session: Session) -> None:
        session.get_one(Document, first).file = pending(b"new")
        session.get_one(Document, second).title = "a"
        with pytest.raises(Exception, match=r"(?i)unique"):
            session.flush()
        session.rollback()

    async with rows.work() as work:
        await work.do(fail)
        session = work.plain_session
        with listening(session, "before_flush", lambda s, *_: s.execute(update(Document).values(file=None))):
            await work.add(Document(title="c", file=pending(b"c")))
            await work.commit()

    assert len(await rows.keys()) == 1
