"""Work that must reach its end, such as deleting what a cancelled request stored."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from anyio import CancelScope

T = TypeVar("T")


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
