"""Digests of a stream while it passes by: SHA-256 always, and whatever else a client vouched for."""

import asyncio
import hashlib
import hmac
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from types import MappingProxyType

from fastapi_filestore.errors import ContentConsumedError, DigestMismatchError
from fastapi_filestore.storage.threads import THREADS

THREAD_FROM = 64 * 1024
"""Bytes from which hashing in a thread (which releases the GIL) beats the hop to it."""

MAX_BEHIND = 2 * 1024 * 1024
"""Bytes that may wait for the thread while more come in."""

NO_DIGESTS: Mapping[str, bytes] = MappingProxyType({})


class DigestingStream:
    """A stream of chunks that hashes what passes, once; `hexdigest` is that of all bytes when it has ended.

    Its beginning can be seen before it passes. It ends with a `DigestMismatchError` if the bytes are not those that
    `expected`, digests by hashlib's name, is of.
    """

    def __init__(self, chunks: AsyncGenerator[bytes, None], *, expected: Mapping[str, bytes] = NO_DIGESTS) -> None:
        self._chunks = chunks
        self._expected = expected
        self._seen: deque[bytes] = deque()
        self._is_begun = self._is_broken = False
        self._running: asyncio.Future[None] | None = None
        self._waiting: list[bytes] = []
        self._behind = 0
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in {"sha256", *expected}}

    @property
    def hexdigest(self) -> str:
        """The SHA-256 of what has passed, in lower-case hexadecimal digits."""
        return self._hashes["sha256"].hexdigest()

    async def peek(self, size: int) -> bytes:
        """Return the first bytes, as many as there are up to `size`; they still pass.

        Raises:
            ContentConsumedError: They have passed, or will never come.
        """
        if self._is_begun:
            raise ContentConsumedError("The first bytes have passed already: look at them before they are read.")
        missing = size - sum(map(len, self._seen))
        while missing > 0 and (chunk := await self._pull()) is not None:
            self._seen.append(chunk)
            missing -= len(chunk)
        return b"".join(self._seen)[:size]

    async def aclose(self) -> None:
        """Let go of the source, however far it was read: a file must not stay open."""
        self._is_begun = True
        await self._chunks.aclose()

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        self._is_begun = True
        try:
            async with aclosing(self):
                while (chunk := await self._next()) is not None:
                    while self._running is not None and self._behind >= MAX_BEHIND:
                        await asyncio.wait({self._running})
                    self._hash(chunk)
                    yield chunk
        finally:
            while self._running is not None:
                await asyncio.wait({self._running})
        self._compare()

    async def _next(self) -> bytes | None:
        return self._seen.popleft() if self._seen else await self._pull()

    async def _pull(self) -> bytes | None:
        # A source that failed, or was cancelled, looks to whoever asks again like one that has ended.
        if self._is_broken:
            raise ContentConsumedError(
                "The reading of this content was broken off, and its rest is lost: give new content."
            )
        self._is_broken = True
        chunk = await anext(self._chunks, None)
        self._is_broken = False
        return chunk

    def _hash(self, chunk: bytes) -> None:
        if self._running is None and len(chunk) < THREAD_FROM:
            self._update([chunk])
            return
        self._waiting.append(chunk)
        self._behind += len(chunk)
        if self._running is None:
            self._go_on()

    def _go_on(self, _: object = None) -> None:
        # All that came in while the last batch was hashed is the next one, so that a hop to the thread serves many.
        batch, self._waiting, self._behind, self._running = self._waiting, [], 0, None
        if batch:
            self._running = THREADS.submit(partial(self._update, batch))
            self._running.add_done_callback(self._go_on)

    def _update(self, batch: list[bytes]) -> None:
        for chunk in batch:
            for each in self._hashes.values():
                each.update(chunk)

    def _compare(self) -> None:
        for name, expected in self._expected.items():
            if not hmac.compare_digest(self._hashes[name].digest(), expected):
                raise DigestMismatchError(name)
