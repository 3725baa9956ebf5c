"""Locks of a module, which a process that is forked off gets in good order."""

import os
import sys
import threading


def forkable_lock() -> threading.Lock:
    """Return a lock for the life of the process; nobody holds it in a forked one, where nobody would release it."""
    lock = threading.Lock()
    if sys.platform != "win32":
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock
