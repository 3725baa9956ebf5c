"""Watch over obstore's worker threads: one set for the whole process, which a fork does not bring along."""

import atexit
import os
import sys
import time
from dataclasses import dataclass

from fastapi_filestore.concurrency.loops import late_call
from fastapi_filestore.errors import ForkedProcessError, StorageError

SETTLING = 0.1
"""Seconds that an exiting process leaves the threads to let go of Python's objects: obstore 0.12 aborts the process
(SIGABRT) if one of them does so after the interpreter is gone."""


@dataclass(slots=True)
class Workers:
    """Remembers which process started the threads, so that a forked one is told instead of waiting for ever."""

    pid: int | None = None

    def refuse_forked(self, *, backend: str) -> None:
        """Raise `ForkedProcessError` if a process that used them forked this one off, where they don't run."""
        if self.pid not in {None, os.getpid()}:
            raise ForkedProcessError(
                f"Backend {backend!r} can't be used: this process was forked after its parent had used object "
                "storage. Fork first (or start processes with the 'spawn' method), and use backends afterwards. "
                "With `gunicorn --preload`, and in a parent of Celery's workers, store and read no file when modules "
                "are imported, but in the lifespan, or in a signal such as worker_process_init.",
                backend=backend,
            )


WORKERS = Workers()
"""Module-wide because the threads are."""


@dataclass(slots=True)
class Lifetime:
    """The time in which a backend may be used: until it is closed."""

    backend: str
    is_closed: bool = False

    def check(self) -> None:
        """Raise unless the backend can be used now, in this process.

        Raises:
            StorageError: It is closed.
            ForkedProcessError: obstore's threads were started before this process was forked off. No store works here
                then, not even a new one.
            BlockingCallError: The interpreter is ending, and the threads with it.
        """
        if self.is_closed:
            raise StorageError(f"Backend {self.backend!r} is closed: use it inside its lifespan.", backend=self.backend)
        if sys.is_finalizing():
            raise late_call()
        if WORKERS.pid != os.getpid():
            WORKERS.refuse_forked(backend=self.backend)
            WORKERS.pid = os.getpid()
            atexit.register(time.sleep, SETTLING)
