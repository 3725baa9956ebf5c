"""Sessions that compete for the connections of a small pool never wait for each other in a circle."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fastapi_filestore import FileService
from fastapi_filestore.orm.ledger.reservations import release_reservations
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document


@pytest.fixture
async def small(rows: Rows) -> AsyncIterator[Rows]:
    """The database through a pool of one connection."""
    await release_reservations()
    make: Any = create_async_engine if isinstance(rows.engine, AsyncEngine) else create_engine
    engine = make(rows.engine.url, pool_size=1, max_overflow=0, pool_timeout=5)
    yield Rows(engine, rows.backend)
    await release_reservations()
    await (engine.dispose() if isinstance(engine, AsyncEngine) else asyncio.to_thread(engine.dispose))


@pytest.mark.parametrize("rows", ["postgres-sync", "postgres-async"], indirect=True)
async def test_who_holds_a_connection_never_waits_for_whom_waits_for_one(rows: Rows, small: Rows) -> None:
    """One session waits for the pool to reserve keys; the one that holds its connection reserves its own."""
    async with small.work() as holder:
        await holder.scalars(select(Document))
        waiting = asyncio.create_task(small.add(title="waiting", file=pending()))
        await asyncio.sleep(0.2)
        await holder.add(Document(title="holding", file=pending()))
        await holder.commit()
    await waiting

    assert len(await rows.keys()) == 2


async def test_service_in_a_transaction_that_wrote(rows: Rows) -> None:
    """The service stores file after file in a transaction that wrote, which has SQLite's one writer's lock."""
    async with rows.work() as work:
        await work.add(Document(title="first"))
        await work.flush()
        service = FileService(work.session, model=Document)
        for number in range(3):
            await service.create({"title": str(number), "file": pending()})
        await service.commit()

    assert len(await rows.keys()) == 3
