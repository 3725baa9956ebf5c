"""A disk that does not confirm what it was given: nothing is believed, and nothing is asked twice."""

import asyncio
import os
from collections.abc import Callable
from errno import EINVAL, EIO
from pathlib import Path
from stat import S_ISDIR

import pytest

from fastapi_filestore.errors import StorageError
from fastapi_filestore.storage.local.durability import SYNC_STEP
from fastapi_filestore.storage.obstore_backend import ObstoreBackend

Fail = Callable[[str, int], list[str]]


@pytest.fixture
def local(tmp_path: Path) -> ObstoreBackend:
    """A backend in a local folder."""
    return ObstoreBackend("local", tmp_path / "root")


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Make syncs fail of each path that ends with some names, and return what was to be synced: files or folders."""

    def begin(end: str, error: int) -> list[str]:
        asked: list[str] = []
        for name in ("fdatasync", "fsync"):
            monkeypatch.setattr(os, name, _failing(getattr(os, name), end, error, asked))
        return asked

    return begin


def _failing(sync: Callable[[int], None], end: str, error: int, asked: list[str]) -> Callable[[int], None]:
    def failing(file: int) -> None:
        path = str(Path(f"/proc/self/fd/{file}").readlink())
        # Whole names: a folder of temporary files may well be called "…f".
        if path.rpartition("#")[0].endswith(f"/{end}") or path.endswith(f"/{end}"):
            asked.append("folder" if S_ISDIR(os.fstat(file).st_mode) else "file")
            raise OSError(error, os.strerror(error))
        sync(file)

    return failing


def files(root: Path) -> list[str]:
    """Return the names of all files below a folder."""
    return sorted(path.name for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("size", [10, 700_000, 3 * SYNC_STEP])
async def test_a_file_that_is_not_confirmed(local: ObstoreBackend, tmp_path: Path, fail: Fail, size: int) -> None:
    """The upload fails with the disk's words and their cause, its file is removed, and the disk is asked once."""
    asked = fail("f/k", EIO)
    with pytest.raises(StorageError, match=r"'local' in .* did not confirm 'f/k' \(.*, EIO\)") as caught:
        await local.put("f/k", bytes(size))

    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == EIO
    assert asked == ["file"]
    assert files(tmp_path) == []


async def test_a_folder_that_is_not_confirmed(local: ObstoreBackend, tmp_path: Path, fail: Fail) -> None:
    """A new object whose name may be lost is none: the upload fails, and nothing is left."""
    asked = fail("root/f", EIO)
    with pytest.raises(StorageError, match="EIO"):
        await local.put("f/k", b"x", if_absent=True)

    assert asked == ["folder"]
    assert files(tmp_path) == []


async def test_a_copy_that_is_not_confirmed(local: ObstoreBackend, tmp_path: Path, fail: Fail) -> None:
    """The copy fails, and what was at its target stays."""
    await local.put("source", b"new")
    await local.put("k", b"old")
    asked = fail("root/k", EIO)
    with pytest.raises(StorageError, match="EIO"):
        await local.copy("source", "k")

    assert asked == ["file"]
    assert await (await local.open("k")).read() == b"old"
    assert files(tmp_path) == ["k", "source"]


async def test_a_deletion_that_is_not_confirmed(local: ObstoreBackend, fail: Fail) -> None:
    """The deletion fails, so that the ledger remembers it and the sweeper tries again."""
    await local.put("f/k", b"x")
    fail("root/f", EIO)
    for paths in (["f/k"], ["f/k", "f/l"]):
        with pytest.raises(StorageError, match="EIO"):
            await local.delete(*paths)


async def test_a_stored_file_that_is_not_confirmed(local: ObstoreBackend, fail: Fail) -> None:
    """What a client stored can't be confirmed either."""
    await local.put("f/k", b"x")
    fail("f/k", EIO)
    with pytest.raises(StorageError, match="EIO"):
        await local.make_durable("f/k")


async def test_folders_that_cannot_be_synced(
    local: ObstoreBackend, fail: Fail, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a disk has no such thing, files are stored and deleted all the same, and the log says so once."""
    asked = fail("f", EINVAL)
    for key in ("f/k", "f/l"):
        await local.put(key, b"x")
    await local.delete("f/k")
    told = [record.getMessage() for record in caplog.records if "folder_not_synced" in record.message]

    assert asked == ["folder"] * 3
    assert [info.path async for info in local.list()] == ["f/l"]
    assert len(told) == 1
    assert "backend=local" in told[0]
    assert "Invalid argument" in told[0]


async def test_an_upload_that_is_cancelled_during_a_sync(
    local: ObstoreBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync that is on its way ends before the file is removed."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop, sync = asyncio.get_running_loop(), os.fdatasync

    def wait(file: int) -> None:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        sync(file)

    monkeypatch.setattr(os, "fdatasync", wait)
    upload = asyncio.create_task(local.put("k", b"x", if_absent=True))
    await begun.wait()
    upload.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await upload

    assert files(tmp_path) == []
