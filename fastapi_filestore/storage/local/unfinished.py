"""Find and remove the staged files that killed processes left in a local folder, which no listing shows."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from fastapi_filestore.storage.backend import UnfinishedUpload
from fastapi_filestore.storage.failures.of_folders import LeadsOutsideError
from fastapi_filestore.storage.local.folder import STAGED, LocalFolder, folder_of, is_staged, name_of
from fastapi_filestore.storage.local.open_folder import OpenFolder, open_folder


def staged_uploads(root: Path) -> Iterator[UnfinishedUpload]:
    """Yield, blocking, the unfinished uploads below a root; obstore writes such files, too, before it renames them."""
    for folder, _, names in os.walk(root):
        for name in filter(is_staged, names):
            file = Path(folder) / name
            try:
                status = file.lstat()
            except FileNotFoundError:  # it was completed meanwhile
                continue
            place = file.relative_to(root).as_posix()
            started = datetime.fromtimestamp(status.st_mtime, UTC)
            yield UnfinishedUpload(place.rpartition(STAGED)[0], place, started, place)


def remove_staged(folder: LocalFolder, paths: Iterable[str]) -> None:
    """Remove, blocking, the staged files of objects."""
    for _, open_folder_of_file, name in _staged_files(folder, paths):
        open_folder_of_file.remove(name)


def names_of_staged(folder: LocalFolder, paths: Iterable[str]) -> dict[str, list[str]]:
    """Return, blocking, the staged files of objects, by the paths of these."""
    names = defaultdict[str, list[str]](list)
    for path, _, name in _staged_files(folder, paths):
        names[path].append("/".join(filter(None, (folder_of(path), name))))
    return names


def _staged_files(folder: LocalFolder, paths: Iterable[str]) -> Iterator[tuple[str, OpenFolder, str]]:
    """Yield the staged files of objects, each with the object's path and its open folder; each folder is read once."""
    wanted: dict[str, dict[str, str]] = defaultdict(dict)
    for path in paths:
        wanted[folder_of(path)][name_of(path)] = path
    for below, path_of in wanted.items():
        with (
            suppress(FileNotFoundError, NotADirectoryError, LeadsOutsideError),
            open_folder(folder.root, below) as opened,
        ):
            for name in opened.names():
                if is_staged(name) and (target := path_of.get(name.rpartition(STAGED)[0])):
                    yield target, opened, name
