"""Digests of a stream while it passes by: SHA-256 always, and whatever else a client vouched for."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from types import MappingProxyType

from fastapi_filestore.errors import DigestMismatchError

THREAD_FROM = 64 * 1024
"""Bytes from which hashing in a thread (which releases the GIL) beats the hop to it."""

NO_DIGESTS: Mapping[str, bytes] = MappingProxyType({})


class DigestingStream:
    """A stream of chunks that hashes what passes; `hexdigest` is that of all bytes once it has ended.

    It ends with a `DigestMismatchError` if the bytes are not those that `expected`, digests by hashlib's name, is of.
    """

    def __init__(self, chunks: AsyncGenerator[bytes, None], *, expected: Mapping[str, bytes] = NO_DIGESTS) -> None:
        self._chunks = chunks
        self._expected = expected
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in {"sha256", *expected}}

    @property
    def hexdigest(self) -> str:
        """The SHA-256 of what has passed, in lower-case hexadecimal digits."""
        return self._hashes["sha256"].hexdigest()

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
        self._compare()

    def _update(self, chunk: bytes) -> asyncio.Future[None] | None:
        # A big chunk is hashed while the consumer is busy storing it.
        if len(chunk) >= THREAD_FROM:
            return asyncio.get_running_loop().run_in_executor(None, self._update_all, chunk)
        self._update_all(chunk)
        return None

    def _update_all(self, chunk: bytes) -> None:
        for each in self._hashes.values():
            each.update(chunk)

    def _compare(self) -> None:
        for name, expected in self._expected.items():
            if not hmac.compare_digest(self._hashes[name].digest(), expected):
                raise DigestMismatchError(name)
