"""Saves that fail or are cancelled leave nothing in the bucket, and the file can be saved again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fastapi_filestore import FileObject, ObstoreBackend, StorageRegistry
from tests.file_object.conftest import keys

MIB = 1024 * 1024
LONG = b"0123456789abcdef" * MIB
"""Two parts of 8 MiB."""


class ClientGoneError(Exception):
    """What a request raises whose client hangs up."""


async def breaking_off(after: int) -> AsyncIterator[bytes]:
    """Content that breaks off after some bytes."""
    for _ in range(after // MIB):
        yield bytes(MIB)
    raise ClientGoneError


async def stalling(after: int, stalled: asyncio.Event) -> AsyncIterator[bytes]:
    """Content that stops coming after some bytes."""
    for _ in range(after // MIB):
        yield bytes(MIB)
    stalled.set()
    await asyncio.sleep(3600)


@pytest.mark.parametrize("after", [0, 1 * MIB, 20 * MIB], ids=["at once", "in a part", "in the third part"])
async def test_content_that_breaks_off(
    s3: ObstoreBackend, registry: StorageRegistry, unfinished: Callable[[], list[str]], after: int
) -> None:
    """Content that breaks off raises its own error and leaves nothing, not even an unfinished upload."""
    file = FileObject(s3.key, "a.bin", content=breaking_off(after), registry=registry)
    with pytest.raises(ClientGoneError):
        await file.save_async()

    assert await keys(s3) == set()
    assert unfinished() == []
    assert (file.path, file.is_stored) == (None, False)


@pytest.mark.parametrize("after", [1 * MIB, 20 * MIB], ids=["in a part", "in the third part"])
async def test_a_cancelled_save(
    s3: ObstoreBackend, registry: StorageRegistry, unfinished: Callable[[], list[str]], after: int
) -> None:
    """A save that is cancelled while content is awaited leaves nothing, not even an unfinished upload."""
    stalled = asyncio.Event()
    file = FileObject(s3.key, "a.bin", content=stalling(after, stalled), registry=registry)
    task = asyncio.create_task(file.save_async())
    await stalled.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await keys(s3) == set()
    assert unfinished() == []


@pytest.mark.parametrize("moment", [0, 0.005, 0.02, 0.05, 0.1])
async def test_saving_again_after_a_cancellation(
    s3: ObstoreBackend, registry: StorageRegistry, unfinished: Callable[[], list[str]], moment: float
) -> None:
    """A save that is cancelled at any moment leaves nothing or is complete; the next one stores the file once."""
    file = FileObject(s3.key, "a.bin", content=LONG, registry=registry)
    task = asyncio.create_task(file.save_async())
    await asyncio.sleep(moment)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    left: Any = await keys(s3)

    assert left == ({file.path} if file.is_stored else set())
    await file.save_async()
    assert await keys(s3) == {file.path}
    assert unfinished() == []
    assert file.size == len(LONG)


async def test_new_content_after_a_failure(s3: ObstoreBackend, registry: StorageRegistry) -> None:
    """A file whose stream broke off can be saved with other content."""
    file = FileObject(s3.key, "a.bin", content=breaking_off(0), registry=registry)
    with pytest.raises(ClientGoneError):
        await file.save_async()

    await file.save_async(b"again")
    assert await file.get_content_async() == b"again"
    assert await keys(s3) == {file.path}
