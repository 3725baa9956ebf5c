"""Blocking calls that stop an event loop, and calls from one loop to another: who waits for a stopped one is told."""

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from anyio import from_thread

from fastapi_filestore.errors import BlockingCallError

T = TypeVar("T")

SAVE_FIRST: Final = "`await file.save_async()` before the file is given to what blocks"
"""The remedy for a file whose content needs a loop that stands still."""


@dataclass(slots=True, eq=False)
class _Stop:
    """A blocking call in the thread of an event loop, which stands still meanwhile."""

    loop: asyncio.AbstractEventLoop
    is_over: bool = False


_stops: ContextVar[tuple[_Stop, ...]] = ContextVar("fastapi_filestore_stops", default=())
"""The blocking calls that wait for what runs in this context, on whichever loop or thread."""


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, if there is one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def calling_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, or that has lent it, as for a `def` endpoint."""
    loop = running_loop()
    if loop is None:
        with suppress(RuntimeError):  # no event loop knows of this thread
            return from_thread.run_sync(asyncio.get_running_loop)
    return loop


def refuse_late() -> None:
    """Raise `BlockingCallError` when the interpreter ends: what waits for a thread then waits for ever."""
    if sys.is_finalizing():
        raise BlockingCallError(
            "The interpreter is ending, and runs no thread any more: store, read and delete files before, in a "
            "function that `atexit` calls at the latest."
        )


@contextmanager
def stopping_loop() -> Iterator[None]:
    """Note that the block keeps this thread's event loop, if there is one, from running."""
    loop = running_loop()
    if loop is None:
        yield
        return
    stop, around = _Stop(loop), _stops.get()
    _stops.set((*around, stop))
    try:
        yield
    finally:
        stop.is_over = True  # tasks that outlive the call have inherited this
        _stops.set(around)


def refuse_stopped(loop: asyncio.AbstractEventLoop | None, what: object, remedy: str = SAVE_FIRST) -> None:
    """Raise `BlockingCallError` if what needs a loop is itself waited for by a blocking call in that loop's thread."""
    if any(stop.loop is loop and not stop.is_over for stop in _stops.get()):
        raise BlockingCallError(
            f"{what} needs the event loop that this blocking call has stopped, and would never come: await the async "
            f"twin instead, such as {remedy}."
        )


class Call(Generic[T]):
    """A coroutine on its way through a loop of another thread, whose end can be waited for anywhere."""

    def __init__(self, work: Coroutine[object, object, T], loop: asyncio.AbstractEventLoop) -> None:
        self._work, self._loop = work, loop
        self._task: asyncio.Future[T] | None = None
        self.end = Future[T]()
        loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._task = asyncio.ensure_future(self._work)
        self._task.add_done_callback(self._tell)

    def _tell(self, task: "asyncio.Future[T]") -> None:
        if task.cancelled():
            self.end.cancel()
            self.end.set_running_or_notify_cancel()  # for those who wait for it
        elif error := task.exception():
            self.end.set_exception(error)
        else:
            self.end.set_result(task.result())

    def cancel(self) -> None:
        """Ask it to end; it is at its end only when it says so."""
        self._loop.call_soon_threadsafe(self._cancel)

    def abandon(self) -> None:
        """Let go of work whose loop does nothing any more: it neither begins nor goes on if that ever runs again."""
        with suppress(RuntimeError):  # it is closed
            self.cancel()
            return
        if self._task is None:
            self._work.close()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
