"""Give your own tests what they need: storage in memory, a file in it, a store that fails when told to, a clock.

Add `pytest_plugins = ["fastapi_filestore.testing"]` to your conftest.py for the fixtures.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pytest
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from fastapi_filestore.errors import StorageUnavailableError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.column.attributes import file_attributes
from fastapi_filestore.orm.ledger.ledger import DELETION, ledger_of_class
from fastapi_filestore.orm.sessions import AnySession, run_in_session
from fastapi_filestore.storage.backend import ObjectInfo, ObjectStream, SignedURL, StorageBackend
from fastapi_filestore.storage.content import Content
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from fastapi_filestore.storage.registry import storages

__all__ = ["FaultyBackend", "FrozenClock", "assert_no_orphans", "memory_storage", "referenced_paths", "sample_file"]


@pytest.fixture
def memory_storage() -> Iterator[ObstoreBackend]:
    """Register a backend `test` in memory for one test."""
    backend = ObstoreBackend(key="test", fs="memory://")
    storages.register_backend(backend)
    yield backend
    if "test" in storages:
        storages.unregister_backend("test")


@pytest.fixture
def sample_file(memory_storage: ObstoreBackend) -> FileObject:
    """Store a small text in the backend `test`."""
    file = FileObject(backend="test", filename="sample.txt", content_type="text/plain", content=b"Sample content")
    return file.save()


@dataclass(slots=True)
class FrozenClock:
    """A clock that stands still until it is told to go on, in seconds since the epoch: for `UrlSigner(clock=...)`."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        """Return what it shows."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Go on by some seconds."""
        self.now += seconds


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
        await self.inner.copy(source, target)
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
        signed = await self.inner.sign(path, method=method, expires_in=expires_in, content_type=content_type)
        self._finish(doomed=doomed)
        return signed

    async def probe(self) -> None:
        """Reach for the store, unless this call fails."""
        doomed = await self._is_doomed("probe")
        await self.inner.probe()
        self._finish(doomed=doomed)

    async def aclose(self) -> None:
        """Close the backend that does the work."""
        await self.inner.aclose()


async def assert_no_orphans(session: AnySession, backend: StorageBackend, *models: type) -> None:
    """Assert that the rows of the models and the objects of a backend agree: none without the other.

    An object that a ledger keeps for a while (`keep_deleted`) needs no row.
    """
    referenced = set(await run_in_session(session, referenced_paths, models, backend.key))
    kept = set(await run_in_session(session, _kept_paths, models, backend.key))
    stored = {info.path async for info in backend.list()}
    orphans, missing = sorted(stored - referenced - kept), sorted(referenced - stored)
    assert not orphans, f"objects that no row points to: {orphans}"
    assert not missing, f"objects that rows point to, but that are not there: {missing}"


def referenced_paths(session: Session, models: tuple[type, ...], key: str) -> list[str]:
    """Return the object paths in a backend that the rows of models point to."""
    return [
        file.path
        for model in models
        for attribute in file_attributes(inspect(model))
        for value in session.scalars(select(getattr(model, attribute.name)))
        for file in attribute.type.held_files(value)
        if file.backend == key and file.path is not None
    ]


def _kept_paths(session: Session, models: tuple[type, ...], key: str) -> list[str]:
    ledgers = {ledger for model in models if (ledger := ledger_of_class(inspect(model))) and ledger.keep_deleted}
    tables = [ledger.table.c for ledger in ledgers]
    return [
        path
        for table in tables
        for path in session.scalars(select(table.path).where(table.backend == key, table.kind == DELETION))
    ]
