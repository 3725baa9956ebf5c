"""Set who may read the files and folders of a local backend: the application, and nginx in front."""

import os
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
        if not _told:
            _told.add("mode_not_set")
            MODE_NOT_SET.tell(error, mode=f"{mode:04o}")


if sys.platform != "win32":
    import grp
    import pwd

ROOT_GROUP = 0
"""Nobody should be added to it for the sake of files."""
_FILE, _FOLDER = 0o644, 0o755
"""Modes that let everybody read."""


def obstacle_to_others(root: Path, modes: Modes) -> str | None:
    """Return what lets a program of another user read the files of a folder, as words to follow.

    None if nothing is left to do: everybody may read, or a group that has other members.
    """
    if sys.platform == "win32":
        return None
    wrong = list[str]()
    if not modes.file & stat.S_IROTH:
        wrong.append(f"FILE_MODE={_FILE | modes.file:04o}")
    if not modes.folder & stat.S_IXOTH:
        wrong.append(f"FOLDER_MODE={_FOLDER | modes.folder:04o}")
    closed = [path for path in (root, *root.parents) if not path.stat().st_mode & stat.S_IXOTH]
    if closed:
        wrong.append(f"chmod o+x {' '.join(map(str, closed))}")
    if not wrong:
        return None
    for_all = f"let everybody read ({'; '.join(wrong)})"
    status = root.stat()
    has_its_group = status.st_mode & stat.S_ISGID or sys.platform == "darwin"
    group = status.st_gid if has_its_group else os.getegid()
    if group == ROOT_GROUP or not _is_open_to(group, closed, modes):
        return f"{for_all}, or run it as the user of this process"
    return _remedy_of_group(group, for_all)


def _is_open_to(group: int, closed: Sequence[Path], modes: Modes) -> bool:
    folders = [path.stat() for path in closed]
    reaches = all(status.st_gid == group and status.st_mode & stat.S_IXGRP for status in folders)
    return reaches and bool(modes.file & stat.S_IRGRP and modes.folder & stat.S_IXGRP)


def _remedy_of_group(group: int, for_all: str) -> str | None:
    """Return how a group gets another member; None if it has one beside the user of this process."""
    own, name = os.geteuid(), str(group)
    others = [user.pw_name for user in pwd.getpwall() if user.pw_gid == group and user.pw_uid != own]
    with suppress(KeyError):
        own_name = pwd.getpwuid(own).pw_name
        others += [member for member in grp.getgrgid(group).gr_mem if member != own_name]
    if others:
        return None
    with suppress(KeyError):
        name = grp.getgrgid(group).gr_name
    return f"add its user to the group {name!r} (usermod -a -G {name} USER) and start it again, or {for_all}"
