"""What is particular to a local folder: links, names that a disk can't hold, permissions."""

import asyncio
import os
import resource
import stat
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from errno import EPERM, EROFS, EXDEV
from pathlib import Path

import pytest

from fastapi_filestore.errors import (
    BucketNotFoundError,
    InvalidKeyError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StorageFullError,
    StoragePermissionError,
    StorageUnavailableError,
)
from fastapi_filestore.storage.local import copy as local_copy
from fastapi_filestore.storage.local import open_folder
from fastapi_filestore.storage.local.copy import PIECE
from fastapi_filestore.storage.local.read import READ_SIZE, open_inside
from fastapi_filestore.storage.obstore_backend import ObstoreBackend


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The backend's folder, beside one with a secret in it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    return tmp_path / "root"


def _outside(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (root.parent / "outside").iterdir()}


def _files(root: Path) -> list[str]:
    """Return the names of all files below a folder."""
    return [path.name for path in root.rglob("*") if path.is_file()]


def _held(root: Path) -> int:
    """Return how many of the files in a folder this process holds open."""
    return sum(os.path.realpath(each).startswith(str(root)) for each in Path("/proc/self/fd").iterdir())


def _link(path: Path, target: str | Path) -> None:
    path.symlink_to(target)


def _write(path: Path) -> None:
    path.write_bytes(b"x")


