"""Take turns at one thing, whichever event loops and threads the callers run on."""

import asyncio
import os
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import filterfalse
from operator import attrgetter
from typing import Protocol

from fastapi_filestore.concurrency.forks import forkable_lock
from fastapi_filestore.concurrency.loops import is_dead, refuse_stopped
from fastapi_filestore.errors import BlockingCallError

TURN_TIMEOUT = 5.0
"""Seconds of waiting for somebody's turn to end after which it is asked whether his event loop does anything."""

_guard = forkable_lock()
"""Held for a comparison only, so no loop waits for it."""


@dataclass(slots=True, eq=False)
class Turn:
    """The turn of one caller: on which loop, and those who wait for its end."""

    loop: asyncio.AbstractEventLoop
    waiting: list[Future[None]] = field(default_factory=list[Future[None]])
    is_over: bool = False
    process: int = field(default_factory=os.getpid)


_turns: ContextVar[tuple[Turn, ...]] = ContextVar("fastapi_filestore_turns", default=())
"""The turns in which what runs in this context is waited for, on whichever loop or thread."""


class Savable(Protocol):
    """A thing that is saved by one caller at a time."""

    saving: Turn | None


@dataclass(frozen=True, slots=True)
class one_at_a_time:  # noqa: N801 - contextlib's own read like this, too
    """Runs a block when nobody else runs it for this subject.

    Raises:
        BlockingCallError: Whoever runs it waits for the caller, or his event loop has ended: it would never end.
    """

    subject: Savable

    async def __aenter__(self) -> None:
        while True:
            with _guard:
                turn = self.subject.saving
                # A process that was forked meanwhile has nobody who would end the turn of its parent.
                if turn is None or turn.process != os.getpid():
                    turn = self.subject.saving = Turn(asyncio.get_running_loop())
                    break
            if turn in _turns.get():
                raise BlockingCallError(
                    "A file is being stored whose content waits for that file, or for what it is read from, and would "
                    "never come: let content read and store other files only."
                )
            refuse_stopped(turn.loop, "A file, or its content, that a task is at work on")
            await _wait_for_end(turn)
        _turns.set((*filterfalse(attrgetter("is_over"), _turns.get()), turn))

    async def __aexit__(self, *error: object) -> None:
        with _guard:
            turn, self.subject.saving = self.subject.saving, None
            assert turn is not None
            turn.is_over = True
        for end in turn.waiting:
            end.set_result(None)


async def _wait_for_end(turn: Turn) -> None:
    """Wait for the end of a turn; raise `BlockingCallError` when it will never come."""
    with _guard:
        if turn.is_over:
            return
        end = Future[None]()
        end.set_running_or_notify_cancel()  # a waiter that is cancelled is told all the same, and hears nothing
        turn.waiting.append(end)
    over = asyncio.wrap_future(end)
    try:
        while not over.done():
            is_gone = turn.loop.is_closed()
            if not is_gone and not (await asyncio.wait({over}, timeout=TURN_TIMEOUT))[0]:
                is_gone = await is_dead(turn.loop)
            if is_gone:
                raise BlockingCallError(
                    "A file, or its content, is at work in an event loop that does nothing any more: it has ended or "
                    "was stopped, or something blocks its thread. Let a loop end when what stores files in it has "
                    "ended; make a new FileObject, of new content where that can be read only once."
                )
    finally:
        over.cancel()  # or whoever ends the turn would tell a loop that may have ended by then
