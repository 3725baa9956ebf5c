"""Taking turns at one thing, whichever event loops and threads the callers run on."""

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Protocol

_guard = threading.Lock()
"""Held for a comparison only, so no loop waits for it."""


class Savable(Protocol):
    """What is saved by one caller at a time; `saving` are those who wait for the end of a caller's turn."""

    saving: list[Future[None]] | None


@asynccontextmanager
async def one_at_a_time(subject: Savable) -> AsyncIterator[None]:
    """Run the block when nobody else runs it for this subject."""
    while (end_of_turn := _take_turn(subject)) is not None:
        await asyncio.wrap_future(end_of_turn)
    try:
        yield
    finally:
        _end_turn(subject)


def _take_turn(subject: Savable) -> Future[None] | None:
    with _guard:
        if subject.saving is None:
            subject.saving = []
            return None
        end_of_turn = Future[None]()
        end_of_turn.set_running_or_notify_cancel()  # a waiter that is cancelled is told all the same, and hears nothing
        subject.saving.append(end_of_turn)
        return end_of_turn


def _end_turn(subject: Savable) -> None:
    with _guard:
        waiting, subject.saving = subject.saving or [], None
    for end_of_turn in waiting:
        end_of_turn.set_result(None)