@pytest.fixture(params=[True, False], ids=["in open folders", "by path"])
def local(root: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ObstoreBackend:
    """A backend in a local folder, on a platform that can and on one that can't do things in open folders."""
    monkeypatch.setattr(open_folder, "HOLDS_FOLDERS", request.param)
    return ObstoreBackend("local", root)


@pytest.mark.parametrize("target", ["../outside/secret", "{outside}/secret", "chain"])
async def test_link_to_a_file_outside(local: ObstoreBackend, root: Path, target: str) -> None:
    """A link that leads out of the folder, straight or over another, is no object."""
    _link(root / "chain", "../outside/secret")
    _link(root / "link", target.format(outside=root.parent / "outside"))
    for operation in (local.open("link"), local.open("link", end=3), local.head("link"), local.copy("link", "copied")):
        with pytest.raises(ObjectNotFoundError):
            await operation

    assert [info async for info in local.list()] == []


async def test_link_to_a_folder_outside(local: ObstoreBackend, root: Path) -> None:
    """Nothing outside is read, listed, written or deleted through a linked folder."""
    _link(root / "linked", "../outside")
    await local.put("k", b"x")
    for operation in (
        local.open("linked/secret"),
        local.head("linked/secret"),
        local.copy("k", "linked/new"),
        local.put("linked/new", b"x"),
        local.put("linked/secret", b"overwritten"),
    ):
        with pytest.raises(ObjectNotFoundError):
            await operation
    await local.delete("linked/secret")

    assert [info.path async for info in local.list()] == ["k"]
    assert [info async for info in local.list("linked")] == []
    assert _outside(root) == {"secret": "secret"}


async def test_put_onto_a_link(local: ObstoreBackend, root: Path) -> None:
    """A put replaces a link, and a delete removes it; what it led to stays."""
    for _ in range(2):
        _link(root / "link", "../outside/secret")
        with pytest.raises(ObjectExistsError):
            await local.put("link", b"x", if_absent=True)
        await local.put("link", b"new")
        assert await (await local.open("link")).read() == b"new"
        await local.delete("link")

    assert _outside(root) == {"secret": "secret"}
    assert [info async for info in local.list()] == []


async def test_root_that_is_a_link(local: ObstoreBackend, root: Path, tmp_path: Path) -> None:
    """A folder that is itself reached over a link is fine."""
    _link(tmp_path / "mounted", root)
    backend = ObstoreBackend("local", tmp_path / "mounted")
    await backend.put("a/k", b"x")

    assert [info.path async for info in backend.list()] == ["a/k"]
    assert await (await local.open("a/k")).read() == b"x"


@pytest.mark.parametrize("key", ["n" * 256, "é" * 130, "Invoice #12", "a/b#1"])
async def test_names_that_a_disk_cannot_hold(local: ObstoreBackend, key: str) -> None:
    """A name that is too long, or that obstore needs for itself, is refused on writing and missing on reading."""
    with pytest.raises(InvalidKeyError) as caught:
        await local.put(key, b"x")
    for operation in (local.open(key), local.head(key), local.copy(key, "k")):
        with pytest.raises(ObjectNotFoundError):
            await operation
    await local.delete(key)

    assert (caught.value.backend, caught.value.path) == ("local", key)
    assert [info async for info in local.list()] == []


async def test_object_and_folder_of_one_name(local: ObstoreBackend) -> None:
    """A disk can't hold both an object and a folder of one name: the second is refused, the first stays."""
    await local.put("a", b"x")
    await local.put("b/c", b"x")
    for key in ("a/b", "a/b/c", "b"):
        with pytest.raises(InvalidKeyError):
            await local.put(key, b"y")

    assert [info.path async for info in local.list()] == ["a", "b/c"]


async def test_unfinished_uploads_are_not_listed(local: ObstoreBackend, root: Path) -> None:
    """What a killed process left half-written is no object."""
    await local.put("k", b"x")
    _write(root / "k#1")

    assert [info.path async for info in local.list()] == ["k"]


@pytest.mark.parametrize("key", ["a#b", "a#1#2", "a#b#12", "Invoice #1 #2", "n" * 251, "é" * 125])
async def test_names_that_look_like_unfinished_uploads(local: ObstoreBackend, root: Path, key: str) -> None:
    """A name with a # in it, or a long one, is as good as any; only what is left of its upload is hidden."""
    for _ in range(2):
        await local.put(key, bytes(700_000))
    _write(root / f"{key[:100]}#1234567890123")
    unfinished = [upload.path async for upload in local.unfinished_uploads()]

    assert [info.path async for info in local.list()] == [key]
    assert (await local.open(key)).info.size == 700_000
    assert unfinished == [key[:100]]


async def test_an_unfinished_upload_can_be_dropped(local: ObstoreBackend, root: Path) -> None:
    """What a killed process left half-written is found with its key, and removed alone."""
    await local.put("a/k", b"x")
    for name in ("k#7", "l#1#1234567890123"):
        _write(root / "a" / name)
    found = sorted([upload async for upload in local.unfinished_uploads()], key=lambda upload: upload.path)
    for upload in found:
        await local.abort_upload(upload)

    assert [upload.path for upload in found] == ["a/k", "a/l#1"]
    assert _files(root) == ["k"]


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

    assert _files(root) == []


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

    assert _files(root) == ["a"]


async def test_a_file_in_its_place_is_complete(local: ObstoreBackend, root: Path) -> None:
    """While content comes in, nobody sees it; then it is in its place, and only there."""
    seen: list[list[str]] = []

    async def content() -> AsyncIterator[bytes]:
        for _ in range(8):
            yield b"x" * 1024 * 1024
            seen.append([info.path async for info in local.list()])

    await local.put("a/k", content())

    assert seen == [[]] * 8
    assert _files(root) == ["k"]


@pytest.mark.parametrize("if_absent", [True, False])
async def test_an_upload_that_is_removed_on_its_way(local: ObstoreBackend, root: Path, if_absent: bool) -> None:
    """Who uploads it is told to do it again, and not that there is no such object; nothing is left."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(300_000)
        for _ in range(5000):
            await asyncio.sleep(0 if _files(root) else 0.001)
        await local.drop_unfinished("ab/c")
        yield b"the rest"

    with pytest.raises(StorageUnavailableError, match="upload it again") as caught:
        await local.put("ab/c", pieces(), if_absent=if_absent)

    assert caught.value.path == "ab/c"
    assert _files(root) == []


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

    assert _files(root) == []


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
    _write(Path(os.fsdecode(os.fsencode(root) + b"/\xff\xfe")))

    assert [info.path async for info in local.list()] == ["k"]


async def test_probe_of_a_missing_folder(local: ObstoreBackend, root: Path) -> None:
    """A folder that is gone is a missing bucket."""
    await asyncio.to_thread(root.rmdir)
    with pytest.raises(BucketNotFoundError, match="create it"):
        await local.probe()


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
    assert _files(root) == ["k", "copied"]


async def test_a_copy_onto_its_source(local: ObstoreBackend, root: Path) -> None:
    """A copy to the very key of its source leaves one file of the same bytes, and nothing beside it."""
    await local.put("k", b"x")
    await local.copy("k", "k")

    assert _files(root) == ["k"]
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
    while len(_files(root)) == 1:  # noqa: ASYNC110 - the disk sends no event
        await asyncio.sleep(0.001)
    seen = [info.path async for info in local.list()]
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying

    assert seen == ["k"]
    assert _files(root) == ["k"]
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

    assert sorted(_files(root)) == ["k", "old"]
    assert await (await local.open("old")).read() == b"old"


async def test_a_link_that_changes_while_it_is_opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the file that was opened: a link that leads inside a moment later gains nothing."""
    ObstoreBackend("local", root)
    _write(root / "k")
    _link(root / "link", "../outside/secret")
    real = os.path.realpath

    def change_first(path: str | Path) -> str:
        if Path(path).name == "link":
            (root / "link").unlink()
            _link(root / "link", "k")
        return real(path)

    monkeypatch.setattr(os.path, "realpath", change_first)

    opened = open_inside(root, "link")

    assert opened is None or opened.read(0, 10) == b"x"


async def test_what_is_no_file(local: ObstoreBackend, root: Path) -> None:
    """A named pipe, a folder and an unfinished upload are no objects, and nobody waits for them."""
    os.mkfifo(root / "pipe")
    await local.put("folder/k", b"x")
    _write(root / "k#1")
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
    assert _files(root) == ["a"]
