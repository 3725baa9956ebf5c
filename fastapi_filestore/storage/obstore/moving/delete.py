"""Delete many objects at once, where a missing one is fine."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import obstore

from fastapi_filestore.errors import InvalidKeyError, ObjectNotFoundError
from fastapi_filestore.storage.failures.translate import translating
from fastapi_filestore.storage.obstore.opening.store_url import Kind
from fastapi_filestore.storage.obstore.opening.stores import Store

CONCURRENCY = 10


async def delete_all(store: Store, kind: Kind, paths: Sequence[str], *, backend: str) -> None:
    """Delete objects, a bounded number at a time; the first failure is raised when the others have ended."""
    if kind == "s3":
        # One request for up to 1,000, and S3 does not mind missing ones. The others stop at the first that is.
        with translating(backend, paths[0] if len(paths) == 1 else None):
            await obstore.delete_async(store, list(paths))
        return
    remaining = iter(paths)

    async def delete_remaining() -> None:
        for path in remaining:
            # Invalid: a name that can't be there.
            with suppress(ObjectNotFoundError, InvalidKeyError), translating(backend, path):
                await obstore.delete_async(store, path)

    workers = (delete_remaining() for _ in range(min(CONCURRENCY, len(paths))))
    results = await asyncio.gather(*workers, return_exceptions=True)
    for result in results:
        if result is not None:
            raise result
