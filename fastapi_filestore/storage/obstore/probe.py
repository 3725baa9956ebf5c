"""Whether a bucket can be reached with the credentials given, at the price of one or two small requests."""

import obstore

from fastapi_filestore.errors import ObjectNotFoundError, StoragePermissionError
from fastapi_filestore.storage.keys import generate_key
from fastapi_filestore.storage.obstore.errors import translated
from fastapi_filestore.storage.obstore.stores import Store


async def probe_bucket(store: Store, *, backend: str) -> None:
    """Raise the fitting error if listing and reading both fail."""
    try:
        await list_nothing(store, backend=backend)
    except StoragePermissionError as refused:
        # Credentials may read without being allowed to list.
        try:
            with translated(backend):
                await obstore.head_async(store, generate_key())
        except ObjectNotFoundError:
            return
        except StoragePermissionError:
            raise refused from None


async def list_nothing(store: Store, *, backend: str) -> None:
    """List below a prefix that does not exist: the cheapest request whose answer names a missing bucket."""
    with translated(backend):
        async for _ in obstore.list(store, generate_key(), chunk_size=1):
            return
