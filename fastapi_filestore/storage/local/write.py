"""Write an object of a local folder: each byte is copied once, from its chunk to the disk.

Each system call of a Python thread ends with a wait for the interpreter's lock, which on a busy event loop takes longer
than the call: so there are as few as can be, and what is short goes with one hop to a thread.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial

from fastapi_filestore.concurrency.shielded import finish, tell_left
from fastapi_filestore.storage.backend import Stored
from fastapi_filestore.storage.budget import upload_memory
from fastapi_filestore.storage.content import WORTHWHILE, gather_chunks
from fastapi_filestore.storage.local.durability import DISK_THREADS, SYNC_STEP
from fastapi_filestore.storage.local.folder import LocalFolder, etag_of
from fastapi_filestore.storage.local.staged import StagedFile, writing

BATCH = 1024 * 1024
"""Bytes written by one hop to a thread, at the most: as many may come in meanwhile."""
LEAST_BATCH = 256 * 1024
"""Bytes that are worth a hop."""
MOST_UNSYNCED = 4 * SYNC_STEP
"""Bytes that a slow disk may be behind before it is waited for: else all of them would be waited for at the end."""


@dataclass(slots=True)
class LocalPut:
    """A file to be stored at a path; run it with the content's chunks.

    Attributes:
        folder: The folder of the backend.
        path: The object's path.
        if_absent: Whether it may only go where nothing is.
    """

    folder: LocalFolder
    path: str
    if_absent: bool
    file: StagedFile = field(init=False)
    _writing: "asyncio.Future[None] | None" = field(default=None, init=False)
    _syncing: "asyncio.Future[None] | None" = field(default=None, init=False)

    async def run(self, chunks: AsyncIterator[bytes]) -> Stored:
        """Store the chunks; an error of theirs is raised as it is."""
        self.file = StagedFile(self.folder, self.path, if_absent=self.if_absent)
        async with aclosing(gather_chunks(chunks, WORTHWHILE)) as batches:
            try:
                rest = await anext(batches, list[bytes]())
                size = sum(map(len, rest))
                if (second := await anext(batches, None)) is not None:
                    rest, size = await self._write_most([*rest, *second], batches)
                # The last bytes are written, and the whole is put in its place, with one hop.
                with writing(self.folder, self.path):
                    status = await finish(DISK_THREADS.submit(partial(self.file.complete, rest)))
            except BaseException as error:
                try:
                    await finish(self._discard())
                except OSError:
                    tell_left(error, self.folder.backend, self.path)
                raise
        return Stored(size, etag=etag_of(status), version_id=None)

    async def _write_most(self, waiting: list[bytes], batches: AsyncIterator[list[bytes]]) -> tuple[list[bytes], int]:
        """Write and sync batches while more come in; return what is left to write, and the size of the whole."""
        size = waiting_size = sum(map(len, waiting))
        unsynced = 0
        with upload_memory.share_at_once(least=2 * WORTHWHILE, most=2 * BATCH) as share:
            async for batch in batches:
                # At first a little more, since what is short then goes with one hop.
                worthwhile = min(LEAST_BATCH if self._writing else 2 * LEAST_BATCH, share.size // 2)
                if waiting_size >= worthwhile and (self._is_idle or waiting_size >= share.size // 2):
                    await self._end(self._writing)
                    is_syncing = self._syncing is not None and not self._syncing.done()
                    is_due = unsynced >= (MOST_UNSYNCED if is_syncing else SYNC_STEP)
                    if self.folder.durability.is_on and is_due:
                        await self._end(self._syncing)
                        self._syncing = DISK_THREADS.submit(self.file.sync)
                        unsynced = 0
                    self._writing = DISK_THREADS.submit(partial(self.file.write, waiting))
                    unsynced += waiting_size
                    waiting, waiting_size = [], 0
                waiting += batch
                waiting_size += sum(map(len, batch))
                size += sum(map(len, batch))
                share.used = waiting_size + (0 if self._is_idle else BATCH)
            await self._end(self._writing)
        await self._end(self._syncing)
        return waiting, size

    @property
    def _is_idle(self) -> bool:
        return self._writing is None or self._writing.done()

    async def _end(self, job: "asyncio.Future[None] | None") -> None:
        if job is not None:
            with writing(self.folder, self.path):
                await asyncio.shield(job)

    async def _discard(self) -> None:
        for job in (self._writing, self._syncing):
            if job is not None:
                await asyncio.wait({job})
                job.exception()  # it was raised already, or something else was
        await DISK_THREADS.submit(self.file.discard)
