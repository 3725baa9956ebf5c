"""Writing an object of a local folder as the file that it is: each byte is copied once, from its chunk to the disk."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from errno import ENAMETOOLONG
from functools import partial
from typing import TypeVar

from fastapi_filestore.errors import InvalidKeyError
from fastapi_filestore.storage.budget import upload_memory
from fastapi_filestore.storage.cleanup import finish
from fastapi_filestore.storage.content import gathered
from fastapi_filestore.storage.obstore.errors import translated
from fastapi_filestore.storage.obstore.local import etag_of, is_staged
from fastapi_filestore.storage.obstore.put import Stored
from fastapi_filestore.storage.obstore.staged_file import StagedFile

T = TypeVar("T")

BATCH = 1024 * 1024
"""Bytes written by one hop to a thread, at the most: as many may come in meanwhile."""
LEAST_BATCH = 256 * 1024
"""Bytes that are worth a hop."""


@dataclass(slots=True)
class LocalUpload:
    """Where content goes; run it with the content's chunks."""

    backend: str
    path: str
    file: StagedFile
    _job: "asyncio.Future[None] | None" = field(default=None, init=False)

    async def run(self, chunks: AsyncIterator[bytes]) -> Stored:
        """Store the chunks; an error of theirs is raised as it is."""
        if is_staged(self.path):
            raise self._bad_name()
        try:
            return await self._store(chunks)
        except BaseException:
            await finish(self._undo())
            raise

    async def _store(self, chunks: AsyncIterator[bytes]) -> Stored:
        size, waiting, waiting_size = 0, list[bytes](), 0
        with upload_memory.share_at_once(least=2 * LEAST_BATCH, most=2 * BATCH) as share:
            async with aclosing(gathered(chunks, LEAST_BATCH)) as batches:
                async for batch in batches:
                    if waiting and (self._is_idle or waiting_size >= share.size // 2):
                        await self._begin_write(waiting)
                        waiting, waiting_size = [], 0
                    waiting += batch
                    waiting_size += sum(map(len, batch))
                    size += sum(map(len, batch))
            await self._end_write()
        # One hop for the last bytes and the place of the whole: a short file needs no other.
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
            with self._translated():
                await asyncio.shield(self._job)

    async def _run(self, work: Callable[[], T]) -> T:
        with self._translated():
            return await finish(asyncio.to_thread(work))

    async def _undo(self) -> None:
        if self._job is not None:
            await asyncio.wait({self._job})
            self._job.exception()  # it was raised already, or something else was
        await asyncio.to_thread(self.file.discard)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with translated(self.backend, self.path):
            try:
                yield
            except OSError as error:
                if isinstance(error, NotADirectoryError | IsADirectoryError) or error.errno == ENAMETOOLONG:
                    raise self._bad_name() from None
                raise

    def _bad_name(self) -> InvalidKeyError:
        return InvalidKeyError(
            f"Backend {self.backend!r} can't hold an object named {self.path!a}.", backend=self.backend, key=self.path
        )
