"""SHA-256 of a stream while it passes by."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from hashlib import sha256

THREAD_FROM = 64 * 1024
"""Bytes from which hashing in a thread (which releases the GIL) beats the hop to it."""


class DigestingStream:
    """A stream of chunks that hashes what passes; `hexdigest` is that of all bytes once it has ended."""

    def __init__(self, chunks: AsyncGenerator[bytes, None]) -> None:
        self._chunks = chunks
        self._hash = sha256()

    @property
    def hexdigest(self) -> str:
        """The SHA-256 of what has passed, in lower-case hexadecimal digits."""
        return self._hash.hexdigest()

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        hashed: asyncio.Future[None] | None = None
        async with aclosing(self._chunks) as chunks:
            async for chunk in chunks:
                if hashed is not None:
                    await hashed
                hashed = self._update(chunk)
                yield chunk
        if hashed is not None:
            await hashed

    def _update(self, chunk: bytes) -> asyncio.Future[None] | None:
        # A big chunk is hashed while the consumer is busy storing it.
        if len(chunk) >= THREAD_FROM:
            return asyncio.get_running_loop().run_in_executor(None, self._hash.update, chunk)
        self._hash.update(chunk)
        return None
