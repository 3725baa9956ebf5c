"""A database that others keep locked: maintenance says so in our words, or leaves its work to a later day."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text

from fastapi_filestore import DatabaseFailedError, DatabaseUnavailableError
from fastapi_filestore.service.contention import run_despite_others, run_unless_busy
from tests.maintenance.conftest import Site


@asynccontextmanager
async def locked(site: Site) -> AsyncIterator[None]:
    """Keep everybody from the tables, whose transactions wait for a tenth of a second only."""
    url = site.plain.url
    if url.get_backend_name() == "sqlite":
        lock: Any = await asyncio.to_thread(sqlite3.connect, url.database or "", check_same_thread=False)
        await asyncio.to_thread(lock.execute, "BEGIN EXCLUSIVE")
    else:
        await site.execute(text(f"ALTER DATABASE {url.database} SET lock_timeout = '100ms'"))
        await site.dispose()  # whose connections have the old setting
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        lock = await asyncio.to_thread(psycopg.connect, plain)
        await asyncio.to_thread(lock.execute, "LOCK TABLE reports, scans, intents")
    try:
        yield
    finally:
        await asyncio.to_thread(lock.close)


async def test_an_audit_of_a_busy_database(site: Site) -> None:
    """An audit that can't read the rows ends with an error of ours that says that the database is busy."""
    async with locked(site):
        with pytest.raises(DatabaseUnavailableError, match="lock"):
            await site.audit()

    assert await site.audit() == []


async def test_a_sweep_of_a_busy_database(site: Site) -> None:
    """A sweep gives way to others, for the intents are due again later."""
    site.place("ab/stray")
    await site.intend("ab/stray")
    async with locked(site):
        assert await site.sweep() == []
    assert site.objects() == {"ab/stray"}

    assert [swept.error for swept in await site.sweep()] == [None]
    assert site.objects() == set()


@pytest.mark.parametrize("run", [run_despite_others, run_unless_busy])
async def test_what_is_no_outage_is_told_as_it_is(site: Site, run: Callable[..., Any]) -> None:
    """A mistake in a statement is nobody's being busy."""

    def mistaken(connection: Connection) -> None:
        connection.execute(text("SELECT 1 FROM nowhere"))

    with pytest.raises(DatabaseFailedError, match="nowhere") as caught:
        await run(site.plain, mistaken)

    assert "SELECT" not in str(caught.value)
