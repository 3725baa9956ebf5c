"""A store in memory that fails when it is told to, and remembers what it failed at."""

from collections.abc import Mapping
from typing import Any

from fastapi_filestore import ObjectInfo, ObstoreBackend
from fastapi_filestore.storage.content import Content
from fastapi_filestore.testing import FaultyBackend
from tests.model.tables import BACKEND


class Store(FaultyBackend):
    """Fails at some calls in a row.

    Attributes:
        failing: The numbers of the calls that fail.
        tripped: How many calls failed.
        left: Keys at which a failure may have left an object that nobody can know of but by looking.
    """

    def __init__(self) -> None:
        super().__init__(ObstoreBackend(key=BACKEND, fs="memory://"), self._fails)
        self.failing = range(0)
        self.tripped = 0
        self.left: set[str] = set()

    def _fails(self, number: int, operation: str) -> bool:
        fails = number in self.failing
        self.tripped += fails
        return fails

    def arm(self, *, after: int, calls: int, late: bool) -> None:
        """Let calls fail once some more have succeeded; `late` when their work is done."""
        first = len(self.calls) + 1 + after
        self.failing, self.after = range(first, first + calls), late

    def disarm(self) -> None:
        """Let no call fail any more."""
        self.failing = range(0)

    async def put(
        self, path: str, content: Content, *, metadata: Mapping[str, str] | None = None, **options: Any
    ) -> ObjectInfo:
        """Store content, unless this call fails."""
        try:
            return await super().put(path, content, metadata=metadata, **options)
        except Exception:
            self.left.add(path)
            raise

    async def copy(self, source: str, target: str) -> None:
        """Copy an object, unless this call fails."""
        try:
            await super().copy(source, target)
        except Exception:
            self.left.add(target)
            raise

    async def delete(self, *paths: str) -> None:
        """Delete objects, unless this call fails."""
        try:
            await super().delete(*paths)
        except Exception:
            self.left.update(paths)
            raise

    async def contents(self, known: Mapping[str, tuple[str | None, bytes]]) -> dict[str, tuple[str | None, bytes]]:
        """Return the entity tag and the bytes of every object by its key; those that are known are read once only."""
        found: dict[str, tuple[str | None, bytes]] = {}
        async for info in self.inner.list():
            if info.path in known and known[info.path][0] == info.etag:
                found[info.path] = known[info.path]
            else:
                found[info.path] = info.etag, await (await self.inner.open(info.path)).read()
        return found
