"""A stored file, opened as programs open files."""

import asyncio
import io
import os
import pickle
import tempfile
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastapi_filestore import FileObject, ObstoreBackend, StorageRegistry
from fastapi_filestore.errors import BlockingCallError, ObjectNotFoundError, PendingContentError, StorageError
from fastapi_filestore.storage.backend import ObjectStream
from tests.storage.stores import MAKERS, make_backend

MIB = 1024 * 1024
CONTENT = bytes(number % 251 for number in range(3 * MIB + 12345))


class CountingBackend(ObstoreBackend):
    """A backend in memory that keeps the ranges which were asked for."""

    def __init__(self, key: str) -> None:
        super().__init__(key, "memory://")
        self.ranges: list[tuple[int, int | None]] = []

    async def open(self, path: str, *, start: int = 0, end: int | None = None) -> ObjectStream:
        """Open a range, and keep it."""
        self.ranges.append((start, end))
        return await super().open(path, start=start, end=end)


@pytest.fixture
def counting() -> CountingBackend:
    """A backend that counts."""
    return CountingBackend("counting")


def stored(backend: ObstoreBackend, content: bytes = CONTENT, filename: str = "a.bin") -> FileObject:
    """Return a file that is stored in the backend, as its row would give it."""
    registry = StorageRegistry()
    registry.register_backend(backend)
    return FileObject(backend.key, filename, content=content, registry=registry).save()


@pytest.mark.parametrize("name", MAKERS)
def test_every_store(name: str, request: pytest.FixtureRequest) -> None:
    """A file of any store is read, sought and ended as a file on disk is."""
    with stored(make_backend(name, request)).open() as file:
        assert (file.name, file.size, file.mode) == ("a.bin", len(CONTENT), "rb")
        assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
        assert file.read(10) == CONTENT[:10]
        assert file.seek(-5, os.SEEK_END) == len(CONTENT) - 5
        assert file.read() == CONTENT[-5:]
        assert file.read() == file.read(1) == file.peek() == b""
        assert file.seek(2 * MIB - 3) == file.tell()
        assert file.read(6) == CONTENT[2 * MIB - 3 : 2 * MIB + 3]
        assert file.seek(-4, os.SEEK_CUR) == 2 * MIB - 1
        file.seek(len(CONTENT) + 100)
        assert file.read(3) == b""


