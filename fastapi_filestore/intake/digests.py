"""Digest a stream while it passes by: SHA-256 always, and those that a client sends along (RFC 9530)."""

import asyncio
import binascii
import hashlib
import hmac
import re
from base64 import b64decode
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from contextlib import aclosing
from functools import partial
from types import MappingProxyType
from typing import Protocol, Self

from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.errors import ContentConsumedError, DigestMismatchError, MalformedUploadError, StorageError
from fastapi_filestore.storage.backend import ObjectInfo, StorageBackend

THREAD_FROM = 64 * 1024
"""Bytes from which hashing in a thread (which releases the GIL) beats the hop to it."""

MAX_BEHIND = 2 * 1024 * 1024
"""Bytes that may wait for the thread while more come in."""

NO_DIGESTS: Mapping[str, bytes] = MappingProxyType({})


class RunningDigest(Protocol):
    """A digest of hashlib's, of all bytes that it was given so far."""

    def update(self, data: bytes, /) -> None:
        """Go on with more bytes."""
        ...

    def digest(self) -> bytes:
        """Return it as bytes."""
        ...

    def hexdigest(self) -> str:
        """Return it in hexadecimal digits."""
        ...

    def copy(self) -> Self:
        """Return another one of the same bytes."""
        ...


class DigestingStream:
    """A stream of chunks that hashes what passes, once; `hexdigest` is that of all bytes when it has ended.

    Its beginning can be seen before it passes. It ends with a `DigestMismatchError` if the bytes are not those that
    `expected`, digests by hashlib's name, is of. What it is a part of may have a SHA-256 `so_far`: that goes on.

    Attributes:
        longest: Bytes that it can't exceed, if that is known.
        sha256: The SHA-256 of what has passed, and of what was before it.
        passed: Bytes that have passed.
        size: Bytes, once the stream has ended.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        *,
        expected: Mapping[str, bytes] = NO_DIGESTS,
        so_far: RunningDigest | None = None,
        longest: int | None = None,
    ) -> None:
        self._chunks, self.longest = chunks, longest
        self._expected = expected
        self._peeked: deque[bytes] = deque()
        self._is_begun = self._is_broken = False
        self._running: asyncio.Future[None] | None = None
        self._waiting: list[bytes] = []
        self._behind = 0
        self.passed = 0
        self.size: int | None = None
        hashes: dict[str, RunningDigest] = {name: hashlib.new(name, usedforsecurity=False) for name in expected}
        self.sha256 = so_far or hashes.get("sha256") or hashlib.sha256(usedforsecurity=False)
        self._told, self._hashes = hashes, {*hashes.values(), self.sha256}

    @property
    def hexdigest(self) -> str:
        """The SHA-256 of what has passed, in lower-case hexadecimal digits."""
        return self.sha256.hexdigest()

    async def peek(self, size: int) -> bytes:
        """Return the first bytes, as many as there are up to `size`; they still pass.

        Raises:
            ContentConsumedError: They have passed, or will never come.
        """
        if self._is_begun:
            raise ContentConsumedError("The first bytes have passed already: look at them before they are read.")
        missing = size - sum(map(len, self._peeked))
        while missing > 0 and (chunk := await self._pull()) is not None:
            self._peeked.append(chunk)
            missing -= len(chunk)
        return b"".join(self._peeked)[:size]

    async def aclose(self) -> None:
        """Let go of the source, however far it was read: a file must not stay open."""
        self._is_begun = True
        await self._chunks.aclose()

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        self._is_begun = True
        try:
            async with aclosing(self):
                while (chunk := self._peeked.popleft() if self._peeked else await self._pull()) is not None:
                    while self._running is not None and self._behind >= MAX_BEHIND:
                        await asyncio.wait({self._running})
                    if self._running is None and len(chunk) < THREAD_FROM:
                        self._update([chunk])
                    else:
                        self._waiting.append(chunk)
                        self._behind += len(chunk)
                        if self._running is None:
                            self._go_on()
                    self.passed += len(chunk)
                    yield chunk
        finally:
            while self._running is not None:
                await asyncio.wait({self._running})
        for name, expected in self._expected.items():
            if not hmac.compare_digest(self._told[name].digest(), expected):
                raise DigestMismatchError(name)
        self.size = self.passed

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

    def _go_on(self, _: object = None) -> None:
        # All that came in while the last batch was hashed is the next one, so that a hop to the thread serves many.
        batch, self._waiting, self._behind, self._running = self._waiting, [], 0, None
        if batch:
            self._running = THREADS.submit(partial(self._update, batch))
            self._running.add_done_callback(self._go_on)

    def _update(self, batch: list[bytes]) -> None:
        for chunk in batch:
            for running in self._hashes:
                running.update(chunk)


async def sha256_of(chunks: AsyncIterable[bytes]) -> str:
    """Read chunks to their end, and return their SHA-256 in hexadecimal digits."""
    stream = DigestingStream(chunk async for chunk in chunks)
    async for _ in stream:
        pass
    return stream.hexdigest


class Counted(Protocol):
    """A stream that counts its bytes."""

    @property
    def passed(self) -> int:
        """Bytes that have passed."""
        ...

    size: int | None


def misstored(backend: StorageBackend, stream: Counted, info: ObjectInfo, *, filename: str) -> StorageError:
    """Return the error for a put that says that it stored another size than all that it was given."""
    return StorageError(
        f"The put of backend {backend.key!r} ({type(backend).__name__}) is at fault: of {filename!r} it read "
        f"{stream.passed} bytes{', not to the end' if stream.size is None else ''}, and said that it stored "
        f"{info.size!r}. Let it read and store all of the content, and return the size of that. Nothing was kept.",
        backend=backend.key,
        path=info.path,
    )


FIELDS = ("content-digest", "repr-digest")
"""A body that is stored as it comes is content and representation at once (RFC 9530, sections 2 and 3)."""

ALGORITHMS: Mapping[str, tuple[str, int]] = {"sha-256": ("sha256", 32), "sha-512": ("sha512", 64)}
"""The ones that RFC 9530 calls active, by hashlib's name and size in bytes; the others are ignored, as it says."""

MD5_SIZE = 16

# A dictionary of byte sequences, perhaps with parameters (RFC 8941, sections 3.2 and 3.3.5).
_MEMBER = re.compile(r"\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):(?:;[^,]*|\s*)(?:,|\Z)")


def client_digests(headers: Mapping[str, str]) -> dict[str, bytes]:
    """Return the digests that a body must have, by hashlib's name.

    Raises:
        MalformedUploadError: A field can't be read, or two contradict each other.
    """
    digests: dict[str, bytes] = {}
    for field in FIELDS:
        header, start = headers.get(field, ""), 0
        while start < len(header):
            member = _MEMBER.match(header, start)
            if member is None:
                raise MalformedUploadError(f"The header {field} can't be read: write it like sha-256=:base64:.")
            if member[1] in ALGORITHMS:
                name, size = ALGORITHMS[member[1]]
                _add(digests, name, _decode(field, member[2], size))
            start = member.end()
    if (md5 := headers.get("content-md5")) is not None:
        _add(digests, "md5", _decode("content-md5", md5.strip(), MD5_SIZE))
    return digests


def _decode(field: str, encoded: str, size: int) -> bytes:
    try:
        digest = b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != size:
        raise MalformedUploadError(f"The header {field} can't be read: {encoded[:100]!r} is no digest of {size} bytes.")
    return digest


def _add(digests: dict[str, bytes], name: str, digest: bytes) -> None:
    if digests.setdefault(name, digest) != digest:
        raise MalformedUploadError(f"The request has two {name} digests that contradict each other.")
