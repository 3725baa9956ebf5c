"""Content in any form, as one stream of chunks."""

import array
import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import UploadFile

from fastapi_filestore import ContentConsumedError, UnsupportedContentError
from fastapi_filestore.storage.content import READ_SIZE, ContentReader, read_content

BODY = bytes(range(256)) * 4


async def _async_chunks() -> AsyncIterator[bytes]:
    yield BODY[:100]
    yield b""
    yield BODY[100:]


def _chunks() -> Iterator[bytes]:
    yield BODY[:100]
    yield b""
    yield BODY[100:]


class AsyncStream:
    """A stream that is read and iterated, and can't be rewound."""

    async def read(self, size: int = -1) -> bytes:
        """Return everything."""
        return BODY

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _async_chunks()


ONCE: dict[str, Callable[[], Any]] = {
    "file": lambda: io.BytesIO(BODY),
    "buffered file": lambda: io.BufferedReader(io.BytesIO(BODY)),
    "iterator": _chunks,
    "async iterator": _async_chunks,
    "async stream": AsyncStream,
}
AGAIN: dict[str, Callable[[], Any]] = {
    "bytes": lambda: BODY,
    "bytearray": lambda: bytearray(BODY),
    "memoryview": lambda: memoryview(BODY),
    "list": lambda: [BODY[:100], BODY[100:]],
    "tuple": lambda: (BODY,),
    "UploadFile": lambda: UploadFile(io.BytesIO(BODY)),
}


async def _all(reader: ContentReader) -> bytes:
    return b"".join([chunk async for chunk in reader])


@pytest.mark.parametrize("form", ONCE | AGAIN)
async def test_every_form(form: str) -> None:
    """Every form yields its bytes, and no empty chunk."""
    chunks = [chunk async for chunk in read_content((ONCE | AGAIN)[form]()).chunks()]

    assert b"".join(chunks) == BODY
    assert all(type(chunk) is bytes and chunk for chunk in chunks)


@pytest.mark.parametrize("form", AGAIN)
async def test_replayable(form: str) -> None:
    """What can be read again is, any number of times."""
    reader = read_content(AGAIN[form]())

    assert reader.replayable
    assert [await _all(reader) for _ in range(3)] == [BODY] * 3


@pytest.mark.parametrize("form", ONCE)
async def test_consumed(form: str) -> None:
    """What can be read only once says so the second time, rather than yield nothing."""
    reader = read_content(ONCE[form]())
    await _all(reader)

    assert not reader.replayable
    with pytest.raises(ContentConsumedError, match="new content"):
        reader.chunks()


async def test_a_path(tmp_path: Path) -> None:
    """A path is read in chunks, any number of times, and its size is known."""
    path = tmp_path / "content"
    path.write_bytes(bytes(READ_SIZE + 1))
    reader = read_content(path)

    assert reader.size == READ_SIZE + 1
    assert [len(chunk) async for chunk in reader] == [READ_SIZE, 1]
    assert await _all(reader) == path.read_bytes()


def test_a_missing_path(tmp_path: Path) -> None:
    """A path where no file is fails at once."""
    with pytest.raises(FileNotFoundError):
        read_content(tmp_path / "nothing")


@pytest.mark.parametrize(
    "view", [memoryview(array.array("i", [1, 2, 3])), memoryview(BODY)[::2], memoryview(bytes(6)).cast("B", (2, 3))]
)
async def test_views_of_any_layout(view: memoryview) -> None:
    """A view of numbers, of every second byte or of a matrix yields its bytes."""
    reader = read_content(view)

    assert await _all(reader) == view.tobytes()
    assert reader.size == view.nbytes


def test_sizes() -> None:
    """The size of bytes is known in advance, that of a stream is not."""
    assert read_content(BODY).size == len(BODY)
    assert read_content(io.BytesIO(BODY)).size is None


def test_a_reader_is_content() -> None:
    """What was read into a reader already is taken as it is."""
    reader = read_content(BODY)

    assert read_content(reader) is reader


async def test_an_open_file_is_read_from_where_it_stands() -> None:
    """An open file that was read before yields the rest, unlike an UploadFile, which is rewound."""
    file, upload = io.BytesIO(BODY), UploadFile(io.BytesIO(BODY))
    file.read(1000)
    await upload.read(1000)

    assert await _all(read_content(file)) == BODY[1000:]
    assert await _all(read_content(upload)) == BODY


@pytest.mark.parametrize("content", ["text", {"a": 1}, {b"a"}, None, 5, object(), io.StringIO("text")])
def test_refused(content: object) -> None:
    """What has no bytes, or a text that could be taken for a path, is refused, and the message says what to give."""
    with pytest.raises(UnsupportedContentError, match=r"pass .*Path|open\(") as caught:
        read_content(content)

    assert isinstance(caught.value, TypeError)


def test_a_text_file_is_refused(tmp_path: Path) -> None:
    """A file in text mode is refused before it is read."""
    path = tmp_path / "content"
    path.touch()
    with path.open() as file, pytest.raises(UnsupportedContentError, match="'rb'"):
        read_content(file)


@pytest.mark.parametrize("chunks", [["text"], [b"a", None, b"b"], [b"a", 5], [b"a", ""]])
async def test_chunks_that_are_no_bytes(chunks: list[Any]) -> None:
    """A chunk that is no bytes is an error, never the end of the content."""
    with pytest.raises(UnsupportedContentError):
        await _all(read_content(iter(chunks)))


class TextWrapper:
    """A wrapper around a file in text mode, as tempfile's, that does not show its mode."""

    def read(self, size: int = -1) -> str:
        """Return nothing, as text."""
        return ""


async def test_an_empty_text_wrapper() -> None:
    """Even the end of a text is told from the end of bytes."""
    with pytest.raises(UnsupportedContentError, match="binary mode"):
        await _all(read_content(TextWrapper()))


async def test_a_blocking_read_does_not_block_the_loop() -> None:
    """While a slow file is read, the loop goes on."""

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            time.sleep(0.1)
            return super().read(size)

    started, ticks = time.monotonic(), 0
    task = asyncio.create_task(_all(read_content(Slow(BODY))))
    while not task.done():
        await asyncio.sleep(0.01)
        ticks += 1

    assert await task == BODY
    assert time.monotonic() - started >= 0.2
    assert ticks >= 5


async def test_a_path_is_closed_when_the_reader_stops(tmp_path: Path) -> None:
    """Reading that stops half-way closes the file."""
    path = tmp_path / "content"
    path.write_bytes(bytes(3 * READ_SIZE))
    chunks = read_content(path).chunks()
    await anext(chunks)
    before = _open_files(path)
    await chunks.aclose()

    assert (before, _open_files(path)) == (1, 0)


def _open_files(path: Path) -> int:
    return sum(link.resolve() == path for link in Path("/proc/self/fd").iterdir())
