"""Do what Windows and macOS need with files in a folder; docs/platforms.md tells users.

Elsewhere in this package are only the calls that a platform lacks: `open_folder`, `durability`, `modes`, `staged_file`.
"""

import os
import re
import stat
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

IS_WINDOWS = sys.platform == "win32"
NO_NAME = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]$')
"""What no name on Windows holds, or what Windows drops at its end; a colon leads to another stream of a file."""
DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])[ ]*(?:[.:].*)?", re.IGNORECASE | re.DOTALL
)
"""Names that Windows takes for devices, with any ending."""
DRIVE = re.compile(r"/[A-Za-z]:(?:/|$)")
TRIES, PAUSE = 20, 0.05
"""How often a file is asked for that somebody has open on Windows, and the seconds in between: one in all."""
T = TypeVar("T")
_JUNCTION = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0xA0000003)


def folds_names() -> bool:
    """Tell whether disks of this platform take capitals for small letters, as they do unless made otherwise."""
    return sys.platform in {"win32", "darwin"}


def can_name(path: str) -> bool:
    """Tell whether Windows names a file so, and no other one: what it can't name is not there."""
    return not any(NO_NAME.search(part) or DEVICE.fullmatch(part) for part in path.split("/"))


def path_in_url(path: str) -> str:
    """Return the path of a `file://` URL: on Windows without the slash before a drive, as in `/C:/folder`."""
    return path[1:] if IS_WINDOWS and DRIVE.match(path) else path


def is_link(entry: "os.DirEntry[str]") -> bool:
    """Tell whether what is listed leads elsewhere: a link, or a junction of Windows, which is a folder to Python."""
    if entry.is_symlink():
        return True
    return IS_WINDOWS and getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0) == _JUNCTION


def status_of(entry: "os.DirEntry[str]") -> os.stat_result:
    """Return the status of what is listed; Windows' listing leaves out the number that an entity tag begins with."""
    return os.lstat(entry.path) if IS_WINDOWS else entry.stat(follow_symlinks=False)


def once_free(act: Callable[[], T]) -> T:
    """Rename or remove a file, blocking; on Windows that has to wait until nobody reads it, and a virus scanner has.

    Raises:
        PermissionError: Somebody has it open for longer, or it may not be done at all.
    """
    for _ in range(TRIES if IS_WINDOWS else 0):
        try:
            return act()
        except PermissionError:
            time.sleep(PAUSE)
    return act()


@contextmanager
def opening_to_sync(number: int, path: Path) -> Iterator[int]:
    """Give the number of an open file that can be synced: Windows syncs only what may be written."""
    if not IS_WINDOWS:
        yield number
        return
    writable = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        yield writable
    finally:
        os.close(writable)


def spelling_on_disk(root: Path, path: str) -> str:
    """Return how a listing spells a path that a disk finds, whatever capitals and accents it was asked for with."""
    folder, names = root, list[str]()
    for part in path.split("/"):
        try:
            status = os.lstat(folder / part)
            alike = [name for name in os.listdir(folder) if _fold(name) == _fold(part)]  # noqa: PTH208 - names
            if part in alike:
                alike = [part]
            name = next((name for name in alike if os.path.samestat(os.lstat(folder / name), status)), None)
        except (OSError, ValueError):
            return path
        if name is None:
            return path
        names.append(name)
        folder /= name
    return "/".join(names)


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
