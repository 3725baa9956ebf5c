"""Look for objects in a local folder: never out of it through links, and in the order of their paths."""

import os
import re
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from errno import ENAMETOOLONG, ENOENT, ENOTDIR
from itertools import accumulate, islice
from operator import itemgetter
from pathlib import Path

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.errors import ObjectNotFoundError
from fastapi_filestore.storage.backend import ObjectInfo
from fastapi_filestore.storage.content import iterate_in_threads
from fastapi_filestore.storage.failures.translate import translating
from fastapi_filestore.storage.local import platforms
from fastapi_filestore.storage.local.durability import DISK_THREADS, Durability
from fastapi_filestore.storage.local.modes import Modes
from fastapi_filestore.storage.local.open_folder import OpenFolder, open_folder
from fastapi_filestore.storage.local.platforms import (
    folds_names,
    is_link,
    opening_to_sync,
    spelling_on_disk,
    status_of,
)
from fastapi_filestore.storage.local.read import LocalFile, open_inside

SURROGATE = re.compile("[\ud800-\udfff]")
STAGED = "#"
"""Before the number that ends the name of an upload which obstore has not finished."""
_GONE = frozenset({ENAMETOOLONG, ENOENT, ENOTDIR})
DIGITS = 13
"""Of our own numbers, unless a long name has no room for them: two uploads to one path at once must not meet."""
STAGED_NAME = re.compile(rf"(?s:[^#]*#[0-9]+|.*#[0-9]{{{DIGITS}}})")
"""obstore's own and ours; a name such as `Invoice #1 #2` is neither."""


@dataclass(frozen=True, slots=True)
class LocalFolder:
    """The folder of a local backend.

    Attributes:
        backend: The backend's key.
        root: Where the folder is.
        durability: What makes its files outlast a power cut.
        keeps_folders: Whether folders stay when they are empty.
        modes: Who may read the files and folders that are made in it.
    """

    backend: str
    root: Path
    durability: Durability
    keeps_folders: bool = True
    modes: Modes = field(default_factory=Modes)

    def translating(self, path: str | None = None) -> AbstractContextManager[None]:
        """Turn what its disk raises inside into the fitting `StorageError`, which says where it is."""
        return translating(self.backend, path, self.root)

    def enter_what_is_left(self, below: str) -> tuple[OpenFolder, bool]:
        """Open, blocking, a folder, or the next one above it that is there; return also whether it is that folder."""
        asked, above = below, iter((self.root, *self.root.parents))
        while True:
            root = self.root if below else next(above)
            try:
                return open_folder(root, below), root == self.root and below == asked
            except OSError as error:
                if error.errno not in _GONE:
                    raise
            self.durability.forget(root / below)
            below = folder_of(below)

    async def open(self, path: str) -> tuple[ObjectInfo, LocalFile]:
        """Open an object; `ObjectNotFoundError` if it is missing, or if links lead out of the root."""
        with translating(self.backend, path, self.root):
            file = await THREADS.run(open_inside, self.root, path) if can_be_there(path) else None
        if file is None:
            raise ObjectNotFoundError(
                f"Backend {self.backend!r} has no object {path!a}.", backend=self.backend, path=path
            )
        return info_of(path, file.status), file

    def follow_links(self, paths: Sequence[str]) -> Sequence[str]:
        """Return, blocking, where links inside the folder lead some paths: a listing shows only that."""
        root, places = Path(os.path.realpath(self.root)), list[str]()
        for path in paths:
            place = path
            # A row may hold what is no path of a file, or leads out of the folder.
            with suppress(ValueError):
                steps = accumulate(path.split("/"), os.path.join, initial=str(self.root))
                if any(map(os.path.islink, islice(steps, 1, None))):
                    place = Path(os.path.realpath(self.root / path)).relative_to(root).as_posix()
            places.append(spelling_on_disk(root, place) if folds_names() else place)
        return places

    async def make_durable(self, path: str) -> None:
        """Make an object that somebody else put here outlast a power cut.

        Raises:
            ObjectNotFoundError: It is missing, or links lead out of the root.
            StorageError: The disk did not confirm it.
        """
        if not self.durability.is_on:
            return
        _, file = await self.open(path)

        def sync() -> None:
            with opening_to_sync(file.fileno(), self.root / path) as number:
                self.durability.sync_file(number)
            with open_folder(self.root, folder_of(path)) as folder:
                self.durability.sync_names(folder)

        try:
            with self.translating(path):
                await finish(DISK_THREADS.submit(sync))
        finally:
            file.close()

    async def list(self, below: str, *, after: str | None) -> AsyncIterator[ObjectInfo]:
        """Iterate what is in a folder in the order of paths, which obstore does not keep; links are left out."""
        folder = self.root / below
        is_inside = await THREADS.run(
            lambda: Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(self.root))
        )
        if not is_inside:
            return
        async for info in iterate_in_threads(_walk(folder, f"{below}/" if below else "", after or "")):
            yield info


def _walk(folder: Path, prefix: str, after: str) -> Iterator[ObjectInfo]:
    try:
        with os.scandir(folder) as found:
            # A name that is not UTF-8 comes with lone surrogates and can't be in a path.
            entries = [entry for entry in found if not is_link(entry) and not SURROGATE.search(entry.name)]
            # As in a path: "a-b" comes before "a/b", though "a" comes before "a-b".
            ends = ["/" if entry.is_dir(follow_symlinks=False) else "" for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return
    named = [(entry.name + end, entry) for entry, end in zip(entries, ends, strict=True)]
    for name, entry in sorted(named, key=itemgetter(0)):
        path = prefix + name
        if name.endswith("/"):
            # A folder whose every path comes before `after` need not be read.
            if path > after or after.startswith(path):
                yield from _walk(folder / name, path, after)
        elif path > after and not is_staged(path):
            try:
                status = status_of(entry)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(status.st_mode):
                yield info_of(path, status)


def folder_of(path: str) -> str:
    """Return the folder of an object, empty for the root."""
    return path.rpartition("/")[0]


def name_of(path: str) -> str:
    """Return the name of an object in its folder."""
    return path.rpartition("/")[2]


def is_staged(path: str) -> bool:
    """Tell whether a name is one that only an unfinished upload has."""
    return STAGED_NAME.fullmatch(path.rpartition("/")[2]) is not None


def can_be_there(path: str) -> bool:
    """Tell whether an object of a path may be in a folder of this platform."""
    if platforms.IS_WINDOWS and not platforms.can_name(path):
        return False
    return STAGED_NAME.fullmatch(path.rpartition("/")[2]) is None


def info_of(path: str, status: os.stat_result) -> ObjectInfo:
    """Return what the status of a file says of its object."""
    return ObjectInfo(
        path=path,
        size=status.st_size,
        last_modified=datetime.fromtimestamp(status.st_mtime, UTC),
        etag=etag_of(status),
    )


def etag_of(status: os.stat_result) -> str:
    """Return the entity tag of a file."""
    # As obstore makes it, so that a listing and a head agree.
    return f'"{status.st_ino:x}-{status.st_mtime_ns // 1000:x}-{status.st_size:x}"'
