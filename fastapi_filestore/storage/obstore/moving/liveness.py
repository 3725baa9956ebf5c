"""Wait for long requests to a store, and see meanwhile whether it lives: nobody knows how far they are.

To send a part over a slow line takes its time, and so does a copy of gigabytes. So such requests may take long, and
after a while the store is asked something small. A store that answers nothing at all is given up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import obstore

from fastapi_filestore.errors import StorageError, StorageTimeoutError
from fastapi_filestore.storage.failures.translate import translating
from fastapi_filestore.storage.obstore.opening.stores import Store

T = TypeVar("T")
Ask = Callable[[], Awaitable[None]]

LOOK: Final = 5.0
"""Seconds that a request may take before the store is asked, and then from one answer to the next question."""


async def ask(store: Store, path: str, *, backend: str) -> None:
    """Raise `StorageTimeoutError` if a store does not answer a small request; any other answer will do."""
    try:
        with translating(backend, path):
            await obstore.head_async(store, path)
    except StorageTimeoutError:
        raise
    except StorageError:
        return


async def wait_for_answer(request: "asyncio.Future[T]", ask: Ask | None) -> T:
    """Wait for a request, which goes on if this is cancelled, for as long as the store lives; without `ask`, it does.

    Raises:
        StorageTimeoutError: The store answers neither the request nor what it is asked meanwhile.
    """
    if ask is None:
        return await asyncio.shield(request)
    while not request.done():
        await asyncio.wait({request}, timeout=LOOK)
        if request.done():
            break
        question = asyncio.ensure_future(ask())
        both: set[asyncio.Future[Any]] = {request, question}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not request.done():
                question.result()
        finally:
            question.cancel()
    return request.result()
