"""Hold folders open while something is done in them, so that nobody can swap one for a link meanwhile.

Each is opened step by step, and no step follows a link. A link that stays inside the root is read, and where it leads
is opened in the same way. Whatever is put in the place of a folder meanwhile, nothing happens outside of the root.
"""

import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from errno import EACCES, EINVAL, ELOOP, EMLINK, ENOSYS, ENOTDIR, ENOTSUP, EOPNOTSUPP, EPERM, EXDEV
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Self

from fastapi_filestore.storage.failures.of_folders import LeadsOutsideError
from fastapi_filestore.storage.local.modes import set_folder_mode, set_mode
from fastapi_filestore.storage.local.platforms import once_free

HOLDS_FOLDERS = (
    sys.platform != "win32"
    and {os.open, os.mkdir, os.link, os.rename, os.stat, os.unlink, os.rmdir} <= os.supports_dir_fd
    and hasattr(os, "O_NOFOLLOW")
)
"""Whether this platform does something in an open folder; elsewhere links are looked for before it is done."""
MOST_TRIES = 3
"""Times that links are read which change meanwhile."""

NO_LINKS = frozenset({EACCES, EINVAL, EMLINK, ENOSYS, ENOTSUP, EOPNOTSUPP, EPERM, EXDEV})
"""What disks without hard links say: exFAT, SMB, FUSE, Android's; whatever else is wrong, the next call says again."""

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_UNREADABLE = getattr(os, "O_PATH", 0)
"""Opens a folder that may be entered and not listed."""
_IS_LINK = frozenset({ELOOP, EMLINK, ENOTDIR})
"""What systems say of a step that is a link; Linux says the same of a file."""

_Step = Callable[[str, str, int | None], int]
"""Opens a folder by its name, in an open folder if there is one; the other text is its path below the root."""


class OpenFolder:
    """A folder that is held open; every method blocks.

    Attributes:
        root: The folder that it is below.
        below: Its path from there, without links; empty for the root itself.
        number: Its number in this process; None where a platform can't do anything in open folders.
    """

    __slots__ = ("_identity", "below", "number", "root")

    def __init__(self, root: Path, below: str, number: int | None) -> None:
        """Take over a folder that is open."""
        self.root, self.below, self.number = root, below, number
        self._identity: tuple[int, int] | None = None

    @property
    def path(self) -> Path:
        """Its path as it was opened."""
        return self.root / self.below

    @property
    def identity(self) -> tuple[int, int]:
        """Device and number, which tell it from all other folders."""
        if self._identity is None:
            status = self.path.stat() if self.number is None else os.fstat(self.number)
            self._identity = status.st_dev, status.st_ino
        return self._identity

    def is_in_place(self) -> bool:
        """Tell whether it is still where it was as it was opened."""
        with suppress(FileNotFoundError, NotADirectoryError):
            status = os.stat(self.path)  # noqa: PTH116 - as quick as can be
            return (status.st_dev, status.st_ino) == self.identity
        return False

    def create(self, name: str, mode: int) -> FileIO:
        """Create a file of a mode, whatever the process's umask is; `FileExistsError` if something has the name."""
        file = FileIO(self._place(name), "xb", opener=partial(os.open, mode=mode, dir_fd=self.number))
        set_mode(file.fileno(), mode)
        return file

    def rename_if_free(self, name: str, target: str) -> None:
        """Give a file a new name; `FileExistsError` if something has it.

        A disk without hard links has an empty file of that name for a moment.
        """
        try:
            os.link(
                self._place(name),
                self._place(target),
                src_dir_fd=self.number,
                dst_dir_fd=self.number,
                # Somebody may have put a link in the place of the file.
                follow_symlinks=os.link not in os.supports_follow_symlinks,
            )
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
        else:
            with self._freeing_after_failure(target):
                self.remove(name)
            return
        if sys.platform == "win32":
            once_free(partial(os.rename, self._place(name), self._place(target)))  # which replaces nothing there
            return
        self.create(target, stat.S_IRUSR | stat.S_IWUSR).close()
        with self._freeing_after_failure(target):
            self.replace(name, target)

    @contextmanager
    def _freeing_after_failure(self, target: str) -> Iterator[None]:
        """Remove the file that was given a name if the block fails."""
        try:
            yield
        except BaseException:
            with suppress(OSError):
                self.remove(target)
            raise

    def replace(self, name: str, target: str) -> None:
        """Rename a file; what had its new name is gone."""
        once_free(
            partial(os.replace, self._place(name), self._place(target), src_dir_fd=self.number, dst_dir_fd=self.number)
        )

    def remove(self, name: str) -> None:
        """Remove a file or a link; it is fine if there is none."""
        with suppress(FileNotFoundError):
            once_free(partial(os.unlink, self._place(name), dir_fd=self.number))

    def remove_folder(self, name: str) -> None:
        """Remove an empty folder."""
        os.rmdir(self._place(name), dir_fd=self.number)

    def has_folder(self, name: str) -> bool:
        """Tell whether a name is that of a folder."""
        with suppress(OSError):
            return stat.S_ISDIR(os.stat(self._place(name), dir_fd=self.number, follow_symlinks=False).st_mode)
        return False

    def names(self) -> Sequence[str]:
        """Return the names of all that is in it."""
        return os.listdir(self.path if self.number is None else self.number)  # noqa: PTH208 - may be a number

    def close(self, *_: object) -> None:
        """Close it; it may be closed already."""
        number, self.number = self.number, None
        if number is not None:
            os.close(number)

    def __enter__(self) -> Self:
        return self

    __exit__ = __del__ = close

    def _place(self, name: str) -> str:
        return name if self.number is not None else str(self.path / name)


