"""One source of content that is given to several files: all of it for each, or an error."""

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import pytest
from starlette.datastructures import UploadFile

from fastapi_filestore import ContentConsumedError, FileObject, ObstoreBackend, StorageRegistry
from fastapi_filestore.storage.content import READ_SIZE, read_content
from fastapi_filestore.testing import FaultyBackend
from tests.file_object.conftest import keys

BODY = os.urandom(3 * READ_SIZE + 1)


def pending(registry: StorageRegistry, content: Any) -> FileObject:
    """A file whose bytes are still to be stored."""
    return FileObject("memory", "a.bin", content=content, registry=registry)


def _on_disk(folder: Path) -> Any:
    path = folder / "content"
    path.write_bytes(BODY)
    return path.open("rb")


async def _async_chunks() -> AsyncIterator[bytes]:
    yield BODY[:100]
    yield BODY[100:]


def _chunks() -> Iterator[bytes]:
    yield BODY[:100]
    yield BODY[100:]


class Unseekable:
    """A stream that can only be read, such as a socket's."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO(BODY)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        return self._bytes.read(size)


FILES: dict[str, Callable[[Path], Any]] = {"file": _on_disk, "BytesIO": lambda folder: io.BytesIO(BODY)}
ONCE: dict[str, Callable[[Path], Any]] = FILES | {
    "unseekable": lambda folder: Unseekable(),
    "generator": lambda folder: _chunks(),
    "iterator": lambda folder: iter([BODY]),
    "async generator": lambda folder: _async_chunks(),
}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Make content of a form, and close it in the end if it is open."""
    with ExitStack() as opened:

        def made(form: str) -> Any:
            content = ONCE[form](tmp_path)
            return opened.enter_context(content) if form in FILES else content

        yield made


@pytest.fixture
def upload() -> Iterator[UploadFile]:
    """A client's file that is on disk already, as long ones are."""
    with SpooledTemporaryFile(max_size=1) as spool:
        spool.write(BODY)
        yield UploadFile(spool, filename="a.bin", size=len(BODY))  # type: ignore[arg-type]


async def test_an_upload_for_many_files(registry: StorageRegistry, upload: UploadFile) -> None:
    """An UploadFile that is stored as twelve files at once is stored whole as each of them."""
    files = await asyncio.gather(*(pending(registry, upload).save_async() for _ in range(12)))

    assert [await file.get_content_async() == BODY for file in files] == [True] * 12


def test_an_upload_for_many_threads(registry: StorageRegistry, upload: UploadFile) -> None:
    """Readers take turns across event loops, too."""

    def save(_: int) -> bytes:
        return asyncio.run(pending(registry, upload).save_async()).get_content()

    with ThreadPoolExecutor(4) as pool:
        assert [stored == BODY for stored in pool.map(save, range(8))] == [True] * 8


async def test_a_reader_that_is_cancelled(registry: StorageRegistry, upload: UploadFile) -> None:
    """Whoever is cancelled, waiting or reading, does not keep the others from their turns."""
    saves = [asyncio.create_task(pending(registry, upload).save_async()) for _ in range(6)]
    await asyncio.sleep(0.001)
    for save in saves[::2]:
        save.cancel()
    files = [await save for save in saves[1::2]]

    assert [await file.get_content_async() == BODY for file in files] == [True] * 3


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("form", ONCE)
async def test_what_is_read_once(
    registry: StorageRegistry, memory: ObstoreBackend, make: Callable[[str], Any], form: str, at_once: bool
) -> None:
    """Of two files made of a source that can be read only once, one is stored whole and the other is refused."""
    content = make(form)
    first, second = pending(registry, content), pending(registry, content)
    if not at_once:
        await first.save_async()
    results = await asyncio.gather(first.save_async(), second.save_async(), return_exceptions=True)

    assert {type(result) for result in results} == {FileObject, ContentConsumedError}
    assert await first.get_content_async() == BODY
    assert await keys(memory) == {first.path}


@pytest.mark.parametrize("form", FILES)
async def test_a_file_that_nobody_rewound(registry: StorageRegistry, make: Callable[[str], Any], form: str) -> None:
    """A new FileObject of a handle that an earlier one has read is refused, and told how to go on."""
    content = make(form)
    await pending(registry, content).save_async()
    with pytest.raises(ContentConsumedError, match=r"seek\(0\)"):
        await pending(registry, content).save_async()


@pytest.mark.parametrize("form", FILES)
async def test_a_file_that_was_rewound(registry: StorageRegistry, make: Callable[[str], Any], form: str) -> None:
    """A handle can be stored again and again from wherever its owner takes it."""
    content = make(form)
    for start in (0, 0, 7, 7, len(BODY) - 1):
        content.seek(start)
        file = await pending(registry, content).save_async()

        assert await file.get_content_async() == BODY[start:]


async def test_a_file_that_is_rewound_between(registry: StorageRegistry) -> None:
    """What counts is where a handle stands when its turn comes, not when the FileObject was made."""
    content = io.BytesIO()
    first, second = pending(registry, content), pending(registry, content)
    content.write(BODY)
    for file in (first, second):
        content.seek(0)
        await file.save_async()

    assert await second.get_content_async() == await first.get_content_async() == BODY


async def test_a_file_that_grows(registry: StorageRegistry) -> None:
    """What was written to a handle since it was read is stored, from where it stands."""
    content = io.BytesIO(b"one")
    await pending(registry, content).save_async()
    content.write(b"two")
    content.seek(3)
    file = await pending(registry, content).save_async()

    assert await file.get_content_async() == b"two"


