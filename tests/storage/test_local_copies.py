"""Copies within a local folder, and what in it is no file."""

import asyncio
import os
import resource
import stat
from datetime import UTC, datetime, timedelta
from errno import EROFS, EXDEV
from pathlib import Path

import pytest

from fastapi_filestore.errors import (
    InvalidKeyError,
    ObjectNotFoundError,
    StorageError,
)
from fastapi_filestore.storage.local import copy as local_copy
from fastapi_filestore.storage.local.copy import PIECE
from fastapi_filestore.storage.local.read import READ_SIZE, open_inside
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.folders import files, link, local, root, write

__all__ = ["local", "root"]


def _held(root: Path) -> int:
    """Return how many of the files in a folder this process holds open."""
    return sum(os.path.realpath(each).startswith(str(root)) for each in Path("/proc/self/fd").iterdir())


async def test_copy_to_a_name_that_a_disk_cannot_hold(local: ObstoreBackend) -> None:
    """A copy to such a name is refused by that name."""
    await local.put("k", b"x")
    with pytest.raises(InvalidKeyError, match="Invoice") as caught:
        await local.copy("k", "Invoice #12")

    assert caught.value.path == "Invoice #12"


async def test_a_copy_is_as_old_as_itself(local: ObstoreBackend, root: Path) -> None:
    """A copy is a file of its own, made now: what is found by its age must not take it for an old one."""
    await local.put("k", b"x")
    await asyncio.to_thread(os.utime, root / "k", (0, 0))
    await local.copy("k", "a/copied")
    source, copied = await local.head("k"), await local.head("a/copied")

    assert source.last_modified.timestamp() == 0
    assert datetime.now(UTC) - copied.last_modified < timedelta(minutes=1)
    assert files(root) == ["k", "copied"]


async def test_a_copy_onto_its_source(local: ObstoreBackend, root: Path) -> None:
    """A copy to the very key of its source leaves one file of the same bytes, and nothing beside it."""
    await local.put("k", b"x")
    await local.copy("k", "k")

    assert files(root) == ["k"]
    assert await (await local.open("k")).read() == b"x"


@pytest.mark.parametrize("in_kernel", [True, False])
async def test_a_copy_of_many_bytes(root: Path, monkeypatch: pytest.MonkeyPatch, in_kernel: bool) -> None:
    """A copy longer than one step has every byte, whether or not the kernel copies between the two files."""
    if not in_kernel:
        monkeypatch.setattr(os, "copy_file_range", _refuse, raising=False)
    monkeypatch.setattr(local_copy, "STEP", 3 * PIECE)
    local, body = ObstoreBackend("local", root), os.urandom(7 * PIECE + 1)
    await local.put("k", body)
    await local.copy("k", "copied")

    assert await (await local.open("copied")).read() == body


def _refuse(*_: object) -> int:
    raise OSError(EXDEV, "no copy from one disk to another")


async def test_a_copy_that_is_cancelled(local: ObstoreBackend, root: Path) -> None:
    """While it is copied nobody sees an object, other work goes on, and once cancelled nothing is left."""
    await local.put("k", b"x")
    await asyncio.to_thread(os.truncate, root / "k", 64 * 1024**3)
    copying = asyncio.create_task(local.copy("k", "copied"))
    while len(files(root)) == 1:  # noqa: ASYNC110 - the disk sends no event
        await asyncio.sleep(0.001)
    seen = [info.path async for info in local.list()]
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying

    assert seen == ["k"]
    assert files(root) == ["k"]
    assert _held(root) == 0


