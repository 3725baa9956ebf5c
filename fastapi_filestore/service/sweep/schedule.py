"""Sweep in the background of an application, as long as it runs."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.events import INTENT_FAILED, SWEEP_FAILED
from fastapi_filestore.service.sweep.claims import Swept

PATIENCE = 5.0
"""Seconds that a sweep under way gets to end by itself."""


@asynccontextmanager
async def sweeping(
    sweep: Callable[[], AsyncIterator[Swept]],
    *,
    every: timedelta,
    then: Callable[[], Awaitable[object]] | None = None,
) -> AsyncIterator[None]:
    """Sweep again and again while the block runs, and do something `then`; one under way gets a while to end, too."""
    over = asyncio.Event()

    async def sweep_regularly() -> None:
        while True:
            # Workers that were started together must not all sweep at the same moment.
            pause = every.total_seconds() * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), pause)
                return
            try:
                async for intent in sweep():
                    if intent.error is not None:
                        INTENT_FAILED.tell(
                            backend=intent.backend, object=intent.path, attempts=intent.attempts, error=intent.error
                        )
                if then is not None:
                    await then()
            except Exception as error:  # noqa: BLE001 - whatever went wrong, the next sweep serves better than none
                SWEEP_FAILED.tell(error, with_traceback=not isinstance(error, FilestoreError))

    async def end() -> None:
        # A driver that is cut off in a statement may lose its connection.
        await asyncio.wait({task}, timeout=PATIENCE)
        task.cancel()
        await asyncio.wait({task})

    task = asyncio.create_task(sweep_regularly(), name="fastapi-filestore-sweeper")
    try:
        yield
    finally:
        over.set()
        await finish(end())
