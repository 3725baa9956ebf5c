"""Taking turns at writing: no more rows at a time than there is room for in the database.

A pool that overflows opens a connection for one row and closes it again, which takes ten times as long as to write it.
On SQLite, which has one writer, those who wait sleep and try again, some of them until they give up. To wait in line is
faster and fair. Nothing relies on it: who has waited long, or cannot wait, writes all the same.
"""

import asyncio
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool

PATIENCE: Final = 2.0
"""Seconds in line, before the database is left to say who waits."""

Lines = WeakKeyDictionary[Engine, asyncio.Semaphore]

_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, Lines] = WeakKeyDictionary()


class turn_at:  # noqa: N801 - contextlib's own read like this, too
    """Runs a block that writes and commits in turn; whoever holds a connection already must not wait here."""

    def __init__(self, engine: Engine) -> None:
        self._line = _line(engine)
        self._has_it = False

    async def __aenter__(self) -> None:
        self._has_it = self._line is not None and await _waited(self._line)

    async def __aexit__(self, *error: object) -> None:
        if self._line is not None and self._has_it:
            self._line.release()


def _line(engine: Engine) -> asyncio.Semaphore | None:
    loop = asyncio.get_running_loop()
    lines = _lines.get(loop)
    if lines is None:
        lines = _lines[loop] = WeakKeyDictionary()
    line = lines.get(engine)
    if line is None and (room := _room(engine)):
        line = lines[engine] = asyncio.Semaphore(room)
    return line


def _room(engine: Engine) -> int:
    """Return how many may write at once, 0 for any number."""
    if engine.dialect.name == "sqlite":
        return 1
    return engine.pool.size() if isinstance(engine.pool, QueuePool) else 0


async def _waited(line: asyncio.Semaphore) -> bool:
    if not line.locked():
        return await line.acquire()
    try:
        async with asyncio.timeout(PATIENCE):
            return await line.acquire()
    except TimeoutError:
        return False
