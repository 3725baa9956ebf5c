"""Whether a bucket or a folder can be used with the credentials given, at the price of a few small requests."""

import os

import obstore

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import BucketNotFoundError, ObjectNotFoundError, StorageError, StoragePermissionError
from fastapi_filestore.storage.failures.translate import translated
from fastapi_filestore.storage.local.durability import DISK_THREADS
from fastapi_filestore.storage.local.folder import LocalFolder
from fastapi_filestore.storage.local.staged import StagedFile
from fastapi_filestore.storage.obstore.opening.stores import Store
from fastapi_filestore.storage.paths import generate_key

PROBE = "filestore-probe"
"""What the file is named after that is written into a folder, and what an object holds; both are removed at once."""
BLOCK = 4096
"""Bytes that take room on any disk."""


async def probe_folder(folder: LocalFolder, *, write: bool) -> None:
    """Raise the fitting error if a folder is missing, or can't be read, or written: its disk says why."""
    with translated(folder.backend):
        await finish(DISK_THREADS.submit(lambda: _look_into(folder, write=write)))


def _look_into(folder: LocalFolder, *, write: bool) -> None:
    if not folder.root.is_dir():
        raise BucketNotFoundError(
            f"Backend {folder.backend!r} has no folder {str(folder.root)!r} any more: create it, or correct the URL.",
            backend=folder.backend,
        )
    with os.scandir(folder.root):  # who may write need not be allowed to read
        if not write:
            return
        file = StagedFile(folder, PROBE, if_absent=True)
        try:
            file.write([bytes(BLOCK)])
        finally:
            file.discard()


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
        except StorageError:  # the answer to a HEAD says less
            raise refused from None


async def list_nothing(store: Store, *, backend: str) -> None:
    """List below a prefix that does not exist: the cheapest request whose answer names a missing bucket."""
    with translated(backend):
        async for _ in obstore.list(store, generate_key(), chunk_size=1):
            return
