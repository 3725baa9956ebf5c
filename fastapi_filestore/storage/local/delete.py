"""Deleting objects of a local folder, so that a power cut does not bring them back."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import ENAMETOOLONG

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.storage.failures.of_folders import LeadsOutsideError
from fastapi_filestore.storage.failures.translate import translated
from fastapi_filestore.storage.local.durability import DISK_THREADS
from fastapi_filestore.storage.local.folder import LocalFolder, can_be_there, folder_of, name_of
from fastapi_filestore.storage.local.open_folder import OpenFolder

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
        names_in: dict[str, list[str]] = defaultdict(list)
        for path in self.paths:
            if can_be_there(path):
                names_in[folder_of(path)].append(name_of(path))
        for below, names in names_in.items():
            with suppress(LeadsOutsideError):  # of this backend, nothing is there
                remove_files(self.folder, below, names)


def remove_files(folder: LocalFolder, below: str, names: Sequence[str]) -> None:
    """Remove files of one folder, blocking, and return once the disk has confirmed it; a missing one is fine."""
    left, is_there = folder.enter_what_is_left(below)
    with left:
        for name in names if is_there else ():
            _remove(left, name)
        if folder.keeps_folders:
            folder.durability.sync_removals(left)
            return
    _remove_empty(folder, below)
    with folder.enter_what_is_left(below)[0] as left:
        folder.durability.sync_removals(left)


def _remove(folder: OpenFolder, name: str) -> None:
    try:
        folder.remove(name)
    except OSError as error:
        if error.errno != ENAMETOOLONG and not folder.has_folder(name):
            raise


def _remove_empty(folder: LocalFolder, below: str) -> None:
    with suppress(OSError):  # the first that is not empty, or was removed by somebody else
        while below:
            above, _, name = below.rpartition("/")
            with folder.enter(above) as outer:
                outer.remove_folder(name)
            below = above
