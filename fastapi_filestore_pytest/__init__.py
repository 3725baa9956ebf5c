"""Fixtures of fastapi_filestore, which pytest finds by itself.

They are in a package of their own, which imports nothing but pytest: a run that uses none of them pays for none. What
they do is in `fastapi_filestore.testing`, and imported when one is used.
"""
# ruff: noqa: PLC0415 - see above

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from fastapi_filestore import FileObject, ObstoreBackend
    from fastapi_filestore.testing.in_memory import MemoryBackend

__all__ = ["files_in_memory", "memory_storage", "sample_file"]


@pytest.fixture
def files_in_memory() -> "Iterator[dict[str, MemoryBackend]]":
    """Put every backend of the settings in memory for one test; gives them by name.

    `.env` and the options of backends are ignored. It is for applications as they are, also those made at import.
    """
    from fastapi_filestore.testing.in_memory import keeping_files_in_memory

    with keeping_files_in_memory() as backends:
        yield backends


@pytest.fixture
def memory_storage() -> "Iterator[ObstoreBackend]":
    """Register a backend `test` in memory for one test."""
    from fastapi_filestore import ObstoreBackend, storages

    backend = ObstoreBackend(key="test", fs="memory://")
    storages.register_backend(backend)
    yield backend
    if "test" in storages:
        storages.unregister_backend("test")


@pytest.fixture
def sample_file(memory_storage: "ObstoreBackend") -> "FileObject":
    """Store a small text in the backend `test`."""
    from fastapi_filestore import FileObject

    file = FileObject(backend="test", filename="sample.txt", content_type="text/plain", content=b"Sample content")
    return file.save()
