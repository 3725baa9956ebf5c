"""Who may read the files and folders that a local backend makes, whatever umask the process has."""

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from errno import EINVAL, ENOSYS, ENOTSUP, EPERM
from pathlib import Path

from fastapi_filestore.events import MODE_NOT_SET
from fastapi_filestore.settings import parse_file_mode, parse_folder_mode

_NO_MODES = frozenset({EINVAL, ENOSYS, ENOTSUP, EPERM})
"""What a disk says whose files have no modes of their own."""

_told: set[str] = set()


@dataclass(frozen=True, slots=True)
class Modes:
    """The permissions of what a backend makes: of files and of folders."""

    file: int = 0o640
    folder: int = 0o750


def read_modes(options: Mapping[str, object]) -> Modes:
    """Return the modes that options say.

    Raises:
        ConfigurationError: One is no mode, or one that could not work.
    """
    modes = Modes()
    return Modes(
        parse_file_mode(options.get("file_mode", modes.file)),
        parse_folder_mode(options.get("folder_mode", modes.folder)),
    )


def set_folder_mode(place: int | Path, mode: int) -> None:
    """Give a folder, which may be open, its mode; it hands its group on to what is made in it if it does so now."""
    set_mode(place, mode | os.stat(place).st_mode & stat.S_ISGID)  # noqa: PTH116 - may be a number


def set_mode(place: int | Path, mode: int) -> None:
    """Give a file, or a folder, which may be open, its mode; where a disk has none, the log says so once."""
    if sys.platform == "win32":
        return
    try:
        os.chmod(place, mode)  # noqa: PTH101 - may be a number
    except OSError as error:
        if error.errno not in _NO_MODES:
            raise
        _tell_once(error, mode)


def _tell_once(error: OSError, mode: int) -> None:
    if not _told:
        _told.add("mode_not_set")
        MODE_NOT_SET.tell(error, mode=f"{mode:04o}")
