"""Copy an object of a local folder to a file of its own: obstore's copy is a link, which is as old as its source."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.storage.local.durability import DISK_THREADS, SYNC_STEP
from fastapi_filestore.storage.local.folder import LocalFolder
from fastapi_filestore.storage.local.read import LocalFile
from fastapi_filestore.storage.local.staged import StagedFile, writing

STEP = 64 * 1024 * 1024
"""Bytes that the kernel copies at once: a copy that is cancelled goes on for no longer."""
PIECE = 1024 * 1024
"""Bytes copied at once where the kernel does not do it, so that memory stays flat."""


async def copy_file(folder: LocalFolder, source: str, target: str) -> None:
    """Copy an object; readers of the target see what was there before, or the whole.

    Raises:
        ObjectNotFoundError: There is no source, or links lead out of the root.
        InvalidKeyError: The disk can't hold an object of the target's name.
    """
    _, file = await folder.open(source)
    try:
        copy = LocalCopy(file, StagedFile(folder, target, if_absent=False))
        with writing(folder, target):
            job = DISK_THREADS.submit(copy.run)
            try:
                await asyncio.wait({job})
            except asyncio.CancelledError:
                copy.is_stopped = True
                with suppress(Exception):  # whatever it says, it left nothing, and nobody waits for it any more
                    await finish(job)
                raise
            await job
    finally:
        file.close()


class CopyStoppedError(Exception):
    """Ends the thread of a copy that nobody waits for."""


@dataclass(slots=True)
class LocalCopy:
    """One copy under way, in a thread.

    Attributes:
        source: Where the bytes come from.
        target: Where they go.
        is_stopped: Set by another thread to end it.
    """

    source: LocalFile
    target: StagedFile
    is_stopped: bool = False

    def run(self) -> None:
        """Copy, blocking; one that fails or is stopped leaves nothing."""
        copied = synced = 0
        try:
            while size := self._copy_some(copied):
                copied += size
                if copied - synced >= SYNC_STEP:
                    self.target.sync()
                    synced = copied
            self.target.complete(())
        except BaseException:
            with suppress(OSError):  # what failed first is the error to tell; an audit finds what is left
                self.target.discard()
            raise

    def _copy_some(self, start: int) -> int:
        """Copy some bytes, through memory where the kernel does not, and return how many; 0 at the end."""
        if self.is_stopped:
            raise CopyStoppedError
        if size := self.target.take(self.source.fileno(), start, STEP):
            return size
        piece = self.source.read(start, PIECE)
        self.target.write([piece] if piece else ())
        return len(piece)
