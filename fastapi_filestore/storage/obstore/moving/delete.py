"""Deleting many objects at once, where a missing one is fine."""

import asyncio
from collections.abc import Iterator, Sequence

import obstore

from fastapi_filestore.errors import InvalidKeyError, ObjectNotFoundError
from fastapi_filestore.storage.failures.translate import translated
from fastapi_filestore.storage.obstore.opening.location import Kind
from fastapi_filestore.storage.obstore.opening.stores import Store

CONCURRENCY = 10


async def delete_all(store: Store, kind: Kind, paths: Sequence[str], *, backend: str) -> None:
    """Delete objects, a bounded number at a time; the first failure is raised when the others have ended."""
    if kind == "s3":
        # One request for up to 1,000, and S3 does not mind missing ones. The others stop at the first that is.
        with translated(backend, paths[0] if len(paths) == 1 else None):
            await obstore.delete_async(store, list(paths))
        return
    remaining = iter(paths)
    workers = (_delete_each(store, remaining, backend) for _ in range(min(CONCURRENCY, len(paths))))
    results = await asyncio.gather(*workers, return_exceptions=True)
    for result in results:
        if result is not None:
            raise result


async def _delete_each(store: Store, paths: Iterator[str], backend: str) -> None:
    for path in paths:
        try:
            with translated(backend, path):
                await obstore.delete_async(store, path)
        except (ObjectNotFoundError, InvalidKeyError):
            # Invalid: a name that can't be there.
            continue