def open_folder(root: Path, below: str, step: _Step | None = None) -> OpenFolder:
    """Open a folder below a root, step by step where the platform can, over links that stay inside.

    Raises:
        FileNotFoundError, NotADirectoryError: It is missing, or no folder.
        LeadsOutsideError: A link leads out of the root.
    """
    if not HOLDS_FOLDERS:
        led = resolve_links(root, below)
        if not stat.S_ISDIR((root / led).stat().st_mode):
            raise _no_folder(root / led)
        return OpenFolder(root, led, None)
    step, tries = step or _open, 0
    while True:
        try:
            if not below:
                return OpenFolder(root, below, _open(os.fspath(root), below, None, _FOLDER))
            first, *others = below.split("/")
            # Nobody who may write in the root can swap the root itself.
            number, path = step(f"{root}/{first}", first, None), first
            for name in others:
                outer, path = number, f"{path}/{name}"
                try:
                    number = step(name, path, outer)
                finally:
                    os.close(outer)
            return OpenFolder(root, below, number)
        except OSError as error:
            if error.errno not in _IS_LINK:
                raise
            below, tries = resolve_links(root, below), tries + 1
            if tries == MOST_TRIES:
                raise


def make_folder(root: Path, below: str, mode: int, tell: Callable[[Path], None]) -> OpenFolder:
    """Open a folder below a root, and make what is missing of it; `tell` is called with each that is missing.

    Raises:
        NotADirectoryError: A step is no folder.
        LeadsOutsideError: A link leads out of the root.
    """

    def open_or_make(name: str, path: str, outer: int | None) -> int:
        try:
            return _open(name, path, outer)
        except FileNotFoundError:
            tell(root / path)
        try:
            os.mkdir(name, mode, dir_fd=outer)
        except FileExistsError:
            return _open(name, path, outer)
        number = _open(name, path, outer)
        set_folder_mode(number, mode)
        return number

    make_root(root, mode)
    if HOLDS_FOLDERS:
        return open_folder(root, below, open_or_make)
    led = resolve_links(root, below)
    if not (root / led).is_dir():
        tell(root / led)
        make_root(root / led, mode)
    return OpenFolder(root, led, None)


def make_root(path: Path, mode: int) -> None:
    """Make a folder, and those above it, of a mode, unless they are there."""
    if path.is_dir():
        return
    make_root(path.parent, mode)
    try:
        path.mkdir(mode)
    except FileExistsError:
        if not path.is_dir():
            raise _no_folder(path) from None
    else:
        set_folder_mode(path, mode)


def _open(name: str, _: str, outer: int | None, flags: int = _FOLDER | _NO_LINK) -> int:
    try:
        return os.open(name, flags, dir_fd=outer)
    except OSError as error:
        if error.errno != EACCES or not _UNREADABLE:
            raise
        return os.open(name, flags | _UNREADABLE, dir_fd=outer)


def resolve_links(root: Path, below: str) -> str:
    """Return where links lead a path below a root; `LeadsOutsideError` if they lead out of it."""
    try:
        led = Path(os.path.realpath(root / below)).relative_to(os.path.realpath(root)).as_posix()
    except ValueError:
        raise LeadsOutsideError(below) from None
    return "" if led == "." else led


def _no_folder(path: Path) -> NotADirectoryError:
    return NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), str(path))
