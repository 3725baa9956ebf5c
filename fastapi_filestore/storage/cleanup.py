"""Work that must reach its end, such as deleting what a cancelled request stored."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from anyio import CancelScope

T = TypeVar("T")


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run work to its end, whoever cancels meanwhile; a cancellation is raised after it, never lost."""
    task = asyncio.ensure_future(work)
    cancelled = False
    # anyio cancels again at every await, asyncio once: the scope holds off the one, the loop the other.
    with CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                cancelled = True
    if cancelled:
        raise asyncio.CancelledError from (None if task.cancelled() else task.exception())
    return task.result()
