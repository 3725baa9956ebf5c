"""Transactions of the library's own, beside the user's session and on either kind of engine."""

from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from fastapi_filestore.orm.outages import failures_told
from fastapi_filestore.storage.threads import WorkThreads

_THREADS = WorkThreads("fastapi-filestore-ledger")
"""Threads that write to databases over connections of their own: as many as wait for one.

Who holds a connection of the pool, and writes beside it, must never queue behind those that wait for the pool.
"""

T = TypeVar("T")


class Room(Enum):
    """Where there is room for a transaction of the library's own."""

    IN_POOL = "the caller holds no connection and may wait for one"
    BESIDE_POOL = "the caller holds a connection; waiting for a second one of the same pool could be for ever"
    NONE = "the caller's transaction must end first"


def plain_engine(engine: Engine | AsyncEngine) -> Engine:
    """Return an engine without its asynchronous shell."""
    return engine.sync_engine if isinstance(engine, AsyncEngine) else engine


def has_room(engine: Engine) -> bool:
    """Tell whether an engine can have a transaction of the library's own beside others: its pool has more than one."""
    return not isinstance(engine.pool, StaticPool | SingletonThreadPool)


def chosen_isolation(connection: Connection) -> str | None:
    """Return the level of isolation that a connection, or its engine, was told to have; None if it was told none."""
    dialect: Any = connection.dialect
    of_engine = dialect._on_connect_isolation_level  # noqa: SLF001 - to ask the database takes a statement
    level: str | None = connection.get_execution_options().get("isolation_level", of_engine)
    return level


async def run_on_engine(engine: Engine, work: Callable[[Connection], T], room: Room = Room.IN_POOL) -> T:
    """Run a function in a transaction of its own and commit it, without blocking the event loop.

    Raises:
        DatabaseUnavailableError, DatabaseFailedError: Whatever the database fails with.
    """
    with failures_told(engine.url):
        return await run_untold(engine, work, room)


async def run_untold(engine: Engine, work: Callable[[Connection], T], room: Room = Room.IN_POOL) -> T:
    """Run a function as `run_on_engine` does, for who looks at the errors of the database itself."""
    if room is Room.BESIDE_POOL:
        return await _run_beside_pool(engine, work)
    if engine.dialect.is_async:
        async with AsyncEngine(engine).begin() as connection:
            return await connection.run_sync(work)
    return await _THREADS.run(_in_transaction, engine, work)


async def _run_beside_pool(engine: Engine, work: Callable[[Connection], T]) -> T:
    # Its options may say in which schema the tables are.
    options = engine.get_execution_options()
    own = Engine(engine.pool.recreate(), engine.dialect, engine.url, execution_options=options)
    try:
        return await run_untold(own, work)
    finally:
        await (AsyncEngine(own).dispose() if own.dialect.is_async else _THREADS.run(own.dispose))


def _in_transaction(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)
