"""An upload that fails or is cancelled leaves nothing behind, proved by asking the servers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.stores import MIB


class BrokenSourceError(Exception):
    """The content's own failure."""


async def _broken(chunks: int) -> AsyncIterator[bytes]:
    for _ in range(chunks):
        yield b"x" * MIB
    raise BrokenSourceError


async def _stalling(chunks: int, reached: asyncio.Event) -> AsyncIterator[bytes]:
    for _ in range(chunks):
        yield b"x" * MIB
    reached.set()
    await asyncio.sleep(60)


async def _keys(backend: ObstoreBackend) -> list[str]:
    return [info.path async for info in backend.list()]


def _unfinished(boto: Any, bucket: str, backend: ObstoreBackend) -> list[str]:
    uploads = boto.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    prefix = backend.url.rpartition("/")[2]
    return [upload["Key"] for upload in uploads if upload["Key"].startswith(prefix)]


@pytest.mark.parametrize("if_absent", [False, True])
@pytest.mark.parametrize("chunks", [0, 3, 12, 24])
async def test_failing_content(backend: ObstoreBackend, chunks: int, if_absent: bool) -> None:
    """Content that fails, early or late, raises its own error and stores nothing."""
    with pytest.raises(BrokenSourceError):
        await backend.put("k", _broken(chunks), chunk_size=5 * MIB, if_absent=if_absent)

    assert await _keys(backend) == []


@pytest.mark.parametrize("if_absent", [False, True])
@pytest.mark.parametrize("chunks", [0, 3, 12, 24])
async def test_cancelled(backend: ObstoreBackend, chunks: int, if_absent: bool) -> None:
    """An upload that is cancelled, early or late, stores nothing."""
    reached = asyncio.Event()
    put = backend.put("k", _stalling(chunks, reached), chunk_size=5 * MIB, if_absent=if_absent)
    task = asyncio.create_task(put)
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await _keys(backend) == []


@pytest.mark.parametrize("chunks", [12, 24])
async def test_no_unfinished_multipart_upload(s3: ObstoreBackend, boto: Any, seaweedfs: Any, chunks: int) -> None:
    """Neither failure nor cancellation leaves a multipart upload, which no listing would show."""
    reached = asyncio.Event()
    task = asyncio.create_task(s3.put("a", _stalling(chunks, reached), chunk_size=5 * MIB))
    await reached.wait()
    begun = _unfinished(boto, seaweedfs.bucket, s3)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    with suppress(BrokenSourceError):
        await s3.put("b", _broken(chunks), chunk_size=5 * MIB)

    assert len(begun) == 1, "the test must have caught an upload half-way"
    assert _unfinished(boto, seaweedfs.bucket, s3) == []


async def test_timeout(s3: ObstoreBackend, boto: Any, seaweedfs: Any) -> None:
    """A timeout around an upload is a TimeoutError, in time, and leaves nothing."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await s3.put("k", _stalling(12, asyncio.Event()), chunk_size=5 * MIB, if_absent=True)

    assert await _keys(s3) == _unfinished(boto, seaweedfs.bucket, s3) == []


async def test_cancelled_again_and_again(s3: ObstoreBackend, boto: Any, seaweedfs: Any) -> None:
    """Whoever cancels impatiently gets the same clean end."""
    reached = asyncio.Event()
    task = asyncio.create_task(s3.put("k", _stalling(12, reached), chunk_size=5 * MIB, if_absent=True))
    await reached.wait()
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)

    assert task.cancelled()
    assert await _keys(s3) == _unfinished(boto, seaweedfs.bucket, s3) == []


async def test_cancel_scope(s3: ObstoreBackend, boto: Any, seaweedfs: Any) -> None:
    """A cancel scope, as Starlette cancels a request, gets the same clean end."""
    with anyio.move_on_after(0.5) as scope:
        await s3.put("k", _stalling(12, asyncio.Event()), chunk_size=5 * MIB, if_absent=True)

    assert scope.cancelled_caught
    assert await _keys(s3) == _unfinished(boto, seaweedfs.bucket, s3) == []


@pytest.mark.parametrize("delay", [0, 0.001, 0.003, 0.01])
async def test_cancelled_in_the_request(backend: ObstoreBackend, delay: float) -> None:
    """A single request that is cancelled too late to be stopped is undone if the key was fresh."""
    task = asyncio.create_task(backend.put("k", b"x" * MIB, if_absent=True))
    await asyncio.sleep(delay)
    cancelled = task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert await _keys(backend) == ([] if cancelled else ["k"])


async def test_failure_keeps_the_old_object(backend: ObstoreBackend) -> None:
    """An upload that fails half-way leaves what was at its key as it was."""
    await backend.put("k", b"old")
    with suppress(BrokenSourceError):
        await backend.put("k", _broken(12), chunk_size=5 * MIB)
    reached = asyncio.Event()
    task = asyncio.create_task(backend.put("k", _stalling(12, reached), chunk_size=5 * MIB))
    await reached.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert await (await backend.open("k")).read() == b"old"


async def test_error_of_the_content_is_not_the_store_s(backend: ObstoreBackend) -> None:
    """An error that looks like a store's, raised by the content, stays what it is."""

    async def source() -> AsyncIterator[bytes]:
        yield b"x" * 6 * MIB
        raise FileNotFoundError("the content's own")

    with pytest.raises(FileNotFoundError, match="the content's own") as caught:
        await backend.put("k", source(), chunk_size=5 * MIB)

    assert type(caught.value) is FileNotFoundError


async def test_file_is_closed(s3: ObstoreBackend, tmp_path: Path) -> None:
    """A path's file is closed when its upload is cancelled."""
    path = tmp_path / "content"
    path.write_bytes(b"x" * 30 * MIB)
    task = asyncio.create_task(s3.put("k", path, chunk_size=5 * MIB))
    await asyncio.sleep(0.02)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert str(path) not in _open_files()


def _open_files() -> set[str]:
    return {str(link.resolve()) for link in Path("/proc/self/fd").iterdir() if link.exists()}
