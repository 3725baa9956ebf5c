"""Sessions of every make, in two-phase transactions, small pools and partial flushes, keep rows and bytes in step."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, select
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from fastapi_filestore import (
    IntentLostError,
    UnsupportedStatementError,
)
from fastapi_filestore.orm.ledger.reservations import release_reservations
from tests.rows.conftest import Rows, Work, pending
from tests.rows.models import LEDGER, Document


async def test_sessions_of_every_make_are_watched(rows: Rows) -> None:
    """Sessions of a sessionmaker, a subclass or a scope, made by anyone at any time, keep rows and bytes in step."""
    for number, session in enumerate(_sessions(rows.engine)):
        work = Work(session)
        document = Document(title=str(number), file=pending())
        await work.do(lambda s, row=document: s.add(row))  # type: ignore[misc]
        await work.commit()
        await work.do(lambda s, row=document: s.delete(row))  # type: ignore[misc]
        await work.flush()
        await work.rollback()
        await work.close()

    assert len(await rows.keys()) == 3


def _sessions(engine: Any) -> list[Any]:
    class OwnSession(Session):
        """A user's own kind of session."""

    if isinstance(engine, AsyncEngine):
        maker = async_sessionmaker(engine)
        return [maker(), AsyncSession(engine, sync_session_class=OwnSession), async_scoped_session(maker, lambda: 0)]
    return [sessionmaker(engine)(), OwnSession(engine), scoped_session(sessionmaker(engine), lambda: 0)]


@pytest.mark.parametrize("rows", ["postgres-sync"], indirect=True)
@pytest.mark.parametrize("committed", [True, False])
async def test_two_phase_transactions_keep_or_drop_their_files(rows: Rows, committed: bool) -> None:
    """A prepared transaction keeps its objects when it is committed, and drops them when it is rolled back."""
    async with rows.work(twophase=True) as work:
        await work.add(Document(title="t", file=pending()))
        await work.do(lambda s: s.prepare())
        await (work.commit() if committed else work.rollback())

    assert len(await rows.keys()) == committed


@pytest.mark.parametrize("rows", ["postgres-sync", "postgres-async"], indirect=True)
async def test_a_pool_of_one_connection_is_enough(rows: Rows) -> None:
    """A session that holds the pool's only connection can still store a file: its key is reserved beside the pool."""
    await release_reservations()
    make: Any = create_async_engine if isinstance(rows.engine, AsyncEngine) else create_engine
    engine = make(rows.engine.url, pool_size=1, max_overflow=0, pool_timeout=5)
    small = Rows(engine, rows.backend)
    async with small.work() as work:
        await work.scalars(select(Document))
        await work.add(Document(title="t", file=pending()))
        await work.commit()
    await (engine.dispose() if isinstance(engine, AsyncEngine) else asyncio.to_thread(engine.dispose))

    assert len(await rows.keys()) == 1


@pytest.mark.parametrize("rows", ["sqlite-async", "postgres-sync"], indirect=True)
async def test_a_process_that_slept_too_long_loses_one_upload(rows: Rows) -> None:
    """When a sweeper took a reserved key's intent, the upload fails once: the other keys are not tried."""
    for number in range(2):  # the second one leaves a reserved key
        await rows.add(title=str(number), file=pending())
    async with rows.work() as work:
        await work.execute(delete(LEDGER.table))
        await work.commit()
        await work.add(Document(title="lost", file=pending()))
        with pytest.raises(IntentLostError):
            await work.commit()
        await work.rollback()
        await work.add(Document(title="kept", file=pending()))
        await work.commit()

    assert len(await rows.keys()) == 3


@pytest.mark.filterwarnings("ignore:The `objects` parameter:sqlalchemy.exc.SADeprecationWarning")
async def test_a_flush_of_some_rows_is_refused(rows: Rows) -> None:
    """What is booked for a flush is all that changed, so all of it is to be written."""
    async with rows.work() as work:
        first, second = Document(title="a", file=pending()), Document(title="b", file=pending())
        await work.add_all([first, second])
        with pytest.raises(UnsupportedStatementError, match=r"flush\(\) all"):
            await work.do(lambda session: session.flush([first]))
