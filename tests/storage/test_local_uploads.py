"""What comes into a local folder is whole or not there: unfinished uploads, full disks, deletions."""

import asyncio
import os
import resource
from collections.abc import AsyncIterator, Sequence
from errno import EPERM
from pathlib import Path

import pytest

from fastapi_filestore.errors import (
    BucketNotFoundError,
    StorageError,
    StorageFullError,
    StoragePermissionError,
    StorageUnavailableError,
)
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.folders import files, local, root, write

__all__ = ["local", "root"]


async def test_unfinished_uploads_are_not_listed(local: ObstoreBackend, root: Path) -> None:
    """What a killed process left half-written is no object."""
    await local.put("k", b"x")
    write(root / "k#1")

    assert [info.path async for info in local.list()] == ["k"]


@pytest.mark.parametrize("key", ["a#b", "a#1#2", "a#b#12", "Invoice #1 #2", "n" * 251, "é" * 125])
async def test_names_that_look_like_unfinished_uploads(local: ObstoreBackend, root: Path, key: str) -> None:
    """A name with a # in it, or a long one, is as good as any; only what is left of its upload is hidden."""
    for _ in range(2):
        await local.put(key, bytes(700_000))
    write(root / f"{key[:100]}#1234567890123")
    unfinished = [upload.path async for upload in local.unfinished_uploads()]

    assert [info.path async for info in local.list()] == [key]
    assert (await local.open(key)).info.size == 700_000
    assert unfinished == [key[:100]]


async def test_an_unfinished_upload_can_be_dropped(local: ObstoreBackend, root: Path) -> None:
    """What a killed process left half-written is found with its key, and removed alone."""
    await local.put("a/k", b"x")
    for name in ("k#7", "l#1#1234567890123"):
        write(root / "a" / name)
    found = sorted([upload async for upload in local.unfinished_uploads()], key=lambda upload: upload.path)
    for upload in found:
        await local.abort_upload(upload)

    assert [upload.path for upload in found] == ["a/k", "a/l#1"]
    assert files(root) == ["k"]


async def test_a_disk_that_refuses_says_why(local: ObstoreBackend) -> None:
    """The error of a full disk has the words of the system, and its own as the cause."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))
    try:
        with pytest.raises(StorageFullError, match=r"as large as 'k'.*\(File too large, EFBIG\)") as caught:
            await local.put("k", b"x" * 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert isinstance(caught.value.__cause__, OSError)


async def test_many_deletions_at_once(local: ObstoreBackend, root: Path) -> None:
    """Many objects are deleted, missing ones, folders and names that can't be there among them."""
    keys = [f"{number % 7}/{number}" for number in range(50)]
    for key in keys:
        await local.put(key, b"x")
    await local.delete(*keys, "missing", "1", "1/1/1", "n" * 300, "k#1")

    assert files(root) == []


async def test_a_deletion_that_is_refused(local: ObstoreBackend, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that the disk refuses is an error, and the others are deleted."""
    await local.put("a", b"x")
    await local.put("b", b"x")
    unlink = os.unlink

    def refuse(path: str | Path, **options: int | None) -> None:
        if Path(path).name == "a":
            raise PermissionError(EPERM, "not permitted")
        unlink(path, **options)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(StoragePermissionError, match="EPERM"):
        await local.delete("a", "b")

    assert files(root) == ["a"]


async def test_a_file_in_its_place_is_complete(local: ObstoreBackend, root: Path) -> None:
    """While content comes in, nobody sees it; then it is in its place, and only there."""
    seen: list[list[str]] = []

    async def content() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield b"x" * 1024 * 1024
            seen.append([info.path async for info in local.list()])

    await local.put("a/k", content())

    assert seen == [[]] * 8
    assert files(root) == ["k"]


@pytest.mark.parametrize("if_absent", [True, False])
async def test_an_upload_that_is_removed_on_its_way(local: ObstoreBackend, root: Path, if_absent: bool) -> None:
    """Who uploads it is told to do it again, and not that there is no such object; nothing is left."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(300_000)
        for _ in range(5000):
            await asyncio.sleep(0 if files(root) else 0.001)
        await local.drop_unfinished("ab/c")
        yield b"the rest"

    with pytest.raises(StorageUnavailableError, match="upload it again") as caught:
        await local.put("ab/c", pieces(), if_absent=if_absent)

    assert caught.value.path == "ab/c"
    assert files(root) == []


@pytest.mark.parametrize("size", [10, 8 * 1024 * 1024])
async def test_a_full_disk(local: ObstoreBackend, root: Path, size: int) -> None:
    """Bytes that the disk does not take are an error, and what was written of them is removed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
    try:
        with pytest.raises(StorageError):
            await local.put("k", b"x" * size)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert files(root) == []


@pytest.mark.parametrize("piece", [200_000, 1000])
async def test_a_disk_that_takes_little_at_a_time(
    local: ObstoreBackend, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    """Bytes of which the disk takes only a part arrive all the same, each once and in order."""
    content, write = os.urandom(3_000_000), os.writev

    def take_little(file: int, pieces: Sequence[bytes]) -> int:
        return write(file, [bytes(pieces[0])[:70_000]])

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), piece):
            yield content[start : start + piece]

    monkeypatch.setattr(os, "writev", take_little)
    info = await local.put("k", pieces())

    assert info.size == len(content)
    assert await (await local.open("k")).read() == content


async def test_names_that_are_not_text(local: ObstoreBackend, root: Path) -> None:
    """A file that somebody else put there under a name that is no text does not stop a listing."""
    await local.put("k", b"x")
    write(Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe")))

    assert [info.path async for info in local.list()] == ["k"]


async def test_probe_of_a_missing_folder(local: ObstoreBackend, root: Path) -> None:
    """A folder that is gone is a missing bucket."""
    await asyncio.to_thread(root.rmdir)
    with pytest.raises(BucketNotFoundError, match="create it"):
        await local.probe()
