"""Transactions of the library's own, beside the user's session and on either kind of engine."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine

T = TypeVar("T")


async def run_on_engine(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Run a function in a transaction of its own and commit it, without blocking the event loop."""
    if engine.dialect.is_async:
        async with AsyncEngine(engine).begin() as connection:
            return await connection.run_sync(work)
    return await asyncio.to_thread(_in_transaction, engine, work)


def _in_transaction(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)
