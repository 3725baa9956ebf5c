"""Threads for work that blocks, each kind apart from the others and from what the application has in threads."""

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
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

Job = tuple["Future[Any]", Callable[[], Any]]


class WorkThreads:
    """Threads that begin when there is work for them, and wait for more.

    They end with the process, and work until then: a thread of the application's that outlives the main one can still
    store a file, which the standard library's pools refuse.
    """

    def __init__(self, name: str, *, most: int) -> None:
        """Work in up to `most` threads of this name."""
        self._name, self._most = name, most
        self._forget_parent()
        if sys.platform != "win32":
            os.register_at_fork(after_in_child=self._forget_parent)

    def submit(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Have a thread do work that blocks, and return what the running loop can wait for.

        Cancelled, work that waits for a thread is not begun, and work that was begun goes on.
        """
        job: Future[T] = Future()
        self._jobs.put((job, work))
        self._have_thread()
        return asyncio.wrap_future(job)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a thread call a function that blocks, in the caller's context, and return what it returns."""
        return await self.submit(partial(copy_context().run, partial(work, *args, **kwargs)))

    def _have_thread(self) -> None:
        if self._idle.acquire(blocking=False):
            return
        with self._lock:
            if self._number == self._most:
                return
            self._number += 1
        thread = threading.Thread(target=self._work, args=(self._jobs, self._idle), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is about to end, or the machine has no thread left
            with self._lock:
                self._number -= 1
                is_alone = self._number == 0
            if is_alone:
                self._work_here()

    def _work_here(self) -> None:
        with suppress(Empty):
            while True:
                _do(*self._jobs.get_nowait())

    def _forget_parent(self) -> None:
        # A forked process has none of its parent's threads.
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._idle, self._lock, self._number = threading.Semaphore(0), threading.Lock(), 0

    @staticmethod
    def _work(jobs: "SimpleQueue[Job]", idle: threading.Semaphore) -> None:
        while True:
            try:
                job = jobs.get_nowait()
            except Empty:
                idle.release()
                job = jobs.get()
            _do(*job)
            del job  # nothing is kept alive by a thread that waits


def _do(job: "Future[T]", work: Callable[[], T]) -> None:
    if not job.set_running_or_notify_cancel():
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
READING_THREADS = WorkThreads("fastapi-filestore-reading", most=32)
"""Read content: a file or an iterator of the application's may keep a thread waiting for ever."""
