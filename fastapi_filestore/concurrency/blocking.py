"""Run coroutines for callers who have no event loop to await with: on one loop, in the background."""

import asyncio
import os
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import wait
from contextlib import suppress
from typing import Any, TypeVar

from anyio import from_thread

from fastapi_filestore.concurrency.forks import holds_a_lock
from fastapi_filestore.concurrency.loops import Call, late_call, running_loop, stopping_loop
from fastapi_filestore.concurrency.termination import deferring_termination
from fastapi_filestore.errors import BlockingCallError, FilestoreError

T = TypeVar("T")

LOOK_UP = 0.25
"""Seconds after which a thread that waits looks up for signals: one that another thread has taken does not wake it."""


class _Thread(threading.local):
    """Know of each thread whether it waits for the loop."""

    waits: bool = False


_this_thread = _Thread()


class _BackgroundLoop:
    """An event loop in a daemon thread, started at first use, and again in a forked process, which has no thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.thread: threading.Thread | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it.

        Raises:
            BlockingCallError: It would wait for ever.
        """
        try:
            _refuse_to_hang()
        except BlockingCallError:
            work.close()
            raise
        try:
            _this_thread.waits = True
            if (loop := self._start()) is not None:
                with stopping_loop():
                    return _result_of(Call(work, loop))
        finally:
            _this_thread.waits = False
        return asyncio.run(work)

    def _start(self) -> asyncio.AbstractEventLoop | None:
        """Return the loop; None if it never ran, and the interpreter is about to end and starts no thread any more."""

        def run_forever(loop: asyncio.AbstractEventLoop) -> None:
            # asyncio lets these out of a loop as well as into the future that a caller waits for, to end the program;
            # here they would end the loop of everybody else, and the caller, whose they are, would never hear of them.
            while True:
                with suppress(KeyboardInterrupt, SystemExit):
                    loop.run_forever()

        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=run_forever, args=(loop,), name="fastapi-filestore", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    loop.close()
                    return None
                self._loop, self.thread = loop, thread
            return self._loop


def _refuse_to_hang() -> None:
    if sys.is_finalizing():
        raise late_call()
    if is_own_loop():
        raise BlockingCallError("A blocking call was made from the library's own event loop: await its async twin.")
    if _this_thread.waits or holds_a_lock():
        raise BlockingCallError(
            "This blocking call has interrupted the library, as in a signal handler or a `__del__`, and would wait for "
            "what it has interrupted: let the handler set a flag only, and store, read and delete files afterwards."
        )


def _result_of(call: Call[T]) -> T:
    """Return the result; what interrupts the wait for it, as Ctrl-C does, is raised when the work is undone."""
    with deferring_termination():
        try:
            _wait(call)
        except BaseException:
            if not call.end.done():
                call.cancel()
                _wait(call)  # a second Ctrl-C interrupts this
            raise
    if call.end.cancelled() or not isinstance(error := call.end.exception(), FilestoreError):
        return call.end.result()
    try:
        # Its text says all of it, and its cause the rest: of steps on the loop the caller knows nothing.
        raise error.with_traceback(None)
    finally:
        del error, call  # which would hold this frame, as it holds them


def _wait(call: Call[T]) -> None:
    while not wait({call.end}, timeout=LOOK_UP).done:
        pass


_background = _BackgroundLoop()


if sys.platform != "win32":
    # Another thread of the parent may have held the lock when it forked, and nobody here would ever release it.
    os.register_at_fork(after_in_child=_background.__init__)  # type: ignore[misc]


def run_blocking(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the background loop and wait for it; safe with and without a running loop of one's own."""
    return _background.run(work)


def is_own_loop() -> bool:
    """Tell whether this is the thread of the library's own event loop."""
    return threading.current_thread() is _background.thread


def run_blocking_here(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine and wait for it: on the event loop that lent this thread, as for a `def` endpoint, else on ours.

    What belongs to that loop, such as an AsyncSession, can be used by the coroutine.

    Raises:
        BlockingCallError: An event loop runs in this thread: to wait would stop it.
    """
    if running_loop() is not None:
        work.close()
        raise BlockingCallError(
            "A blocking call was made from a running event loop, which would stop: await it instead."
        )
    try:
        from_thread.check_cancelled()
    except RuntimeError:  # no event loop knows of this thread
        return run_blocking(work)

    async def awaited() -> T:
        return await work

    return from_thread.run(awaited)
