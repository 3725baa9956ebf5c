"""Taking turns at writing rows of SQLite, which has one writer: the others sleep and try again, until some give up.

To wait in line is faster, and fair. Nothing relies on it: who has waited long, or cannot wait, writes all the same.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

PATIENCE: Final = 2.0
"""Seconds in line, before the database is left to say who waits."""

_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakKeyDictionary[Engine, asyncio.Lock]] = WeakKeyDictionary()


@asynccontextmanager
async def turn_at(engine: Engine) -> AsyncIterator[None]:
    """Run a block that writes and commits in turn; whoever holds a connection already must not wait here."""
    line = _line(engine)
    had_it = await _waited(line)
    try:
        yield
    finally:
        if had_it:
            line.release()


def _line(engine: Engine) -> asyncio.Lock:
    lines = _lines.setdefault(asyncio.get_running_loop(), WeakKeyDictionary())
    return lines.setdefault(engine, asyncio.Lock())


async def _waited(line: asyncio.Lock) -> bool:
    if not line.locked():
        return await line.acquire()
    try:
        async with asyncio.timeout(PATIENCE):
            return await line.acquire()
    except TimeoutError:
        return False
