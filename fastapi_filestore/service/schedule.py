"""Sweeping in the background of an application, as long as it runs."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from fastapi_filestore.service.sweep import Swept
from fastapi_filestore.storage.cleanup import finish

_log = logging.getLogger("fastapi_filestore")


@asynccontextmanager
async def sweeping(sweep: Callable[[], AsyncIterator[Swept]], *, every: timedelta) -> AsyncIterator[None]:
    """Sweep again and again while the block runs; a sweep under way at its end is cut short."""
    task = asyncio.create_task(_sweep_regularly(sweep, every), name="fastapi-filestore-sweeper")
    try:
        yield
    finally:
        task.cancel()
        await finish(_ended(task))


async def _ended(task: "asyncio.Task[None]") -> None:
    await asyncio.wait({task})


async def _sweep_regularly(sweep: Callable[[], AsyncIterator[Swept]], every: timedelta) -> None:
    while True:
        # Workers that were started together must not all sweep at the same moment.
        await asyncio.sleep(every.total_seconds() * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        try:
            await _sweep_once(sweep)
        except Exception:  # noqa: BLE001 - whatever went wrong, the next sweep serves better than none
            _log.exception("fastapi_filestore.sweep_failed")


async def _sweep_once(sweep: Callable[[], AsyncIterator[Swept]]) -> None:
    async for one in sweep():
        if one.error is not None:
            _log.warning(
                "fastapi_filestore.intent_failed",
                extra={"backend": one.backend, "path": one.path, "attempts": one.attempts, "error": one.error},
            )
