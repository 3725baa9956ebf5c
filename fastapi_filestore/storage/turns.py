"""Taking turns at one thing, whichever event loops and threads the callers run on."""

import asyncio
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

_guard = threading.Lock()
"""Held for a comparison only, so no loop waits for it."""


class Savable(Protocol):
    """What is saved by one caller at a time; `saving` are those who wait for the end of a caller's turn."""

    saving: list[Future[None]] | None


@dataclass(frozen=True, slots=True)
class one_at_a_time:  # noqa: N801 - contextlib's own read like this, too
    """Runs a block when nobody else runs it for this subject."""

    subject: Savable

    async def __aenter__(self) -> None:
        while (end_of_turn := _take_turn(self.subject)) is not None:
            await asyncio.wrap_future(end_of_turn)

    async def __aexit__(self, *error: object) -> None:
        _end_turn(self.subject)


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