def test_sequential_mib(counting: CountingBackend) -> None:
    """A sequential MiB, wherever it begins and in however small reads, is two requests at the most."""
    file = stored(counting).open()
    file.seek(700_000)

    assert b"".join(file.read(1000) for _ in range(MIB // 1000)) == CONTENT[700_000 : 700_000 + MIB // 1000 * 1000]
    assert len(counting.ranges) == 2


def test_nothing_is_asked_before_it_is_read(counting: CountingBackend) -> None:
    """To open, to seek and to tell costs no request."""
    file = stored(counting).open()
    file.seek(0, os.SEEK_END)
    file.seek(MIB)
    file.tell()

    assert counting.ranges == []


def test_small_reads(counting: CountingBackend) -> None:
    """A thousand small reads here and there in a few MiB are ten requests at the most."""
    file = stored(counting).open()
    for number in range(1000):
        start = number * 7919 % len(CONTENT)
        file.seek(start)
        assert file.read(20) == CONTENT[start : start + 20]

    assert len(counting.ranges) <= 10


def test_a_long_read_is_one_request(counting: CountingBackend) -> None:
    """All that a long read lacks comes by one request, and what is kept is not asked for again."""
    file = stored(counting).open()
    file.read(10)

    assert file.read() == CONTENT[10:]
    assert counting.ranges == [(0, MIB), (MIB, len(CONTENT))]


def test_large_zip(counting: CountingBackend) -> None:
    """The list of a large archive is read without its content."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        for number in range(60):
            target.writestr(f"{number}.bin", CONTENT[:MIB])
    with zipfile.ZipFile(stored(counting, archive.getvalue()).open()) as source:
        names = source.namelist()
        asked = sum((end or 0) - start for start, end in counting.ranges)

        assert (len(names), asked < 2 * MIB) == (60, True)
        assert source.read("31.bin") == CONTENT[:MIB]


@given(
    st.lists(
        st.tuples(st.sampled_from(["read", "read1", "readinto", "readline", "seek", "peek"]), st.integers(0, 3000))
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_as_a_file_in_memory(counting: CountingBackend, calls: list[tuple[str, int]]) -> None:
    """Any sequence of calls gives what it gives of a BytesIO."""
    content = b"".join(b"%d lines\n" % number for number in range(200))
    file, model = stored(counting, content).open(), io.BytesIO(content)
    for call, number in calls:
        if call == "readinto":
            ours, theirs = bytearray(number), bytearray(number)
            assert (file.readinto(ours), ours) == (model.readinto(theirs), theirs)
        elif call == "peek":
            assert content[file.tell() :].startswith(file.peek(number))
        else:
            assert getattr(file, call)(number) == getattr(model, call)(number)
        assert file.tell() == model.tell()


def test_lines(counting: CountingBackend) -> None:
    """It is iterated by lines, and a text layer goes on top."""
    file = stored(counting, "früh\nspät\n".encode())

    assert list(file.open()) == ["früh\n".encode(), "spät\n".encode()]
    assert io.TextIOWrapper(file.open(), encoding="utf-8").read() == "früh\nspät\n"


def test_closed(counting: CountingBackend) -> None:
    """A closed file raises, as any does; it can be closed twice."""
    file = stored(counting).open()
    file.close()
    file.close()

    for use in (file.read, file.tell, file.readable, file.seekable, file.peek, lambda: file.seek(0)):
        with pytest.raises(ValueError, match=r"closed file 'a\.bin'"):
            use()


@pytest.mark.parametrize(
    "use",
    [
        lambda file: file.write(b"x"),
        lambda file: file.truncate(1),
        lambda file: file.fileno(),
        lambda file: file.detach(),
    ],
)
def test_only_for_reading(use: object, counting: CountingBackend) -> None:
    """What a read-only file without a descriptor can't do is refused as Python's own files refuse it."""
    with pytest.raises(io.UnsupportedOperation):
        use(stored(counting).open())  # type: ignore[operator]


@pytest.mark.parametrize(("offset", "whence"), [(-1, 0), (-1, 1), (-4 * MIB, 2), (0, 5)])
def test_bad_seek(offset: int, whence: int, counting: CountingBackend) -> None:
    """A seek before the start, or from nowhere, is refused and moves nothing."""
    file = stored(counting).open()
    with pytest.raises(ValueError, match="A seek"):
        file.seek(offset, whence)

    assert file.tell() == 0


@pytest.mark.parametrize("name", ["memory", "local", "seaweedfs"])
async def test_running_loop(name: str, request: pytest.FixtureRequest) -> None:
    """In the thread of a running loop it is refused, whatever the store, and the ways out are named."""
    file = await asyncio.to_thread(stored, make_backend(name, request))
    opened = await asyncio.to_thread(file.open)
    for call in (file.open, opened.read, lambda: file.as_path().__enter__()):
        with pytest.raises(BlockingCallError, match=r"asyncio\.to_thread.*as_path.*open_async"):
            call()

    assert await asyncio.to_thread(opened.read) == CONTENT


def test_threads_share_it(counting: CountingBackend) -> None:
    """Threads that read one file get each byte once."""
    file = stored(counting).open()

    async def read() -> list[bytes]:
        return await asyncio.gather(*(asyncio.to_thread(file.read, 100_000) for _ in range(40)))

    pieces = asyncio.run(read())

    assert sum(map(len, pieces)) == len(CONTENT)
    assert all(piece in CONTENT for piece in pieces)


def test_not_stored(counting: CountingBackend) -> None:
    """What is not stored can't be opened; what is gone is told when it is read."""
    file = stored(counting)
    opened = file.open()
    twin = FileObject(counting.key, "b.txt", content=b"x", registry=file.registry)
    with pytest.raises(PendingContentError):
        twin.open()
    asyncio.run(counting.delete(str(file.path)))

    with pytest.raises(ObjectNotFoundError):
        opened.read()


def test_written_anew(counting: CountingBackend) -> None:
    """Ranges of two objects are never joined."""
    file = stored(counting)
    opened = file.open()
    opened.read(10)
    asyncio.run(counting.put(str(file.path), CONTENT[::-1]))
    opened.seek(-10, os.SEEK_END)

    with pytest.raises(StorageError, match="written anew"):
        opened.read()


def test_no_pickle(counting: CountingBackend) -> None:
    """An open file doesn't travel; its FileObject does."""
    with pytest.raises(TypeError, match="pass the FileObject"):
        pickle.dumps(stored(counting).open())


def test_empty(counting: CountingBackend) -> None:
    """An empty file is at its end, without a request."""
    assert stored(counting, b"").open().read() == b""
    assert counting.ranges == []


# -- as a path -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAKERS)
async def test_as_path(name: str, request: pytest.FixtureRequest) -> None:
    """The path is a copy of the bytes with the ending of the name, to do with as one likes, and it goes."""
    file = await asyncio.to_thread(stored, make_backend(name, request), CONTENT, "film.MP4")
    async with file.as_path() as path:
        assert (path.read_bytes(), path.suffix) == (CONTENT, ".MP4")
        path.write_bytes(b"changed")

    assert not path.exists()
    assert await file.get_content_async() == CONTENT


def test_as_path_blocking(counting: CountingBackend) -> None:
    """Outside of a loop, `with` does the same."""
    with stored(counting).as_path() as path:
        assert path.read_bytes() == CONTENT

    assert not path.exists()


def test_the_object_itself(request: pytest.FixtureRequest) -> None:
    """On local disk whoever only reads gets the object itself, and it stays; a copy otherwise."""
    backend = make_backend("local", request)
    assert isinstance(backend, ObstoreBackend)
    assert backend.folder is not None
    file = stored(backend)
    with file.as_path(read_only=True) as path, file.as_path() as other:
        assert path == backend.folder / str(file.path)
        assert path.read_bytes() == other.read_bytes() == CONTENT

    assert (path.exists(), other.exists()) == (True, False)


@pytest.mark.parametrize("read_only", [True, False])
def test_as_path_of_what_is_gone(read_only: bool, request: pytest.FixtureRequest) -> None:
    """A missing object is told before the block begins, and no copy is left."""
    file = stored(make_backend("local", request))
    FileObject(file.backend, "a", path=file.path, registry=file.registry).delete()

    with pytest.raises(ObjectNotFoundError), file.as_path(read_only=read_only):
        pytest.fail("the block began")


@pytest.mark.parametrize("filename", ["a.tar/../../x", "no ending", "a." + "x" * 200, "ü.ö", ".hidden"])
def test_any_name_has_a_path(filename: str, counting: CountingBackend) -> None:
    """An ending that no program goes by is left out of the path."""
    with stored(counting, b"x", filename).as_path() as path:
        assert path.name.isascii()
        assert len(path.name) < 40


def names_in(folder: Path) -> list[str]:
    """Return the names of a folder's files."""
    return [file.name for file in folder.iterdir()]


async def test_cancelled_copy(counting: CountingBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that is cancelled half-way leaves nothing."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = await asyncio.to_thread(stored, counting)
    half = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"
        half.set()
        await asyncio.Event().wait()

    async def open_slowly(path: str, *, start: int = 0, end: int | None = None) -> ObjectStream:
        return ObjectStream(await counting.head(path), 0, len(CONTENT), chunks())

    monkeypatch.setattr(counting, "open", open_slowly)
    task = asyncio.ensure_future(file.as_path().__aenter__())
    await half.wait()
    assert len(names_in(tmp_path)) == 1
    task.cancel()
    await asyncio.wait({task})

    assert names_in(tmp_path) == []
