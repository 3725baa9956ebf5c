"""A stream on its way in: its beginning can be seen before the rest is read, its digests are known in the end."""

from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from fastapi_filestore.intake.digest import NO_DIGESTS, DigestingStream


class IncomingBytes:
    """Chunks that pass once; it fails at the end unless their digests are those that are `expected`."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], *, expected: Mapping[str, bytes] = NO_DIGESTS) -> None:
        self._chunks = chunks
        self._seen: deque[bytes] = deque()
        self._stream = DigestingStream(self._all(), expected=expected)

    @property
    def hexdigest(self) -> str:
        """The SHA-256 of what has passed, in hexadecimal digits."""
        return self._stream.hexdigest

    async def peek(self, size: int) -> bytes:
        """Return the first bytes, as many as there are up to `size`; they still pass."""
        missing = size - sum(map(len, self._seen))
        while missing > 0 and (chunk := await anext(self._chunks, None)) is not None:
            self._seen.append(chunk)
            missing -= len(chunk)
        return b"".join(self._seen)[:size]

    async def _all(self) -> AsyncGenerator[bytes, None]:
        async with aclosing(self):
            while self._seen:
                yield self._seen.popleft()
            async for chunk in self._chunks:
                yield chunk

    def __aiter__(self) -> AsyncGenerator[bytes, None]:  # noqa: PYI058 - whoever iterates it closes it
        return self._stream.__aiter__()

    async def aclose(self) -> None:
        """Let go of the source, however far it was read: a file must not stay open."""
        await self._chunks.aclose()
