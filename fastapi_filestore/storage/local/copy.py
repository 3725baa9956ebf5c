"""Copy objects of a local folder to a file of its own: obstore's copy is a link, which is as old as its source."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from os import stat_result
from typing import TypeVar

from fastapi_filestore.concurrency.shielded import finish, tell_left
from fastapi_filestore.storage.local.durability import DISK_THREADS, SYNC_STEP
from fastapi_filestore.storage.local.folder import LocalFolder
from fastapi_filestore.storage.local.read import LocalFile
from fastapi_filestore.storage.local.staged import StagedFile, writing

STEP = 64 * 1024 * 1024
"""Bytes that the kernel copies at once: a copy that is cancelled goes on for no longer."""
PIECE = 1024 * 1024
"""Bytes copied at once where the kernel does not do it, so that memory stays flat."""

T = TypeVar("T")


async def copy_files(folder: LocalFolder, sources: Sequence[str], target: str) -> stat_result:
    """Copy the bytes of objects, one after the other, to one that readers see as it was before, or whole.

    Raises:
        ObjectNotFoundError: There is no such source, or links lead out of the root.
        InvalidKeyError: The disk can't hold an object of the target's name.
    """
    copy = LocalCopy(folder, target, StagedFile(folder, target, if_absent=False))
    try:
        for source in sources:
            _, file = await folder.open(source)
            try:
                await copy.finish(partial(copy.append, file))
            finally:
                file.close()
        return await copy.finish(partial(copy.target.complete, ()))
    except BaseException as error:
        try:
            await finish(DISK_THREADS.submit(copy.target.discard))
        except OSError:
            tell_left(error, folder.backend, target)
        raise


class CopyStoppedError(Exception):
    """Ends the thread of a copy that nobody waits for."""


@dataclass(slots=True)
class LocalCopy:
    """One copy under way.

    Attributes:
        folder: The folder of the backend.
        path: The path of the object that is made.
        target: Its file.
        unsynced: Bytes that a power cut may take.
        is_stopped: Set to end the thread that copies.
    """

    folder: LocalFolder
    path: str
    target: StagedFile
    unsynced: int = 0
    is_stopped: bool = False

    async def finish(self, work: Callable[[], T]) -> T:
        """Do a part of it in a thread, which has ended when this has, cancelled or not."""
        with writing(self.folder, self.path):
            job = DISK_THREADS.submit(work)
            try:
                await asyncio.wait({job})
            except asyncio.CancelledError:
                self.is_stopped = True
                with suppress(Exception):  # whatever it says, nobody waits for it any more
                    await finish(job)
                raise
            return await job

    def append(self, source: LocalFile) -> None:
        """Copy a file to the end, blocking."""
        copied = 0
        while size := self._copy_some(source, copied):
            copied += size
            self.unsynced += size
            if self.unsynced >= SYNC_STEP:
                self.target.sync()
                self.unsynced = 0

    def _copy_some(self, source: LocalFile, start: int) -> int:
        """Copy some bytes, through memory where the kernel does not, and return how many; 0 at the end."""
        if self.is_stopped:
            raise CopyStoppedError
        if size := self.target.take(source.fileno(), start, STEP):
            return size
        piece = source.read(start, PIECE)
        self.target.write([piece] if piece else ())
        return len(piece)
