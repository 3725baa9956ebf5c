"""Write a file beside its place, under a name that no listing shows, and put it there once it is complete."""

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import ENOENT
from io import FileIO
from itertools import islice
from secrets import randbelow

from fastapi_filestore.errors import InvalidKeyError, StorageUnavailableError
from fastapi_filestore.storage.failures.translate import translating
from fastapi_filestore.storage.local.folder import (
    DIGITS,
    STAGED,
    LocalFolder,
    can_be_there,
    is_staged,
)
from fastapi_filestore.storage.local.open_folder import OpenFolder, make_folder, open_folder

LONGEST_NAME = 255
"""Bytes of a name that most disks can hold."""
MOST_TRIES = 10
"""Names that are tried, and folders that are made anew, before an upload fails: others may take and remove them."""
MOST_PIECES = 1024
"""Written by one system call: the most that any platform takes (POSIX's IOV_MAX on Linux and macOS)."""


class StagedFile:
    """An object of a local folder while it is uploaded; every method blocks.

    It is named as obstore names its own, so that what a killed process leaves is found in the same way. Its folder is
    held open from its first byte to its end: if that is swapped for a link meanwhile, nothing happens where it leads.
    """

    def __init__(self, folder: LocalFolder, path: str, *, if_absent: bool) -> None:
        """Prepare a file for the object at a path; with `if_absent` it may only go where nothing is.

        Raises:
            InvalidKeyError: The name is one that only an unfinished upload has, or that this platform can't give.
        """
        if not can_be_there(path):
            is_staged_name = is_staged(path)
            why = (
                "it is a name of an unfinished upload" if is_staged_name else "no file of this platform has such a name"
            )
            raise InvalidKeyError(
                f"Backend {folder.backend!r} can't hold an object named {path!a}: {why}.",
                backend=folder.backend,
                path=path,
            )
        self._folder, self._durability, self._if_absent = folder, folder.durability, if_absent
        self._below, _, self._target = path.rpartition("/")
        self._staged = self._target
        self._file: FileIO | None = None
        self._open_folder: OpenFolder | None = None
        self._is_placed = False

    def write(self, pieces: Iterable[bytes]) -> None:
        """Append bytes, with as few system calls as can be: after each, a thread waits for the interpreter's lock."""
        file, waiting = self._open(), deque[memoryview]()
        for piece in pieces:
            waiting.append(memoryview(piece))
        while waiting:
            if sys.platform == "win32":
                size = file.write(waiting[0])
            else:
                size = os.writev(file.fileno(), list(islice(waiting, MOST_PIECES)))
            # What was written may end within a piece.
            while waiting and size >= len(waiting[0]):
                size -= len(waiting.popleft())
            if size:
                waiting[0] = waiting[0][size:]

    def take(self, source: int, start: int, size: int) -> int:
        """Append bytes of another open file, which the disk may share between the two, and return how many.

        0 says that there are no more, or that the kernel does not copy between these files.
        """
        file = self._open()
        if sys.platform == "linux":
            with suppress(OSError):  # a disk that is full says so again when the bytes are written
                return os.copy_file_range(source, file.fileno(), size, start)
        return 0

    def sync(self) -> None:
        """Return once what was written before is on the disk; another thread may write more meanwhile.

        Raises:
            SyncError: It is not, and never will be: the file is to be discarded.
        """
        self._durability.sync_file(self._open().fileno())

    def complete(self, rest: Iterable[bytes]) -> os.stat_result:
        """Append the last bytes, put the file in its place, and return its status; a power cut leaves it there.

        Raises:
            FileExistsError: Something is there, and the file may only go where nothing is.
            FileNotFoundError: The file, or its folder, was moved or removed meanwhile.
            SyncError: The disk did not confirm it.
        """
        self.write(rest)
        self.sync()
        with self._open() as file:
            status = os.fstat(file.fileno())
        folder = self._enter()
        self.put_in_place(folder)
        self._durability.sync_names(folder)
        folder.close()  # after a failure it is needed to discard the file
        return status

    def put_in_place(self, folder: OpenFolder) -> None:
        """Give the file its name in its folder, which must still be where it was."""
        if not folder.is_in_place():
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(folder.path))
        if self._if_absent:
            folder.rename_if_free(self._staged, self._target)
        else:
            folder.replace(self._staged, self._target)
        self._is_placed = True

    def discard(self) -> None:
        """Remove what was written; a file in its place stays if it may have replaced another one."""
        if self._file is None:
            return
        with suppress(OSError):  # a disk in a network may say only now that it is full
            self._file.close()
        with self._enter() as folder:
            try:
                folder.remove(self._staged)
            finally:
                if self._is_placed and self._if_absent:
                    folder.remove(self._target)

    def _open(self) -> FileIO:
        """Return the file, which is made when it is needed first."""
        tries = 0
        while self._file is None:
            # No other upload to the same path has this name; of a long one, only few digits have room.
            room = LONGEST_NAME - len(os.fsencode(self._target)) - len(STAGED)
            digits = DIGITS if STAGED in self._target else min(max(room, 1), DIGITS)
            least = 10 ** (digits - 1)
            self._staged = f"{self._target}{STAGED}{least + randbelow(9 * least)}"
            try:
                self._file = self._enter().create(self._staged, self._folder.modes.file)
            except (FileExistsError, FileNotFoundError) as error:
                tries += 1
                if tries > MOST_TRIES:
                    raise
                if isinstance(error, FileNotFoundError):
                    with suppress(FileNotFoundError):  # somebody else removes empty folders
                        self._enter(anew=True)
        return self._file

    def _enter(self, *, anew: bool = False) -> OpenFolder:
        """Return the folder of the file, which stays open; made anew where it was missing a moment ago."""
        if anew and self._open_folder is not None:
            self._open_folder.close()
            self._open_folder = None
        if self._open_folder is None:
            root, folder = self._folder.root, self._folder
            self._open_folder = (
                make_folder(root, self._below, folder.modes.folder, self._durability.forget)
                if anew
                else open_folder(root, self._below)
            )
        return self._open_folder


@contextmanager
def writing(folder: LocalFolder, path: str) -> Iterator[None]:
    """Turn what the disk raises of a file that is written inside into our errors.

    Raises:
        StorageUnavailableError: Somebody removed it before it was complete, as a sweeper does with what it takes for
            the rest of a process that is dead.
        StorageError: The disk did not take it, or did not confirm that it is there.
    """
    with translating(folder.backend, path, folder.root):
        try:
            yield
        except FileNotFoundError:
            raise StorageUnavailableError(
                f"What came of {path!a} for backend {folder.backend!r} was removed before it was complete: upload it "
                "again.",
                backend=folder.backend,
                path=path,
            ) from None
