"""Deleting objects of a local folder, so that a power cut does not bring them back."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import ENAMETOOLONG
from itertools import takewhile

from fastapi_filestore.storage.cleanup import finish
from fastapi_filestore.storage.obstore.durability import DISK_THREADS
from fastapi_filestore.storage.obstore.errors import translated
from fastapi_filestore.storage.obstore.local import LocalFolder, is_staged

CONCURRENCY = 10
"""Threads for many deletions at once."""


async def delete_files(folder: LocalFolder, paths: Sequence[str]) -> None:
    """Delete objects; a missing one is fine. The first failure is raised when the others have ended."""
    deletions = [LocalDeletion(folder, part) for i in range(CONCURRENCY) if (part := paths[i::CONCURRENCY])]
    with translated(folder.backend, paths[0] if len(paths) == 1 else None):
        jobs = [DISK_THREADS.submit(deletion.run) for deletion in deletions]
        for outcome in await finish(asyncio.gather(*jobs, return_exceptions=True)):
            if outcome is not None:
                raise outcome


@dataclass(frozen=True, slots=True)
class LocalDeletion:
    """Objects to be deleted in a thread."""

    folder: LocalFolder
    paths: Sequence[str]

    def run(self) -> None:
        """Delete them, blocking, and return once the disk has confirmed it.

        One that is missing counts, too: it may have been deleted by a process that was killed before it came to that.
        """
        inside = [path for path in self.paths if not is_staged(path) and self.folder.holds(path)]
        for path in inside:
            self._remove(path)
        self.folder.durability.sync_removals([(self.folder.root / path).parent for path in inside])

    def _remove(self, path: str) -> None:
        target = self.folder.root / path
        try:
            target.unlink(missing_ok=True)
        except OSError as error:
            if not (error.errno == ENAMETOOLONG or isinstance(error, NotADirectoryError) or target.is_dir()):
                raise
        if not self.folder.keeps_folders:
            with suppress(OSError):  # the first that is not empty, or was removed by somebody else
                for folder in takewhile(self.folder.root.__ne__, target.parents):
                    folder.rmdir()
