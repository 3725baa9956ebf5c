"""Make files outlast a power cut: what the disk has confirmed is kept, and what it has not may be gone.

The bytes of a file are kept once the file is synced, and its name once its folder is. A folder is a name in the folder
above it, and so on.
"""

import os
import sys
from dataclasses import dataclass, field
from errno import EACCES, EBADF, EINVAL, EISDIR, ENOSYS, ENOTSUP, ENOTTY, EPERM
from pathlib import Path

from fastapi_filestore.concurrency.threads import WorkThreads
from fastapi_filestore.events import FOLDER_NOT_SYNCED
from fastapi_filestore.storage.failures.of_folders import SyncError
from fastapi_filestore.storage.local.open_folder import OpenFolder, open_folder

if sys.platform != "win32":
    import fcntl

DISK_THREADS = WorkThreads("fastapi-filestore-disk", most=32)
"""Do whatever waits for a local disk: one that hangs keeps nothing else of the process waiting."""

SYNC_STEP = 16 * 1024 * 1024
"""Bytes of a long file that are synced at once, while more come in: its end is then as quick as that of a short one."""
MOST_KNOWN = 10_000
"""Folders that are remembered; after so many, all are looked at once more."""

_NO_FOLDER_SYNC = frozenset({EACCES, EBADF, EINVAL, EISDIR, ENOSYS, ENOTSUP, EPERM})
"""What is said of a folder that can't be opened, or synced, at all; PostgreSQL goes on after these, too."""
_NO_FULL_SYNC = frozenset({EINVAL, ENOTSUP, ENOTTY})


_Identity = tuple[int, int]


@dataclass(slots=True)
class Durability:
    """Makes what is put into a local folder, or removed from it, outlast a power cut; every method blocks.

    Attributes:
        backend: The key of the folder's backend.
        root: The folder.
        is_on: Whether anything is synced.
        believes: Whether a folder that was durable once is taken to be so; not where empty folders are removed.
    """

    backend: str
    root: Path
    is_on: bool = True
    believes: bool = True
    _top: Path = field(init=False)
    _known: dict[Path, _Identity] = field(default_factory=dict[Path, _Identity], init=False)
    _is_told: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Look for the top of the disk that the root is on: whoever made the root may have made those above it, too."""
        self._top = self.root.parent
        while not os.path.ismount(self._top) and self._top != self._top.parent:
            self._top = self._top.parent

    def sync_file(self, file: int) -> None:
        """Return once the bytes of an open file are on the disk."""
        if self.is_on:
            try:
                _sync_bytes(file)
            except OSError as error:
                raise SyncError(error.errno, error.strerror) from error

    def sync_names(self, folder: OpenFolder) -> None:
        """Return once all names in a folder are on the disk, and so is the folder itself.

        Each folder above it is synced, too, up to the one that the root is in and on to the top of its disk, but for
        those that this process has synced before and that have been there ever since.
        """
        if not self.is_on:
            return
        fresh: dict[Path, _Identity] = {}
        path, identity = folder.path, self._sync_folder(folder)
        while path != self._top and self._known.get(path) != identity:
            fresh[path] = identity
            path = path.parent
            is_below = path != self.root and path.is_relative_to(self.root)
            below = path.relative_to(self.root).as_posix() if is_below else ""
            try:
                with open_folder(self.root if below else path, below) as above:
                    identity = self._sync_folder(above)
            except SyncError:
                raise
            except OSError as error:
                self._go_on(path, error)
                identity = 0, 0
        if self.believes:
            if len(self._known) > MOST_KNOWN:
                self._known.clear()
            self._known.update(fresh)

    def sync_removals(self, folder: OpenFolder) -> None:
        """Return once what was removed from a folder will not come back."""
        if self.is_on:
            self._sync_folder(folder)

    def forget(self, folder: Path) -> None:
        """Take a folder for new: it is gone, or was a moment ago."""
        for known in [*self._known]:
            if known.is_relative_to(folder):
                self._known.pop(known, None)

    def _sync_folder(self, folder: OpenFolder) -> _Identity:
        try:
            # A platform that can't do anything in open folders opens it by its path.
            file = folder.number
            if file is None:
                file = os.open(folder.path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        except OSError as error:
            self._go_on(folder.path, error)
            return folder.identity
        try:
            _sync_bytes(file, data_only=False)
        except OSError as error:
            if error.errno not in _NO_FOLDER_SYNC:
                raise SyncError(error.errno, error.strerror) from error
            self._go_on(folder.path, error)
        finally:
            if folder.number is None:
                os.close(file)
        return folder.identity

    def _go_on(self, folder: Path, error: OSError) -> None:
        """Say once that folders can't be synced here; raise anything else that went wrong."""
        if error.errno not in _NO_FOLDER_SYNC:
            raise error
        if not self._is_told and folder.is_relative_to(self.root.parent):
            self._is_told = True
            FOLDER_NOT_SYNCED.tell(error, backend=self.backend, folder=str(folder))


def _sync_bytes(file: int, *, data_only: bool = True) -> None:
    if sys.platform == "darwin":
        # Its fsync leaves bytes in the drive's own memory. Disks in a network know nothing else.
        try:
            fcntl.fcntl(file, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in _NO_FULL_SYNC:
                raise
            os.fsync(file)
    elif data_only and sys.platform != "win32":
        os.fdatasync(file)
    else:
        os.fsync(file)
