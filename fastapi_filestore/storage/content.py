"""Read content in any form as one stream of chunks that never blocks the event loop."""

import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from functools import partial
from inspect import iscoroutinefunction
from io import TextIOBase
from itertools import islice
from pathlib import Path
from typing import IO, Protocol, TypeAlias, TypeGuard, TypeVar, cast

from fastapi_filestore.concurrency.loops import HomeLoop
from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.concurrency.threads import READING_THREADS, THREADS
from fastapi_filestore.errors import ContentConsumedError, UnsupportedContentError
from fastapi_filestore.storage.sources import Source, source_of

READ_SIZE = 1024 * 1024
"""Bytes read from a file at once: big enough that the hop to a thread costs nothing, small beside a part."""

WORTHWHILE = 64 * 1024
"""Bytes from which a chunk is passed on as it is: to copy it costs more than what is done for each."""

MAX_PIECES = 1024
"""Pieces joined at once: whoever sends single bytes must not cost an object for each of a million."""


PAGE = 1000
"""Items that are looked for at once."""
T = TypeVar("T")


class BinaryFile(Protocol):
    """Anything with a blocking `read(size)` that returns bytes: an open file, a spool, a BytesIO."""

    def read(self, size: int = ..., /) -> bytes:
        """Return the next bytes, none at the end."""
        ...


class AsyncBinaryFile(Protocol):
    """Anything with an awaitable `read(size)` and `seek(offset)`, as FastAPI's UploadFile."""

    def read(self, size: int = ..., /) -> Awaitable[bytes]:
        """Return the next bytes, none at the end."""
        ...

    def seek(self, offset: int, /) -> Awaitable[object]:
        """Go to a place in the bytes."""
        ...


Buffer: TypeAlias = bytes | bytearray | memoryview
Content: TypeAlias = (
    Buffer | os.PathLike[str] | IO[bytes] | BinaryFile | AsyncBinaryFile | Iterable[bytes] | AsyncIterable[bytes]
)
"""Bytes, a path (never a str: a client's text must not name a file), a file, an iterable or an async iterable."""


class ContentReader:
    """Content as chunks of bytes; it is content itself.

    `source` is the content as it was given. `size` is known in advance for bytes and paths. `replayable` content can be
    read again from its start. `shared` is what others may read from as well.
    """

    __slots__ = ("_home", "_shared", "_taken", "replayable", "size", "source")

    def __init__(
        self,
        content: Content,
        *,
        size: int | None = None,
        replayable: bool = False,
        shared: Source | None = None,
    ) -> None:
        self.source, self._shared = content, shared
        # A response of a client, or a queue, may come only on the loop of those who gave it; an UploadFile reads its
        # file in threads, on any loop.
        is_upload_file = hasattr(content, "file")
        needs_loop = not is_upload_file if _is_async_file(content) else isinstance(content, AsyncIterable)
        self._home = HomeLoop() if needs_loop else None
        self._taken = False
        self.size = size
        self.replayable = replayable

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """Read the content from its start: an open file from where it stands, an UploadFile rewound.

        Raises:
            ContentConsumedError: It was read already and can't be read again, by this reader or, as the first chunk
                is asked for, by another one of the same file or iterator.
            BlockingCallError: It may need the event loop that a blocking call has stopped, which waits for this.
        """
        name = f"This {type(self.source).__name__}"
        if self._home is not None:
            self._home.refuse_stopped(name)
        if self._taken and not self.replayable:
            raise ContentConsumedError(
                "This content was read already and can't be read again: give new content "
                "(bytes and paths can be read any number of times)."
            )
        self._taken = True
        chunks = _check_chunks(self.source)
        if self._home is not None:
            chunks = self._home.each(chunks, name)
        if self._shared is None:
            return chunks
        return self._shared.read_again(chunks) if self.replayable else self._shared.read_on(self.source, chunks)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.chunks()


