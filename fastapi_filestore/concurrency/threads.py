"""Do work that blocks in threads, each kind apart from the others and from what the application has in threads."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, ParamSpec, TypeVar
from weakref import ref

from fastapi_filestore.concurrency.forks import forkable_lock
from fastapi_filestore.concurrency.loops import late_call
from fastapi_filestore.errors import BlockingCallError

T = TypeVar("T")
P = ParamSpec("P")

Job = tuple["Future[Any]", Callable[[], Any]]

MOST = 1000
"""Threads of one kind at the most, whatever waits for one: each keeps some memory."""
RELIEF_DELAY = 0.05
"""Seconds that work waits for a thread where there are as many as there should be; then it gets one more."""
IDLE = 10.0
"""Seconds without work after which a thread ends."""
STUCK = 10.0
"""Seconds in which none of the most threads that there may be has ended its work, after which none will."""

_guard = forkable_lock()
"""Held for counting only, so no loop waits for it."""


class WorkThreads:
    """Threads that begin when there is work for them, wait for more, and end when there is none.

    Work that keeps all of them waiting, perhaps for what other work is to do, keeps that from a thread for a moment
    only. They work until the process has ended: a thread of the application's that outlives the main one can still
    store a file, which the standard library's pools refuse.
    """

    def __init__(self, name: str, *, most: int = MOST) -> None:
        """Work in threads of this name, and in more than `most` of them only when work has waited for one."""
        self._name, self._most = name, most
        self._forget_parent()
        if sys.platform != "win32":
            os.register_at_fork(after_in_child=self._forget_parent)

    def submit(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Have a thread do work that blocks, and return what the running loop can wait for.

        Cancelled, work that waits for a thread is not begun, and work that was begun goes on.

        Raises:
            BlockingCallError: The interpreter is ending.
        """
        if sys.is_finalizing():
            raise late_call()
        job: Future[T] = Future()
        self._jobs.put((job, work))
        if not self._have_thread(self._most):
            # Weakly, or what was read would be held until then.
            asyncio.get_running_loop().call_later(RELIEF_DELAY, self._relieve, ref(job), monotonic())
        return asyncio.wrap_future(job)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a thread call a function that blocks, in the caller's context, and return what it returns."""
        return await self.submit(partial(copy_context().run, partial(work, *args, **kwargs)))

    def _relieve(self, job: "ref[Future[Any]]", since: float) -> None:
        """Have one thread more for a job that has waited for one since then, whatever the others wait for."""
        waiting = job()
        if waiting is None or waiting.running() or waiting.done():
            return
        if self._have_thread(MOST):
            self._moved = monotonic()
        elif monotonic() - max(since, self._moved) > STUCK and _take_job(waiting):
            waiting.set_exception(
                BlockingCallError(
                    f"All {MOST} threads {self._name!r} have waited for {STUCK:g} seconds, perhaps for work that waits "
                    "for one of them: content may be made of other files, but of fewer at once, or give it as an async "
                    "iterator."
                )
            )
            return
        asyncio.get_running_loop().call_later(RELIEF_DELAY, self._relieve, job, since)

    def _have_thread(self, most: int) -> bool:
        """Make sure that a thread will do what was put in line; say no if all of them are at work."""
        with _guard:
            if self._idle.acquire(blocking=False):
                return True
            if self._number >= most:
                return False
            self._number += 1
        thread = threading.Thread(target=self._work, args=(self._jobs, self._idle), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is about to end, or the machine has no thread left
            if self._is_last_to_leave():
                with suppress(Empty):
                    while True:
                        _do(*self._jobs.get_nowait())
            return False
        return True

    def _is_last_to_leave(self) -> bool:
        with _guard:
            self._number -= 1
            return self._number == 0

    def _forget_parent(self) -> None:
        # A forked process has none of its parent's threads.
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._idle, self._number = threading.Semaphore(0), 0
        self._moved = monotonic()

    def _work(self, jobs: "SimpleQueue[Job]", idle: threading.Semaphore) -> None:
        """Do what comes, in a thread, until nothing has come for long."""
        while True:
            try:
                job = jobs.get_nowait()
            except Empty:
                with _guard:
                    idle.release()
                try:
                    job = jobs.get(timeout=IDLE)
                except Empty:
                    with _guard:
                        if idle.acquire(blocking=False):
                            break
                    continue  # whoever counts on this thread has put something in line
            _do(*job)
            self._moved = monotonic()
            del job  # nothing is kept alive by a thread that waits
        self._is_last_to_leave()


def _take_job(job: "Future[Any]") -> bool:
    """Take a job; say no if somebody has taken, refused or cancelled it."""
    with _guard:
        return not (job.running() or job.done()) and job.set_running_or_notify_cancel()


def _do(job: "Future[T]", work: Callable[[], T]) -> None:
    if not _take_job(job):
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 - whoever waits for it raises it
        job.set_exception(error)
    else:
        job.set_result(result)
    finally:
        del job, work  # an error would hold this frame, and the frame the error


THREADS = WorkThreads("fastapi-filestore-work", most=32)
"""Do what ends soon."""
READING_THREADS = WorkThreads("fastapi-filestore-reading")
"""Read content: a file or an iterator of the application's may keep a thread waiting for ever, or for another one."""
