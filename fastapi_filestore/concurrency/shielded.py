"""Bring work to its end that must reach it, such as deleting what a cancelled request stored."""

import asyncio
from collections.abc import Awaitable
from importlib import import_module
from typing import Final, TypeVar

from anyio import CancelScope

from fastapi_filestore.errors import StorageError
from fastapi_filestore.events import UPLOAD_NOT_UNDONE

# Else anyio imports it when its first scope opens: a process that is forked off in that moment hangs at its own.
import_module("anyio._backends._asyncio")

T = TypeVar("T")

LEAVING_TIMEOUT: Final = 4.0
"""Seconds for work of cancelled requests at the end of a process, which Docker kills after ten, five being gone."""
_LEFT: Final = "_fastapi_filestore_left"


async def finish(work: Awaitable[T], *, patience: float | None = None) -> T:
    """Run work to its end, whoever cancels meanwhile; a cancellation is raised after it, never lost.

    Once cancelled, work that takes longer than `patience`, in seconds, is cancelled in its turn.
    """
    task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()
    cancelled = False
    # anyio cancels again at every await, asyncio once: the scope holds off the one, the loop the other.
    with CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                if patience is not None and not cancelled:
                    loop.call_later(patience, task.cancel)
                cancelled = True
    if cancelled:
        raise asyncio.CancelledError from (None if task.cancelled() else task.exception())
    return task.result()


async def let_cancelled_finish() -> None:
    """Wait a few seconds for what was cancelled: a server that is told to end does not, and the process ends with it.

    What could not be undone by then is left to a sweeper.
    """
    cancelled = [task for task in asyncio.all_tasks() if task.cancelling() and task is not asyncio.current_task()]
    if cancelled:
        await asyncio.wait(cancelled, timeout=LEAVING_TIMEOUT)


def tell_left(error: BaseException, backend: str, path: str) -> None:
    """Note on the error of an upload that it could not be undone: what was stored may be there still."""
    error.add_note(f"What had come of {path!a} for backend {backend!r} could not be removed, and may be there still.")
    mark_left(error)
    UPLOAD_NOT_UNDONE.tell(error, backend=backend, object=path)


def mark_left(error: BaseException) -> None:
    """Mark the error of an upload after which something may come to be in the store: its path is used up."""
    setattr(error, _LEFT, True)


def may_be_left(error: BaseException) -> bool:
    """Tell whether something of an upload that failed with an error may be in the store."""
    return isinstance(error, StorageError) or hasattr(error, _LEFT)
