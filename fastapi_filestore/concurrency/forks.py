"""Locks of a module, which a process that is forked off gets in good order."""

import os
import sys
import threading
from contextlib import AbstractContextManager
from typing import Any

_guards: list[Any] = []
"""All of these locks, which tell whose they are in a way of their own."""


def forkable_lock() -> AbstractContextManager[object]:
    """Return a lock for the life of the process; nobody holds it in a forked one, where nobody would release it.

    What interrupts whoever holds it, a signal handler or the garbage collector, can have it as well.
    """
    lock = threading.RLock()
    _guards.append(lock)
    if sys.platform != "win32":
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock


def holds_a_lock() -> bool:
    """Tell whether this thread was interrupted while it held one of these locks, for which other threads may wait."""
    return any(guard._is_owned() for guard in _guards)  # noqa: SLF001 - as threading.Condition asks