@dataclass(slots=True, eq=False, repr=False)
class BodyReader(ContentReader):
    """Content whose chunks are known to be bytes, to be read once; `failure` is what it failed with, if it did.

    One that `is_piece` of a file, as its client cut it, is stored by one request if memory has room for that.
    """

    source: AsyncGenerator[bytes, None]
    size: int | None
    replayable: bool = False
    failure: Exception | None = None
    is_piece: bool = False
    _taken: bool = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Read the content, and note what it fails with.

        Raises:
            ContentConsumedError: It was read already.
        """
        if self._taken:
            raise ContentConsumedError("This content was read already and can be read only once.")
        self._taken = True
        try:
            async with aclosing(self.source) as chunks:
                async for chunk in chunks:
                    yield chunk
        except Exception as error:
            self.failure = error
            raise


def read_content(content: object) -> ContentReader:
    """Say how content is to be read.

    Raises:
        UnsupportedContentError: It is text, or nothing that yields bytes.
        FileNotFoundError: It is a path, and no file is there.
    """
    if isinstance(content, ContentReader):
        return content
    if isinstance(content, bytes | bytearray | memoryview):
        return ContentReader(content, size=memoryview(content).nbytes, replayable=True)
    if isinstance(content, os.PathLike):
        return ContentReader(content, size=Path(content).stat().st_size, replayable=True)
    if isinstance(content, str):
        raise UnsupportedContentError(
            "Content can't be a str: pass text.encode() to store the text, or pathlib.Path(...) to store a file."
        )
    if isinstance(content, TextIOBase):
        raise UnsupportedContentError("Content can't be a file in text mode, which yields no bytes: open(path, 'rb').")
    is_file = hasattr(content, "read")
    if isinstance(content, dict | set | frozenset) or not (is_file or isinstance(content, AsyncIterable | Iterable)):
        raise UnsupportedContentError(
            f"Content can't be a {type(content).__name__}: pass bytes, a pathlib.Path, an open binary file, "
            "an UploadFile, or an iterator of bytes."
        )
    # To read these moves them on, for everybody; other iterables begin anew for each reader.
    is_async_file = _is_async_file(content)
    moves = is_async_file or isinstance(content, AsyncIterator | Iterator)
    moves = moves or (is_file and not isinstance(content, AsyncIterable))
    replayable = is_async_file or isinstance(content, list | tuple)
    return ContentReader(cast("Content", content), replayable=replayable, shared=source_of(content) if moves else None)


def _is_async_file(content: object) -> TypeGuard[AsyncBinaryFile]:
    return hasattr(content, "seek") and iscoroutinefunction(getattr(content, "read", None))


def _open(content: Content) -> AsyncIterator[bytes]:
    if isinstance(content, bytes | bytearray | memoryview):
        return _read_buffer(memoryview(content))
    if isinstance(content, os.PathLike):
        return _read_file(content)
    if _is_async_file(content):
        return _read_async_file(content)
    if isinstance(content, AsyncIterable):
        return aiter(content)
    if isinstance(content, Iterable) and not hasattr(content, "read"):
        return _read_iterator(iter(content))
    return _read_file(cast("BinaryFile", content))


async def _check_chunks(content: Content) -> AsyncGenerator[bytes, None]:
    chunks = _open(content)
    try:
        async for chunk in chunks:
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise UnsupportedContentError(
                    f"Content yielded a {type(chunk).__name__} where bytes were expected: open files in binary mode."
                )
            if chunk:
                yield bytes(chunk)
    except ValueError as error:
        files = (content, getattr(content, "file", None))  # an UploadFile keeps its file in there
        if any(getattr(file, "closed", None) is True for file in files):
            raise ContentConsumedError(
                f"This {type(content).__name__} is closed, so it can't be read any more: store it before it is closed "
                "(FastAPI closes the files of a form when its request has ended)."
            ) from error
        raise
    finally:
        # An upload that fails half-way must not keep a file open until the garbage collector comes.
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


async def _read_buffer(content: memoryview) -> AsyncIterator[bytes]:
    view = content.cast("B") if content.c_contiguous else memoryview(content.tobytes())
    for start in range(0, len(view), READ_SIZE):
        yield bytes(view[start : start + READ_SIZE])


async def _read_file(file: BinaryFile | os.PathLike[str]) -> AsyncIterator[bytes]:
    with ExitStack() as own:
        if isinstance(file, os.PathLike):
            file = cast("BinaryFile", await READING_THREADS.run(partial(Path(file).open, "rb", buffering=0)))
            own.callback(cast("IO[bytes]", file).close)
        while (chunk := await READING_THREADS.run(file.read, READ_SIZE)) != b"":
            yield chunk


async def _read_async_file(content: AsyncBinaryFile) -> AsyncIterator[bytes]:
    # A route that looked at an upload before it stored it must not store the rest only.
    reads_plainly = type(content).read.__module__.partition(".")[0] in {"fastapi", "starlette"}
    file: IO[bytes] | None = getattr(content, "file", None) if reads_plainly else None
    if file is None or not getattr(file, "_rolled", True):
        await content.seek(0)
        while (chunk := await content.read(READ_SIZE)) != b"":
            yield chunk
        return
    # An UploadFile would read its file on the disk in threads of the event loop. They may be those of `def` endpoints,
    # all of which wait for what is read here. A thread that goes on when its reader is cancelled would move the file
    # under the next one.
    await finish(READING_THREADS.run(file.seek, 0))
    while (chunk := await finish(READING_THREADS.run(file.read, READ_SIZE))) != b"":
        yield chunk


_END = object()


async def _read_iterator(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (chunk := await READING_THREADS.run(next, chunks, _END)) is not _END:
        yield cast("bytes", chunk)


async def iterate_in_threads(items: Iterable[T]) -> AsyncIterator[T]:
    """Iterate what is found by calls that block."""
    source = iter(items)
    while batch := await THREADS.run(lambda: list(islice(source, PAGE))):
        for item in batch:
            yield item


async def gather_chunks(chunks: AsyncIterator[bytes], size: int) -> AsyncGenerator[list[bytes], None]:
    """Gather chunks until they have so many bytes together, so that what is done for each does not dominate."""
    batch: list[bytes] = []
    gathered_size = 0
    try:
        async for chunk in chunks:
            batch.append(chunk)
            gathered_size += len(chunk)
            if gathered_size >= size or len(batch) >= MAX_PIECES:
                yield batch
                batch, gathered_size = [], 0
        if batch:
            yield batch
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()


async def join_chunks(chunks: AsyncIterator[bytes], size: int) -> AsyncGenerator[bytes, None]:
    """Join chunks that are shorter, where each has a price of its own."""
    async with aclosing(gather_chunks(chunks, size)) as batches:
        async for batch in batches:
            # Whoever waits here for memory, or for the store, must not be waited for with every byte held twice.
            batch[:] = [b"".join(batch)]
            yield batch.pop()
