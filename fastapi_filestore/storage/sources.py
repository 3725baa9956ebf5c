"""Share open files and iterators between readers: one at a time, and never the rest of one for the whole."""

import asyncio
import inspect
import weakref
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, suppress
from types import AsyncGeneratorType
from typing import IO, cast

from fastapi_filestore.concurrency.forks import forkable_lock
from fastapi_filestore.concurrency.turns import Turn, one_at_a_time
from fastapi_filestore.errors import ContentConsumedError

_ITERATORS: tuple[type, ...] = (type(iter([])), type(iter(())))
"""Iterators that tell how far they are: when they are to be pickled."""

NOWHERE = -1
"""Before every position."""


class Source:
    """An open file or an iterator, as all who were given it know it: it may be the content of several files."""

    __slots__ = ("__weakref__", "_broken_after", "_left_at", "_passed", "saving")

    def __init__(self) -> None:
        self.saving: Turn | None = None
        self._passed = 0
        self._left_at: int | None = None
        self._broken_after: int | None = None

    async def read_again(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield chunks that start where the source starts, once nobody else reads it."""
        async with one_at_a_time(self), aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    async def read_on(self, content: object, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield chunks that start where the source stands, once nobody else reads it.

        Raises:
            ContentConsumedError: It stands where another reader left it: in the middle, or where nothing follows.
        """
        async with one_at_a_time(self), aclosing(chunks):
            is_begun = _is_begun(content)
            began = self._position(content)
            # Reading only goes forward: who stands further back was taken there on purpose.
            if self._broken_after is not None and began > self._broken_after:
                raise _consumed(content)
            self._passed += 1  # an iterator that was asked may have lost what it had
            self._broken_after = began
            is_empty = True
            try:
                async for chunk in chunks:
                    self._passed += len(chunk)
                    is_empty = False
                    yield chunk
            except asyncio.CancelledError:
                # The thread that reads may go on for a while, and move the file under the next reader.
                self._broken_after = NOWHERE
                raise
            if is_empty and is_begun:
                raise _consumed(content)
            self._broken_after = None
            if not is_empty:
                self._left_at = self._position(content)
            elif began == self._left_at:
                raise _consumed(content)

    def _position(self, content: object) -> int:
        try:
            return cast("IO[bytes]", content).tell()
        except (AttributeError, OSError, ValueError):
            return self._passed


_sources = weakref.WeakValueDictionary[int, Source]()
_guard = forkable_lock()
"""Held for a look-up only."""


def source_of(content: object) -> Source:
    """Return what is known of a source; those who read it later, or at once, are given the same."""
    new = Source()
    with _guard:
        source = _sources.setdefault(id(content), new)
        if source is new:
            # What takes no weak reference is known as long as somebody who is to read it holds it.
            with suppress(TypeError):
                # A source that waits for this call, which does nothing, lives as long as what it is about.
                weakref.finalize(content, id, source).atexit = False
        return source


def _is_begun(content: object) -> bool:
    """Tell whether somebody has read from a source, or written to it, so that it is not at its start any more."""
    if isinstance(content, Generator):
        return inspect.getgeneratorstate(content) != inspect.GEN_CREATED
    if isinstance(content, AsyncGeneratorType):
        return content.ag_frame is None or getattr(content, "ag_suspended", False)
    if isinstance(content, _ITERATORS):
        return cast("tuple[object, ...]", content.__reduce__())[2:] != (0,)
    try:
        return cast("IO[bytes]", content).tell() > 0
    except (AttributeError, OSError, ValueError):
        return False


def _consumed(content: object) -> ContentConsumedError:
    return ContentConsumedError(
        f"This {type(content).__name__} was read or written before and stands where that left it: give new content, or "
        "rewind an open file with seek(0) before a FileObject reads it "
        "(bytes and paths can be read any number of times)."
    )
