"""Read a stored file as programs read files: seekable, buffered, by ranges."""

import io
import os
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import BinaryIO, Final, NoReturn

from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.concurrency.loops import running_loop
from fastapi_filestore.errors import BlockingCallError, StorageError
from fastapi_filestore.storage.backend import ObjectStream

BLOCK: Final = 1024 * 1024
"""Bytes asked of the store at once, at least: a small read brings those around it along."""
KEPT_BLOCKS: Final = 4
"""Blocks kept in memory, for readers that go back and forth as those of archives do."""


def refuse_in_loop(call: str) -> None:
    """Raise `BlockingCallError` in the thread of a running event loop, which the call would stop for each read."""
    if running_loop() is not None:
        raise BlockingCallError(
            f"{call} reads in the thread of a running event loop, which would stop meanwhile: do the work in "
            "`await asyncio.to_thread(...)` (or a `def` endpoint), take a path by `async with file.as_path()`, or "
            "stream by `await file.open_async()`."
        )


class OpenFile(io.BufferedIOBase, BinaryIO):
    """The bytes of a stored file, read as those of any open binary file: by `read`, `seek`, `readline`, iteration.

    It asks the store for aligned blocks of 1 MiB and keeps the last four; a longer `read` is one request for all that
    is not there yet. A seek asks for nothing. Any thread may use it but that of a running event loop.

    Attributes:
        size: Bytes.
    """

    def __init__(self, name: str, size: int, open_range: Callable[[int, int], Awaitable[ObjectStream]]) -> None:
        self._name, self.size = name, size
        self._open_range = open_range
        self._etag: str | None = None
        self._position = 0
        self._blocks = OrderedDict[int, bytes]()
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"<OpenFile {self.name!r}, {self.size:,} bytes{', closed' if self.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"The open file {self.name!r} can't be pickled: pass the FileObject, and open it there.")

    # -- what it can do ----------------------------------------------------------------------------

    def readable(self) -> bool:
        """Tell that it can be read."""
        self._refuse_closed()
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from anywhere."""
        self._refuse_closed()
        return True

    @property
    def name(self) -> str:
        """The filename."""
        return self._name

    @property
    def mode(self) -> str:
        """How it was opened, as files of Python say it."""
        return "rb"

    # -- moving ------------------------------------------------------------------------------------

    def tell(self) -> int:
        """Return where the next read begins."""
        self._refuse_closed()
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to `offset` from the start, from here or from the end; nothing is asked of the store.

        Raises:
            ValueError: That is before the start, or it is closed.
        """
        self._refuse_closed()
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}
        if whence not in bases:
            raise ValueError(f"A seek goes from 0 (the start), 1 (here) or 2 (the end), not from {whence!r}.")
        position = bases[whence] + offset
        if position < 0:
            raise ValueError(f"A seek to {position:,} is before the start of {self.name!r}.")
        self._position = position
        return position

    # -- reading -----------------------------------------------------------------------------------

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next `size` bytes, or all that are left; fewer only at the end.

        Raises:
            StorageError: The store could not be read, or holds another object there by now.
            BlockingCallError: An event loop runs in this thread.
        """
        with self._lock:
            self._refuse_closed()
            start = self._position
            left = max(self.size - start, 0)
            end = start + (left if size is None or size < 0 else min(size, left))
            data = self._bytes(start, end)
            self._position = end
            return data

    def read1(self, size: int = -1, /) -> bytes:
        """Return up to `size` of the next bytes, by one request at the most."""
        return self.read(BLOCK if size < 0 else min(size, BLOCK))

    def peek(self, size: int = 0, /) -> bytes:
        """Return bytes that come next, at least one but at the end, without moving on."""
        with self._lock:
            self._refuse_closed()
            start = self._position
            return self._bytes(start, max(start, min(start - start % BLOCK + BLOCK, self.size)))

    def close(self) -> None:
        """Let go of what was read; reading a closed file raises ValueError."""
        if not self.closed:
            self._blocks.clear()
        super().close()

    # -- blocks ------------------------------------------------------------------------------------

    def _refuse_closed(self) -> None:
        if self.closed:
            raise ValueError(f"I/O operation on closed file {self.name!r}.")

    def _bytes(self, start: int, end: int) -> bytes:
        """Return the bytes of a range, asking the store once for those that are not kept."""
        if start >= end:
            return b""
        refuse_in_loop(f"Reading the open file {self.name!r}")
        first, last = start // BLOCK, (end - 1) // BLOCK
        missing = [number for number in range(first, last + 1) if number not in self._blocks]
        if not missing:
            pieces = [self._blocks[number] for number in range(first, last + 1)]
        else:
            before = [self._blocks[number] for number in range(first, missing[0])]
            after = [self._blocks[number] for number in range(missing[-1] + 1, last + 1)]
            fetched = self._fetch(missing[0] * BLOCK, min((missing[-1] + 1) * BLOCK, self.size))
            for number in missing[-KEPT_BLOCKS:]:
                offset = (number - missing[0]) * BLOCK
                self._blocks[number] = fetched if len(fetched) <= BLOCK else fetched[offset : offset + BLOCK]
            pieces = [*before, fetched, *after]
        for number in range(max(first, last - KEPT_BLOCKS + 1), last + 1):
            self._blocks.move_to_end(number)
        while len(self._blocks) > KEPT_BLOCKS:
            self._blocks.popitem(last=False)
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        offset = start - first * BLOCK
        return data if (offset, end - start) == (0, len(data)) else data[offset : offset + end - start]

    def _fetch(self, start: int, end: int) -> bytes:
        """Ask the store for a range of the object, which must be the one that the first range was of."""

        async def fetch() -> bytes:
            stream = await self._open_range(start, end)
            self._etag = self._etag or stream.info.etag
            data = b"" if stream.info.etag not in (self._etag, None) else await stream.read()
            await stream.aclose()
            if len(data) != end - start:
                raise StorageError(
                    f"The object of {self.name!r} is not the one that was opened, of {self.size:,} bytes: "
                    f"{stream.info.path!a} was written anew. Stored bytes never change: find who writes there.",
                    path=stream.info.path,
                )
            return data

        return run_blocking(fetch())
