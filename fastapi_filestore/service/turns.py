"""Take turns at writing: no more rows at a time than there is room for in the database.

A pool that overflows opens a connection for one row and closes it again, which takes ten times as long as to write it.
On SQLite, which has one writer, those who wait sleep and try again, some of them until they give up. To wait in line is
faster and fair. Nothing relies on it: who has waited long, or cannot wait, writes all the same.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool

PATIENCE: Final = 2.0
"""Seconds in line, before the database is left to say who waits."""

Lines = WeakKeyDictionary[Engine, asyncio.Semaphore]

_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, Lines] = WeakKeyDictionary()


@asynccontextmanager
async def taking_turn(engine: Engine) -> AsyncIterator[None]:
    """Run a block that writes and commits in turn; whoever holds a connection already must not wait here."""
    line = _line(engine)
    if line is None:
        yield
        return
    has_turn = True
    if not line.locked():
        await line.acquire()
    else:
        try:
            async with asyncio.timeout(PATIENCE):
                await line.acquire()
        except TimeoutError:
            has_turn = False
    try:
        yield
    finally:
        if has_turn:
            line.release()


def _line(engine: Engine) -> asyncio.Semaphore | None:
    """Return the line before an engine; None where any number may write at once."""
    loop = asyncio.get_running_loop()
    lines = _lines.get(loop)
    if lines is None:
        lines = _lines[loop] = WeakKeyDictionary()
    line = lines.get(engine)
    if line is None:
        pooled = engine.pool.size() if isinstance(engine.pool, QueuePool) else 0
        room = 1 if engine.dialect.name == "sqlite" else pooled
        if room:
            line = lines[engine] = asyncio.Semaphore(room)
    return line