async def test_an_empty_file(registry: StorageRegistry) -> None:
    """A file of no bytes is stored as often as it is given."""
    content = io.BytesIO()
    files = [await pending(registry, content).save_async() for _ in range(2)]

    assert [file.size for file in files] == [0, 0]


class Lines:
    """An iterable that begins anew for each who iterates it."""

    def __iter__(self) -> Iterator[bytes]:
        return _chunks()


async def test_an_iterable_that_begins_anew(registry: StorageRegistry) -> None:
    """An iterable that is no iterator can be shared freely."""
    content = Lines()
    files = await asyncio.gather(*(pending(registry, content).save_async() for _ in range(3)))

    assert [await file.get_content_async() == BODY for file in files] == [True] * 3


@pytest.mark.parametrize("form", ONCE)
async def test_a_reading_that_broke_off(memory: ObstoreBackend, make: Callable[[str], Any], form: str) -> None:
    """The rest that a failed upload left of a source is never stored as if it were the whole."""
    content = make(form)
    first, second = read_content(content), read_content(content)
    chunks = first.chunks()
    await anext(chunks)
    await chunks.aclose()
    with pytest.raises(ContentConsumedError):
        await memory.put("a", second)

    assert await keys(memory) == set()


@pytest.mark.parametrize("form", FILES)
async def test_rewound_after_a_failure(memory: ObstoreBackend, make: Callable[[str], Any], form: str) -> None:
    """A handle whose upload failed is rewound and stored by a new FileObject."""
    registry = StorageRegistry()
    registry.register_backend(FaultyBackend(memory, lambda call, operation: call == 1, after=True))
    content = make(form)
    with pytest.raises(ConnectionError):
        await pending(registry, content).save_async()
    content.seek(0)
    file = await pending(registry, content).save_async()

    assert await file.get_content_async() == BODY


async def test_a_read_that_is_cut_off(memory: ObstoreBackend) -> None:
    """A file that may still be read by a thread whose upload was cancelled is not read by the next."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb", buffering=0) as content, os.fdopen(write_end, "wb", buffering=0) as writer:
        putting = asyncio.create_task(memory.put("a", content))
        await asyncio.sleep(0.05)
        putting.cancel()
        await asyncio.wait({putting})
        with pytest.raises(ContentConsumedError):
            await memory.put("a", content)
        writer.write(b"x")


async def test_a_source_that_is_gone_is_forgotten(memory: ObstoreBackend) -> None:
    """What broke off is no reason to refuse a new source that takes its place in memory."""
    for _ in range(50):
        chunks = read_content(_chunks()).chunks()
        await anext(chunks)
        await chunks.aclose()
        del chunks
        await memory.put("a", _chunks())

    assert await (await memory.open("a")).read() == BODY


def _read(content: Any) -> Any:
    content.read()
    return content


def _exhausted(content: Any) -> Any:
    assert list(content)
    return content


def _asked_for_all(content: Any) -> Any:
    for _ in range(2):
        next(content)
    return content


async def _exhausted_async(content: Any) -> Any:
    assert [chunk async for chunk in content]
    return content


def _written() -> io.BytesIO:
    content = io.BytesIO()
    content.write(BODY)
    return content


DRAINED: dict[str, Callable[[], Any]] = {
    "file": lambda: _read(io.BytesIO(BODY)),
    "file that was written": _written,
    "generator": lambda: _exhausted(_chunks()),
    "generator at its last chunk": lambda: _asked_for_all(_chunks()),
    "list's iterator": lambda: _exhausted(iter([BODY])),
    "list's iterator at its last item": lambda: _asked_for_all(iter([BODY, BODY])),
    "tuple's iterator": lambda: _exhausted(iter((BODY,))),
}


@pytest.mark.parametrize("form", DRAINED)
async def test_what_somebody_else_has_drained(registry: StorageRegistry, memory: ObstoreBackend, form: str) -> None:
    """A source that was read, or written, to its end before it was given is no empty file."""
    with pytest.raises(ContentConsumedError, match="new content"):
        await pending(registry, DRAINED[form]()).save_async()

    assert await keys(memory) == set()


async def test_an_async_generator_that_somebody_else_has_drained(registry: StorageRegistry) -> None:
    """The same holds for an async generator."""
    with pytest.raises(ContentConsumedError, match="new content"):
        await pending(registry, await _exhausted_async(_async_chunks())).save_async()


@pytest.mark.parametrize("make_empty", [lambda: iter([]), lambda: iter(()), lambda: (b"" for _ in ()), io.BytesIO])
async def test_a_source_that_is_empty(registry: StorageRegistry, make_empty: Callable[[], Any]) -> None:
    """A source of no bytes that nobody has touched is an empty file."""
    file = await pending(registry, make_empty()).save_async()

    assert file.size == 0


@pytest.mark.parametrize("form", ["file", "BytesIO"])
async def test_a_file_that_is_closed(
    registry: StorageRegistry, memory: ObstoreBackend, make: Callable[[str], Any], form: str
) -> None:
    """A file that was closed is refused in words."""
    content = make(form)
    file = pending(registry, content)
    content.close()
    with pytest.raises(ContentConsumedError, match="is closed"):
        await file.save_async()

    assert await keys(memory) == set()


async def test_an_upload_that_is_closed(registry: StorageRegistry, memory: ObstoreBackend, upload: UploadFile) -> None:
    """An UploadFile whose request has ended is refused in words."""
    await upload.close()
    with pytest.raises(ContentConsumedError, match="is closed"):
        await pending(registry, upload).save_async()

    assert await keys(memory) == set()
