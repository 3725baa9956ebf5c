"""Fail when told to, as stores do: `FaultyBackend`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Literal

from fastapi_filestore.errors import SigningUnavailableError, StorageUnavailableError
from fastapi_filestore.storage.backend import (
    Closable,
    ObjectInfo,
    ObjectStream,
    SignedObjects,
    SignedURL,
    StorageBackend,
)
from fastapi_filestore.storage.content import Content
from fastapi_filestore.storage.fallbacks import copy_object, probe_store


class FaultyBackend:
    """A backend that passes calls on to another one, fails at those you choose, and may be slow.

    Args:
        inner: The backend that does the work.
        fails: Given the number of a call (the first is 1) and the operation's name, whether it fails.
        after: Fail after the work is done, as a connection does that breaks before the answer; what is read breaks
            off half-way.
        delay: Seconds that every call waits first.
        error: What to raise.
    """

    def __init__(
        self,
        inner: StorageBackend,
        fails: Callable[[int, str], bool],
        *,
        after: bool = False,
        delay: float = 0,
        error: Callable[[], Exception] = lambda: StorageUnavailableError("The store is down, as the test wants it."),
    ) -> None:
        self.inner, self.fails, self.after, self.delay, self.error = inner, fails, after, delay, error
        self.calls: list[str] = []

    @property
    def key(self) -> str:
        """The key of the backend that does the work."""
        return self.inner.key

    async def _is_doomed(self, operation: str) -> bool:
        self.calls.append(operation)
        doomed = self.fails(len(self.calls), operation)
        if doomed and not self.after:
            raise self.error()
        await asyncio.sleep(self.delay)
        return doomed

    def _finish(self, *, doomed: bool) -> None:
        if doomed:
            raise self.error()

    async def put(
        self,
        path: str,
        content: Content,
        *,
        content_type: str | None = None,
        content_disposition: str | None = None,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
        use_multipart: bool | None = None,
        chunk_size: int | None = None,
        max_concurrency: int | None = None,
    ) -> ObjectInfo:
        """Store content, unless this call fails."""
        doomed = await self._is_doomed("put")
        info = await self.inner.put(
            path,
            content,
            content_type=content_type,
            content_disposition=content_disposition,
            metadata=metadata,
            if_absent=if_absent,
            use_multipart=use_multipart,
            chunk_size=chunk_size,
            max_concurrency=max_concurrency,
        )
        self._finish(doomed=doomed)
        return info

    async def open(self, path: str, *, start: int = 0, end: int | None = None) -> ObjectStream:
        """Open an object, unless this call fails."""
        doomed = await self._is_doomed("open")
        stream = await self.inner.open(path, start=start, end=end)

        async def tear() -> AsyncIterator[bytes]:
            left = (stream.end - stream.start) // 2
            async for chunk in stream:
                yield chunk[:left]
                left -= len(chunk)
                if left <= 0:
                    break
            raise self.error()

        return replace(stream, chunks=tear()) if doomed else stream

    async def head(self, path: str) -> ObjectInfo:
        """Ask for an object, unless this call fails."""
        doomed = await self._is_doomed("head")
        info = await self.inner.head(path)
        self._finish(doomed=doomed)
        return info

    async def copy(self, source: str, target: str) -> None:
        """Copy an object, unless this call fails."""
        doomed = await self._is_doomed("copy")
        await copy_object(self.inner, source, target)
        self._finish(doomed=doomed)

    async def delete(self, *paths: str) -> None:
        """Delete objects, unless this call fails."""
        doomed = await self._is_doomed("delete")
        await self.inner.delete(*paths)
        self._finish(doomed=doomed)

    async def list(self, prefix: str = "", *, after: str | None = None) -> AsyncIterator[ObjectInfo]:
        """List objects, unless this call fails."""
        doomed = await self._is_doomed("list")
        async for info in self.inner.list(prefix, after=after):
            yield info
        self._finish(doomed=doomed)

    async def sign(
        self, path: str, *, method: Literal["GET", "PUT"] = "GET", expires_in: int, content_type: str | None = None
    ) -> SignedURL:
        """Sign a URL, unless this call fails."""
        doomed = await self._is_doomed("sign")
        if not isinstance(self.inner, SignedObjects):
            raise SigningUnavailableError(f"Backend {self.key!r} has no signed URLs.", backend=self.key, path=path)
        signed = await self.inner.sign(path, method=method, expires_in=expires_in, content_type=content_type)
        self._finish(doomed=doomed)
        return signed

    async def probe(self, *, write: bool = True) -> None:
        """Reach for the store, and store something if asked to, unless this call fails."""
        doomed = await self._is_doomed("probe")
        await probe_store(self.inner, write=write)
        self._finish(doomed=doomed)

    async def aclose(self) -> None:
        """Close the backend that does the work."""
        if isinstance(self.inner, Closable):
            await self.inner.aclose()
