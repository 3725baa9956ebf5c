"""Transactions that see one moment of the past: REPEATABLE READ and SERIALIZABLE of PostgreSQL."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from fastapi_filestore import IntentLostError, sweep
from tests.rows.conftest import Rows, pending
from tests.rows.models import LEDGER, Document

ON_POSTGRES = ["postgres-sync", "postgres-async", "postgres-async-triggers"]


@pytest.fixture(params=["REPEATABLE READ", "SERIALIZABLE"])
def past(rows: Rows, request: pytest.FixtureRequest) -> Rows:
    """The same database, seen by transactions of a level."""
    return Rows(rows.engine.execution_options(isolation_level=request.param), rows.backend)


def after_reading(change: Callable[[Session], Any]) -> Callable[[Session], Any]:
    """Let a transaction see the past before it changes something."""

    def read_then_change(session: Session) -> Any:
        session.scalar(select(func.count()).select_from(Document))
        return change(session)

    return read_then_change


def add(row: Document, session: Session) -> None:
    """Add a row."""
    session.add(row)


@pytest.mark.parametrize("rows", ON_POSTGRES, indirect=True)
async def test_files_of_a_transaction_that_has_read(rows: Rows, past: Rows) -> None:
    """Their intents are younger than what it sees, and are settled all the same, one and several in one row."""
    for number in range(3):
        async with past.work() as work:
            pages = [pending(b"1"), pending(b"2")]
            row = Document(title=str(number), file=pending(b"file"), pages=pages)
            await work.do(after_reading(partial(add, row)))
            await work.commit()
    async with past.work() as work:
        await work.do(after_reading(lambda s: s.execute(update(Document).values(pages=[]))))
        await work.do(lambda s: setattr(s.scalars(select(Document)).first(), "file", pending(b"new")))
        await work.do(lambda s: s.delete(s.scalars(select(Document).order_by(Document.id.desc())).first()))
        await work.commit()

    assert len(await rows.keys()) == 2
    assert await rows.intents("delete") == set()
    assert not await rows.intents() & await rows.keys(), "intents of files that rows hold"


@pytest.mark.parametrize("rows", ON_POSTGRES[:2], indirect=True)
@pytest.mark.parametrize("change", ["replace", "delete", "bulk", "savepoint"])
async def test_a_file_that_its_own_transaction_drops(rows: Rows, past: Rows, change: str) -> None:
    """A file that is stored and let go of in one transaction is garbage that its intent tells of already."""

    def add_and_drop(session: Session) -> None:
        row = Document(title="a", file=pending(b"1"), pages=[pending(b"2"), pending(b"3")])
        session.add(row)
        session.flush()
        savepoint = session.begin_nested() if change == "savepoint" else None
        if change == "delete":
            session.delete(row)
        elif change == "bulk":
            session.execute(update(Document).values(file=pending(b"4"), pages=[]))
        else:
            row.file, row.pages = pending(b"4"), []
        session.flush()
        if savepoint is not None:
            savepoint.rollback()

    async with past.work() as work:
        await work.do(after_reading(add_and_drop))
        await work.commit()

    assert len(await rows.keys()) == {"delete": 0, "savepoint": 3}.get(change, 1)
    assert await rows.intents("delete") == set()
    assert not await rows.intents() & await rows.keys(), "intents of files that rows hold"


@pytest.mark.parametrize("rows", ON_POSTGRES, indirect=True)
async def test_a_transaction_that_is_rolled_back_or_loses_a_savepoint(rows: Rows, past: Rows) -> None:
    """Nothing of it stays but what the transaction around the savepoint wrote."""
    async with past.work() as work:
        await work.do(after_reading(lambda s: s.add(Document(title="a", file=pending(b"a")))))
        await work.flush()
        await work.rollback()
    assert await rows.keys() == set()

    def nest(session: Session) -> None:
        session.add(Document(title="outer", file=pending(b"outer")))
        session.flush()
        savepoint = session.begin_nested()
        session.add(Document(title="inner", file=pending(b"inner")))
        session.flush()
        savepoint.rollback()

    async with past.work() as work:
        await work.do(after_reading(nest))
        await work.commit()
    assert len(await rows.keys()) == 1


@pytest.mark.parametrize("rows", ON_POSTGRES, indirect=True)
async def test_a_sweeper_that_was_faster(rows: Rows, past: Rows) -> None:
    """A transaction that is older than the intents' least age is refused before it commits, as at any level."""
    async with past.work() as work:
        await work.do(after_reading(lambda s: s.add(Document(title="a", file=pending(b"a")))))
        await work.flush()
        async with rows.work() as other:
            await other.execute(update(LEDGER.table).values(due_at=0))
            await other.commit()
        assert [one async for one in sweep(rows.engine, LEDGER)]
        with pytest.raises(IntentLostError):
            await work.commit()
        await work.rollback()

    async with rows.work() as work:
        assert await work.scalar(select(func.count()).select_from(Document)) == 0
