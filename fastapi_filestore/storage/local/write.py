"""Writing an object of a local folder as the file that it is: each byte is copied once, from its chunk to the disk.

Each system call of a Python thread ends with a wait for the interpreter's lock, which on a busy event loop takes longer
than the call: so there are as few as can be, and what is short goes with one hop to a thread.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from fastapi_filestore.concurrency.shielded import finish, tell_left
from fastapi_filestore.storage.backend import Stored
from fastapi_filestore.storage.budget import upload_memory
from fastapi_filestore.storage.content import WORTHWHILE, gathered
from fastapi_filestore.storage.local.durability import DISK_THREADS, SYNC_STEP
from fastapi_filestore.storage.local.folder import LocalFolder, etag_of
from fastapi_filestore.storage.local.staged import StagedFile, check_name, written

T = TypeVar("T")

BATCH = 1024 * 1024
"""Bytes written by one hop to a thread, at the most: as many may come in meanwhile."""
LEAST_BATCH = 256 * 1024
"""Bytes that are worth a hop."""
MOST_UNSYNCED = 4 * SYNC_STEP
"""Bytes that a slow disk may be behind before it is waited for: else all of them would be waited for at the end."""


@dataclass(slots=True)
class LocalUpload:
    """Where content goes; run it with the content's chunks.

    Attributes:
        folder: The folder of the backend.
        path: The object's key.
        if_absent: Whether it may only go where nothing is.
    """

    folder: LocalFolder
    path: str
    if_absent: bool
    file: StagedFile = field(init=False)
    _writing: "asyncio.Future[None] | None" = field(default=None, init=False)
    _syncing: "asyncio.Future[None] | None" = field(default=None, init=False)
    _unsynced: int = field(default=0, init=False)

    async def run(self, chunks: AsyncIterator[bytes]) -> Stored:
        """Store the chunks; an error of theirs is raised as it is."""
        check_name(self.folder.backend, self.path)
        self.file = StagedFile(self.folder, self.path, if_absent=self.if_absent)
        async with aclosing(gathered(chunks, WORTHWHILE)) as batches:
            try:
                first, second = await anext(batches, list[bytes]()), await anext(batches, None)
                return await (self._complete(first) if second is None else self._store([*first, *second], batches))
            except BaseException as error:
                await self._undo(error)
                raise

    async def _store(self, waiting: list[bytes], batches: AsyncIterator[list[bytes]]) -> Stored:
        size = waiting_size = sum(map(len, waiting))
        with upload_memory.share_at_once(least=2 * WORTHWHILE, most=2 * BATCH) as share:
            async for batch in batches:
                # At first a little more, since what is short then goes with one hop.
                worthwhile = min(LEAST_BATCH if self._writing else 2 * LEAST_BATCH, share.size // 2)
                if waiting_size >= worthwhile and (self._is_idle or waiting_size >= share.size // 2):
                    await self._begin_write(waiting, waiting_size)
                    waiting, waiting_size = [], 0
                waiting += batch
                waiting_size += sum(map(len, batch))
                size += sum(map(len, batch))
                share.used = waiting_size + (0 if self._is_idle else BATCH)
            await self._end(self._writing)
        await self._end(self._syncing)
        return await self._complete(waiting, size=size)

    async def _complete(self, rest: list[bytes], *, size: int | None = None) -> Stored:
        """Write the last bytes and put the whole in its place, with one hop."""
        size = sum(map(len, rest)) if size is None else size
        status = await self._run(partial(self.file.complete, rest))
        return Stored(size, etag=etag_of(status), version_id=None)

    @property
    def _is_idle(self) -> bool:
        return self._writing is None or self._writing.done()

    async def _begin_write(self, batch: list[bytes], size: int) -> None:
        await self._end(self._writing)
        if self.folder.durability.is_on and self._unsynced >= SYNC_STEP:
            await self._sync_some()
        self._writing = DISK_THREADS.submit(partial(self.file.write, batch))
        self._unsynced += size

    async def _sync_some(self) -> None:
        """Have the disk take what was written while more comes in, unless it is at that already."""
        if self._syncing is None or self._syncing.done() or self._unsynced >= MOST_UNSYNCED:
            await self._end(self._syncing)
            self._syncing = DISK_THREADS.submit(self.file.sync)
            self._unsynced = 0

    async def _end(self, job: "asyncio.Future[None] | None") -> None:
        if job is not None:
            with self._written():
                await asyncio.shield(job)

    async def _run(self, work: Callable[[], T]) -> T:
        with self._written():
            return await finish(DISK_THREADS.submit(work))

    async def _undo(self, error: BaseException) -> None:
        try:
            await finish(self._discard())
        except OSError:
            tell_left(error, self.folder.backend, self.path)

    async def _discard(self) -> None:
        for job in (self._writing, self._syncing):
            if job is not None:
                await asyncio.wait({job})
                job.exception()  # it was raised already, or something else was
        await DISK_THREADS.submit(self.file.discard)

    def _written(self) -> AbstractContextManager[None]:
        return written(self.folder.backend, self.path)
