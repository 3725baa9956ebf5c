"""Taking turns at one file, whichever event loops and threads the callers run on."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Protocol

_guard = threading.Lock()
"""Held for a comparison only, so no loop waits for it."""


class Savable(Protocol):
    """What is saved by one caller at a time; `saving` ends with that caller's turn."""

    saving: Future[None] | None


@asynccontextmanager
async def one_at_a_time(file: Savable) -> AsyncIterator[None]:
    """Run the block when nobody else runs it for this file."""
    mine = Future[None]()
    mine.set_running_or_notify_cancel()  # a waiter that is cancelled must not cancel the turn itself
    while (other := _take_turn(file, mine)) is not mine:
        await asyncio.wrap_future(other)
    try:
        yield
    finally:
        file.saving = None
        mine.set_result(None)


def _take_turn(file: Savable, mine: Future[None]) -> Future[None]:
    with _guard:
        file.saving = file.saving or mine
        return file.saving
