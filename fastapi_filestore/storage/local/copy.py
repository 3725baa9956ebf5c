"""Copying an object of a local folder to a file of its own: obstore's copy is a link, which is as old as its source."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.storage.local.durability import DISK_THREADS, SYNC_STEP
from fastapi_filestore.storage.local.folder import LocalFolder
from fastapi_filestore.storage.local.read import LocalFile
from fastapi_filestore.storage.local.staged import StagedFile, written

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
        with written(folder.backend, target):
            await _run(LocalCopy(file, StagedFile(folder, target, if_absent=False)))
    finally:
        file.close()


async def _run(copy: "LocalCopy") -> None:
    job = DISK_THREADS.submit(copy.run)
    try:
        await asyncio.wait({job})
    except asyncio.CancelledError:
        copy.is_stopped = True
        with suppress(Exception):  # whatever it says, it left nothing, and nobody waits for it any more
            await finish(job)
        raise
    await job


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
    _copied: int = field(default=0, init=False)
    _synced: int = field(default=0, init=False)

    def run(self) -> None:
        """Copy, blocking; one that fails or is stopped leaves nothing."""
        try:
            while self._step():
                self._check()
                self._sync_some()
            self.target.complete(())
        except BaseException:
            with suppress(OSError):  # what failed first is the error to tell; an audit finds what is left
                self.target.discard()
            raise

    def _step(self) -> int:
        size = self.target.take(self.source.fileno(), self._copied, STEP) or self._step_in_memory()
        self._copied += size
        return size

    def _step_in_memory(self) -> int:
        piece = self.source.read(self._copied, PIECE)
        self.target.write([piece] if piece else ())
        return len(piece)

    def _sync_some(self) -> None:
        if self._copied - self._synced >= SYNC_STEP:
            self.target.sync()
            self._synced = self._copied

    def _check(self) -> None:
        if self.is_stopped:
            raise CopyStoppedError