@pytest.mark.parametrize("size", [10, 8 * 1024 * 1024])
async def test_a_copy_to_a_full_disk(local: ObstoreBackend, root: Path, size: int) -> None:
    """Bytes that the disk does not take are an error, what was copied is removed, and what was there stays."""
    await local.put("k", b"x" * size)
    await local.put("old", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
    try:
        with pytest.raises(StorageError):
            await local.copy("k", "old")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert sorted(files(root)) == ["k", "old"]
    assert await (await local.open("old")).read() == b"old"


async def test_a_link_that_changes_while_it_is_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the file that was opened: a link that leads inside a moment later gains nothing."""
    ObstoreBackend("local", root)
    write(root / "k")
    link(root / "link", "../outside/secret")
    real = os.path.realpath

    def change_first(path: str | Path) -> str:
        if Path(path).name == "link":
            (root / "link").unlink()
            link(root / "link", "k")
        return real(path)

    monkeypatch.setattr(os.path, "realpath", change_first)

    opened = open_inside(root, "link")

    assert opened is None or opened.read(0, 10) == b"x"


async def test_what_is_no_file(local: ObstoreBackend, root: Path) -> None:
    """A named pipe, a folder and an unfinished upload are no objects, and nobody waits for them."""
    os.mkfifo(root / "pipe")
    await local.put("folder/k", b"x")
    write(root / "k#1")
    for key in ("pipe", "folder", "k#1", "folder/k/k"):
        with pytest.raises(ObjectNotFoundError):
            await local.open(key)


async def test_file_that_shrinks(local: ObstoreBackend, root: Path) -> None:
    """A file that is cut off while it is read raises, rather than end early."""
    await local.put("k", b"x" * 2 * READ_SIZE)
    stream = aiter(await local.open("k"))
    await anext(stream)
    await asyncio.to_thread(os.truncate, root / "k", READ_SIZE)
    with pytest.raises(StorageError, match="lost the end"):
        await anext(stream)


@pytest.mark.parametrize("chunks", [0, 1, 2])
async def test_files_are_closed(local: ObstoreBackend, root: Path, chunks: int) -> None:
    """Read to its end, half-way or not at all: a stream that is let go of holds no file."""
    await local.put("k", b"x" * READ_SIZE)
    stream = await local.open("k")
    iterator, held = aiter(stream), _held(root)
    for _ in range(chunks):
        await anext(iterator, b"")
    await stream.aclose()
    del stream, iterator

    assert (held, _held(root)) == (1, 0)


@pytest.mark.parametrize("kind", ["pipe", "socket"])
async def test_what_is_no_file_is_no_object(local: ObstoreBackend, root: Path, kind: str) -> None:
    """A named pipe or a socket in the folder is neither listed nor waited for."""
    await local.put("a", b"a")
    os.mknod(root / "odd", 0o600 | (stat.S_IFIFO if kind == "pipe" else stat.S_IFSOCK))

    assert [info.path async for info in local.list()] == ["a"]
    async with asyncio.timeout(5):
        with pytest.raises(ObjectNotFoundError):
            await local.head("odd")


async def test_an_unfinished_upload_that_cannot_be_dropped(
    local: ObstoreBackend, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is read-only says so by an error of ours."""
    await local.put("a", b"a")
    (root / "b#1").write_bytes(b"half")
    (upload,) = [one async for one in local.unfinished_uploads()]

    def refuse(path: str, **options: object) -> None:
        raise OSError(EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        with pytest.raises(StorageError):
            await local.abort_upload(upload)
    await local.abort_upload(upload)
    assert files(root) == ["a"]


async def test_one_file_of_several(local: ObstoreBackend, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They follow one another, however many steps that takes, and an empty one adds nothing."""
    monkeypatch.setattr(local_copy, "STEP", PIECE)
    contents = [os.urandom(2 * PIECE + 1), b"", b"end"]
    for number, content in enumerate(contents):
        await local.put(str(number), content)
    assert local.join is not None
    info = await local.join(["0", "1", "2"], "a/whole")

    assert (root / "a" / "whole").read_bytes() == b"".join(contents)
    assert info == await local.head("a/whole")


async def test_one_file_of_several_of_which_one_is_missing(local: ObstoreBackend, root: Path) -> None:
    """It is not made, and nothing is left of its beginning."""
    await local.put("0", b"x")
    assert local.join is not None
    with pytest.raises(ObjectNotFoundError):
        await local.join(["0", "1"], "whole")

    assert files(root) == ["0"]
    assert _held(root) == 0
