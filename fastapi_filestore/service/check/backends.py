"""Try out a backend as files do: store, read, list, sign, copy, delete; and what its store says of itself."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import ObjectExistsError, ObjectNotFoundError
from fastapi_filestore.logs import describe_error
from fastapi_filestore.service.check.checked import Checked, Outcome, ask, wrong
from fastapi_filestore.service.check.signatures import try_reading, try_storing, try_storing_once
from fastapi_filestore.service.check.stores import ask_for_rule, compare_clocks, compare_regions
from fastapi_filestore.storage.backend import StorageBackend
from fastapi_filestore.storage.fallbacks import copy_object
from fastapi_filestore.storage.paths import generate_upload_path
from fastapi_filestore.storage.registry import StorageRegistry

LIFE = 300
"""Seconds that what is stored here counts as on its way; what a killed process leaves is an orphan for audits then."""
CLEANUP = 10.0
"""Seconds that deleting may take at the end of a check that was cut off."""
CONTENT = 64
"""Bytes of the object that is stored."""
NOTHING = "Nothing could be stored to try it with."
FIRST, LAST = 5, 15
"""The range that is read of it."""

Question = Callable[[], Awaitable[str]]


@dataclass(slots=True)
class BackendCheck:
    """Asks a backend for one thing after the other, by objects of its own, and leaves none behind."""

    backend: StorageBackend
    registry: StorageRegistry
    content: bytes = field(default_factory=lambda: secrets.token_bytes(CONTENT))
    path: str = field(default_factory=lambda: generate_upload_path(LIFE))
    others: list[str] = field(default_factory=list[str])
    """Paths that something was, or may have been, stored at beside it."""

    async def run(self, limit: float) -> AsyncGenerator[Checked, None]:
        """Yield how each went; what needs the stored object is not asked if there is none."""
        subject = f"backend {self.backend.key}"
        of_object: dict[str, Question] = {
            "read": self._read,
            "range": self._read_range,
            "no overwriting": self._refuse_overwriting,
            "copy": self._copy,
            "sign": lambda: try_reading(self.registry, self.backend, self.path, self.content),
            "sign for upload": lambda: try_storing(self.registry, self.backend, self._other_path(), self.content),
            "upload once": lambda: try_storing_once(self.backend, self._other_path(), self.content),
            "list": self._list,
        }
        of_store: dict[str, Question] = {
            "clock": lambda: compare_clocks(self.backend),
            "region": lambda: compare_regions(self.backend),
            "unfinished uploads": lambda: ask_for_rule(self.backend),
        }
        is_cut_off = True
        try:
            stored = await ask(subject, "put", self._put, limit)
            yield stored
            for name, question in of_object.items():
                if stored.outcome is Outcome.OK:
                    yield await ask(subject, name, question, limit)
                else:
                    yield Checked(subject, name, Outcome.UNKNOWN, NOTHING)
            deleted = await ask(subject, "delete", self._delete, limit)
            is_cut_off = False
            # An answer to the upload may have been lost, so it is tried; but what it fails with has been told.
            yield deleted if stored.outcome is Outcome.OK else Checked(subject, "delete", Outcome.UNKNOWN, NOTHING)
            for name, question in of_store.items():
                yield await ask(subject, name, question, limit)
        finally:
            if is_cut_off:
                with suppress(Exception):  # whoever cut it off hears of nothing more
                    await finish(asyncio.wait_for(self.backend.delete(self.path, *self.others), CLEANUP))

    def _other_path(self) -> str:
        path = generate_upload_path(LIFE)
        self.others.append(path)
        return path

    async def _put(self) -> str:
        info = await self.backend.put(self.path, self.content, content_type="application/octet-stream")
        if info.size != CONTENT:
            raise wrong(f"The store says that it has {info.size} bytes of {CONTENT}: do not trust it with files.")
        return ""

    async def _read(self) -> str:
        if await (await self.backend.open(self.path)).read() != self.content:
            raise wrong("Other bytes came back than were stored: look after a cache or a proxy in front of the store.")
        return ""

    async def _read_range(self) -> str:
        if await (await self.backend.open(self.path, start=FIRST, end=LAST)).read() != self.content[FIRST:LAST]:
            raise wrong("Other bytes came back than were asked for: look after a cache or a proxy that drops ranges.")
        return ""

    async def _refuse_overwriting(self) -> str:
        try:
            await self.backend.put(self.path, self.content, if_absent=True)
        except ObjectExistsError:
            return ""
        raise wrong(
            "The store overwrote an object that it was told not to (If-None-Match): nothing of this library relies on "
            "it but uploads by the application's own signed URLs; look for a newer release of the store."
        )

    async def _copy(self) -> str:
        target = self._other_path()
        await copy_object(self.backend, self.path, target)
        if (await self.backend.head(target)).size != CONTENT:
            raise wrong("A copy has another size than the object: do not trust the store with upload URLs.")
        return ""

    async def _list(self) -> str:
        # What comes right before it, so that its own page is the first.
        async for info in self.backend.list(self.path.rpartition("/")[0], after=self.path[:-1]):
            if info.path == self.path:
                return ""
        raise wrong("The stored object is not in the listing: audits would find nothing, or call objects missing.")

    async def _delete(self) -> str:
        places = ", ".join([self.path, *self.others])
        try:
            await self.backend.delete(self.path, *self.others)
            remaining = [path for path in (self.path, *self.others) if await self._is_there(path)]
        except Exception as error:
            raise wrong(
                f"{describe_error(error)} What the check stored may be left behind, and an audit will call it an "
                f"orphan: {places}"
            ) from error
        if remaining:
            raise wrong(
                f"Deleted, and still there: {', '.join(remaining)}. Does the bucket have an object lock, or is there a "
                "cache in front of the store?"
            )
        return ""

    async def _is_there(self, path: str) -> bool:
        try:
            await self.backend.head(path)
        except ObjectNotFoundError:
            return False
        return True
