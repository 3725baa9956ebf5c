"""Writing an object of a local folder as the file that it is: each byte is copied once, from its chunk to the disk.

Short ones obstore writes. Each system call of a Python thread ends with a wait for the interpreter's lock, which on a
busy event loop takes longer than the writing, while obstore's threads need it only to say that they are done.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from fastapi_filestore.storage.budget import upload_memory
from fastapi_filestore.storage.cleanup import finish
from fastapi_filestore.storage.content import gathered
from fastapi_filestore.storage.obstore.local import etag_of
from fastapi_filestore.storage.obstore.put import Stored, Upload
from fastapi_filestore.storage.obstore.staged_file import StagedFile, check_name, written

T = TypeVar("T")

BATCH = 1024 * 1024
"""Bytes written by one hop to a thread, at the most: as many may come in meanwhile."""
LEAST_BATCH = 256 * 1024
"""Bytes that are worth a hop."""


@dataclass(slots=True)
class LocalUpload:
    """Where content goes; run it with the content's chunks.

    Attributes:
        short: Stores content that is short.
        root: The folder of the backend.
        file: Takes content that is long.
    """

    short: Upload
    root: Path
    file: StagedFile = field(init=False)
    _job: "asyncio.Future[None] | None" = field(default=None, init=False)

    async def run(self, chunks: AsyncIterator[bytes]) -> Stored:
        """Store the chunks; an error of theirs is raised as it is."""
        check_name(self.short.backend, self.short.path)
        async with aclosing(gathered(chunks, LEAST_BATCH)) as batches:
            first, second = await anext(batches, list[bytes]()), await anext(batches, None)
            if second is None:
                return await self.short.send_whole(first)
            self.file = StagedFile(self.root / self.short.path, if_absent=self.short.if_absent)
            try:
                return await self._store([*first, *second], batches)
            except BaseException:
                await finish(self._undo())
                raise

    async def _store(self, waiting: list[bytes], batches: AsyncIterator[list[bytes]]) -> Stored:
        size = waiting_size = sum(map(len, waiting))
        with upload_memory.share_at_once(least=2 * LEAST_BATCH, most=2 * BATCH) as share:
            async for batch in batches:
                if waiting and (self._is_idle or waiting_size >= share.size // 2):
                    await self._begin_write(waiting)
                    waiting, waiting_size = [], 0
                waiting += batch
                waiting_size += sum(map(len, batch))
                size += sum(map(len, batch))
            await self._end_write()
        # One hop for the last bytes and the place of the whole.
        status = await self._run(partial(self.file.complete, waiting))
        return Stored(size, etag=etag_of(status), version_id=None)

    @property
    def _is_idle(self) -> bool:
        return self._job is None or self._job.done()

    async def _begin_write(self, batch: list[bytes]) -> None:
        await self._end_write()
        self._job = asyncio.get_running_loop().run_in_executor(None, self.file.write, batch)

    async def _end_write(self) -> None:
        if self._job is not None:
            with self._written():
                await asyncio.shield(self._job)

    async def _run(self, work: Callable[[], T]) -> T:
        with self._written():
            return await finish(asyncio.get_running_loop().run_in_executor(None, work))

    async def _undo(self) -> None:
        if self._job is not None:
            await asyncio.wait({self._job})
            self._job.exception()  # it was raised already, or something else was
        await asyncio.to_thread(self.file.discard)

    def _written(self) -> AbstractContextManager[None]:
        return written(self.short.backend, self.short.path)
