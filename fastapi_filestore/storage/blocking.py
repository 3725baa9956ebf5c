"""The one background event loop that runs coroutines for callers who have none to await with."""

import asyncio
import os
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, Generic, TypeVar

from anyio import from_thread

from fastapi_filestore.storage.termination import termination_deferred

T = TypeVar("T")

_ITS_OWN = "A blocking call was made from the library's own event loop: await its async twin."
_TOO_LATE = "The interpreter is ending, and runs no thread any more: store, read and delete files before."


class _Call(Generic[T]):
    """A coroutine on its way through a loop of another thread, and the thread that waits for its end."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self._task: asyncio.Task[T] | None = None
        self._end = Future[T]()

    def begin(self) -> None:
        """Begin it; the loop calls this."""
        self._task = asyncio.ensure_future(self._work)
        self._task.add_done_callback(self._tell)

    def _tell(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            self._end.cancel()
            self._end.set_running_or_notify_cancel()  # for those who wait for it
        elif error := task.exception():
            self._end.set_exception(error)
        else:
            self._end.set_result(task.result())

    def result(self, loop: asyncio.AbstractEventLoop) -> T:
        """Return the result; what interrupts the wait for it, as Ctrl-C does, is raised when the work is undone."""
        with termination_deferred():
            try:
                return self._end.result()
            except BaseException:
                if not self._end.done():
                    loop.call_soon_threadsafe(self._cancel)
                    wait({self._end})  # a second Ctrl-C interrupts this
                raise

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


class _BackgroundLoop:
    """An event loop in a daemon thread, started at first use, and again in a forked process, which has no thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        if sys.is_finalizing() or threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError(_TOO_LATE if sys.is_finalizing() else _ITS_OWN)
        loop = self._started()
        if loop is None:
            return asyncio.run(work)
        call = _Call(work)
        loop.call_soon_threadsafe(call.begin)
        return call.result(loop)

    def _started(self) -> asyncio.AbstractEventLoop | None:
        """Return the loop; None if it never ran, and the interpreter is about to end and starts no thread any more."""
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_run_forever, args=(loop,), name="fastapi-filestore", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    loop.close()
                    return None
                self._loop, self._thread = loop, thread
            return self._loop


def _run_forever(loop: asyncio.AbstractEventLoop) -> None:
    # asyncio lets these out of a loop as well as into the future that a caller waits for, to end the program; here
    # they would end the loop of everybody else, and the caller, whose they are, would never hear of them.
    while True:
        with suppress(KeyboardInterrupt, SystemExit):
            loop.run_forever()


_background = _BackgroundLoop()


def _forget_parent() -> None:
    # Another thread of the parent may have held the lock when it forked, and nobody here would ever release it.
    _background.__init__()  # type: ignore[misc]


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_parent)


def run_blocking(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the background loop and wait for it; safe with and without a running loop of one's own."""
    return _background.run(work)


def run_blocking_here(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine and wait for it: on the event loop that lent this thread, as for a `def` endpoint, else on ours.

    What belongs to that loop, such as an AsyncSession, can be used by the coroutine.

    Raises:
        RuntimeError: An event loop runs in this thread: to wait would stop it.
    """
    if _runs_a_loop():
        work.close()
        raise RuntimeError("A blocking call was made from a running event loop, which would stop: await it instead.")
    if not _is_lent():
        return run_blocking(work)

    async def awaited() -> T:
        return await work

    return from_thread.run(awaited)


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _is_lent() -> bool:
    try:
        from_thread.check_cancelled()
    except RuntimeError:  # no event loop knows of this thread
        return False
    return True
