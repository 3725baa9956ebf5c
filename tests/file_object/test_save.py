"""Saving a file: once, whole, under a key of its own."""

import asyncio
from hashlib import sha256
from typing import Any

import pytest

from fastapi_filestore import (
    FileObject,
    ObstoreBackend,
    StorageRegistry,
    UnsupportedContentError,
)
from fastapi_filestore.testing import FaultyBackend
from tests.file_object.conftest import keys
from tests.file_object.saving import BODY, chunks_of, pending


async def test_what_a_save_fills_in(registry: StorageRegistry) -> None:
    """A stored file knows its key, size, checksum and what the store says of it."""
    file = await pending(registry).save_async()
    head = await file.head_async()

    assert (file.path, file.size, file.etag) == (head.path, len(BODY), head.etag)
    assert file.checksum == sha256(BODY).hexdigest()
    assert file.last_modified is not None
    assert file.is_stored


async def test_a_save_returns_the_file(registry: StorageRegistry) -> None:
    """Saving returns the very object, so that it can be done where it is made."""
    file = pending(registry)

    assert await file.save_async() is file


async def test_a_key_says_nothing(registry: StorageRegistry) -> None:
    """The generated key holds nothing of the filename and is never the same twice."""
    files = [await pending(registry).save_async() for _ in range(10)]

    assert len({file.path for file in files}) == 10
    assert not any("a.txt" in str(file.path) for file in files)


async def test_saving_twice_stores_once(memory: ObstoreBackend, registry: StorageRegistry) -> None:
    """A second save does nothing."""
    file = await pending(registry).save_async()
    path = file.path
    await file.save_async()

    assert file.path == path
    assert await keys(memory) == {path}


@pytest.mark.parametrize("content", [BODY, [BODY]], ids=["replayable", "list"])
async def test_saving_at_once_stores_once(memory: ObstoreBackend, registry: StorageRegistry, content: Any) -> None:
    """Ten saves of one file at once store it once, and all of them return it stored."""
    file = pending(registry, content)
    saved = await asyncio.gather(*(file.save_async() for _ in range(10)))

    assert all(each is file for each in saved)
    assert await keys(memory) == {file.path}


async def test_saving_a_stream_at_once(memory: ObstoreBackend, registry: StorageRegistry) -> None:
    """Content that can be read only once is read once, however many save it."""
    file = pending(registry, chunks_of(b"some ", b"bytes"))
    await asyncio.gather(*(file.save_async() for _ in range(5)))

    assert await file.get_content_async() == BODY
    assert await keys(memory) == {file.path}


async def test_the_next_saves_if_the_first_fails(memory: ObstoreBackend) -> None:
    """Of two saves at once the second stores the file when the first one fails."""
    registry = StorageRegistry()
    registry.register_backend(FaultyBackend(memory, lambda call, operation: call == 1, delay=0.01))
    file = pending(registry)
    results = await asyncio.gather(file.save_async(), file.save_async(), return_exceptions=True)

    assert [isinstance(result, Exception) for result in results] == [True, False]
    assert await keys(memory) == {file.path}


async def test_the_next_saves_if_the_first_is_cancelled(memory: ObstoreBackend) -> None:
    """Of two saves at once the second stores the file when the first one is cancelled, and the other way round."""
    registry = StorageRegistry()
    registry.register_backend(FaultyBackend(memory, lambda call, operation: False, delay=0.05))
    file = pending(registry)
    saves = [asyncio.create_task(file.save_async()) for _ in range(3)]
    await asyncio.sleep(0.01)
    saves[0].cancel()
    saves[1].cancel()

    assert (await saves[2]).is_stored
    assert await keys(memory) == {file.path}


async def test_content_given_to_save(registry: StorageRegistry) -> None:
    """Content may be given when the file is saved."""
    file = FileObject("memory", "a.txt", registry=registry)
    await file.save_async(BODY)

    assert await file.get_content_async() == BODY


async def test_other_content_for_a_stored_file(registry: StorageRegistry) -> None:
    """Stored bytes never change: other content for a stored file is refused."""
    file = await pending(registry).save_async()
    with pytest.raises(UnsupportedContentError, match="new FileObject"):
        await file.save_async(b"other")

    assert await file.get_content_async() == BODY
