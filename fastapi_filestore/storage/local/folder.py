"""What a local folder needs beyond obstore: no way out of it through links, and keys in order."""

import os
import re
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from errno import ENAMETOOLONG, ENOENT, ENOTDIR
from functools import partial
from itertools import accumulate, islice
from pathlib import Path

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.errors import ObjectNotFoundError
from fastapi_filestore.storage.backend import ObjectInfo
from fastapi_filestore.storage.failures.translate import translated
from fastapi_filestore.storage.local.durability import DISK_THREADS, Durability
from fastapi_filestore.storage.local.modes import Modes
from fastapi_filestore.storage.local.open_folder import OpenFolder, make_folder, open_folder
from fastapi_filestore.storage.local.platforms import (
    can_name,
    folds_names,
    is_link,
    opened_to_sync,
    spelled_on_disk,
    status_of,
)
from fastapi_filestore.storage.local.read import LocalFile, open_inside

SURROGATE = re.compile("[\ud800-\udfff]")
STAGED = "#"
"""Before the number that ends the name of an upload which obstore has not finished."""
_GONE = frozenset({ENAMETOOLONG, ENOENT, ENOTDIR})
DIGITS = 13
"""Of our own numbers, unless a long name has no room for them: two uploads to one key at once must not meet."""
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

    def enter(self, below: str) -> OpenFolder:
        """Open, blocking, a folder in which something is to be done.

        Raises:
            FileNotFoundError, NotADirectoryError: It is missing, or no folder.
            LeadsOutsideError: A link leads out of the root.
        """
        return open_folder(self.root, below)

    def enter_anew(self, below: str) -> OpenFolder:
        """Open, blocking, a folder that was missing a moment ago, and make it."""
        return make_folder(self.root, below, self.modes.folder, self.durability.forget)

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
        with translated(self.backend, path):
            file = await THREADS.run(open_inside, self.root, path) if can_be_there(path) else None
        if file is None:
            raise ObjectNotFoundError(
                f"Backend {self.backend!r} has no object {path!a}.", backend=self.backend, key=path
            )
        return _info_of(path, file.status), file

    def follow_links(self, paths: Sequence[str]) -> Sequence[str]:
        """Return, blocking, where links inside the folder lead some paths: a listing shows only that."""
        root = Path(os.path.realpath(self.root))
        return [self._follow_links(path, root) for path in paths]

    def _follow_links(self, path: str, root: Path) -> str:
        # A row may hold what is no path of a file, or leads out of the folder.
        with suppress(ValueError):
            if self._has_links(path):
                path = Path(os.path.realpath(self.root / path)).relative_to(root).as_posix()
        return spelled_on_disk(root, path) if folds_names() else path

    async def settle(self, path: str) -> None:
        """Make an object that somebody else put here outlast a power cut.

        Raises:
            ObjectNotFoundError: It is missing, or links lead out of the root.
            StorageError: The disk did not confirm it.
        """
        if self.durability.is_on:
            _, file = await self.open(path)
            try:
                with translated(self.backend, path):
                    await finish(DISK_THREADS.submit(partial(self._settle, file, path)))
            finally:
                file.close()

    def _settle(self, file: LocalFile, path: str) -> None:
        with opened_to_sync(file.fileno(), self.root / path) as number:
            self.durability.sync_file(number)
        with self.enter(folder_of(path)) as folder:
            self.durability.sync_names(folder)

    async def list(self, prefix: str, *, after: str | None, page: int) -> AsyncIterator[ObjectInfo]:
        """Iterate what is in a folder in the order of keys, which obstore does not keep; links are left out."""
        folder = self.root / prefix
        if not await THREADS.run(self._is_inside, folder):
            return
        found = self._walk(folder, f"{prefix}/" if prefix else "", after or "")
        while batch := await THREADS.run(lambda: [*islice(found, page)]):
            for info in batch:
                yield info

    def _has_links(self, path: str) -> bool:
        steps = accumulate(path.split("/"), os.path.join, initial=str(self.root))
        return any(map(os.path.islink, islice(steps, 1, None)))

    def _is_inside(self, target: Path) -> bool:
        return Path(os.path.realpath(target)).is_relative_to(os.path.realpath(self.root))

    def _walk(self, folder: Path, prefix: str, after: str) -> Iterator[ObjectInfo]:
        for name, entry in _sorted_entries(folder):
            key = prefix + name
            if name.endswith("/"):
                # A folder whose every key comes before `after` need not be read.
                if key > after or after.startswith(key):
                    yield from self._walk(folder / name, key, after)
            elif key > after:
                info = _info(key, entry)
                if info is not None:
                    yield info


def folder_of(path: str) -> str:
    """Return the folder of an object, empty for the root."""
    return path.rpartition("/")[0]


def name_of(path: str) -> str:
    """Return the name of an object in its folder."""
    return path.rpartition("/")[2]


def is_staged(path: str) -> bool:
    """Tell whether a name is one that only an unfinished upload has."""
    return STAGED_NAME.fullmatch(name_of(path)) is not None


def can_be_there(path: str) -> bool:
    """Tell whether an object of a key may be in a folder of this platform."""
    return can_name(path) and not is_staged(path)


def _sorted_entries(folder: Path) -> list[tuple[str, "os.DirEntry[str]"]]:
    try:
        with os.scandir(folder) as entries:
            named = [(_sort_name(entry), entry) for entry in entries if _is_ours(entry)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(named, key=lambda pair: pair[0])


def _is_ours(entry: "os.DirEntry[str]") -> bool:
    # A name that is not UTF-8 comes with lone surrogates and can't be a key.
    return not is_link(entry) and not SURROGATE.search(entry.name)


def _sort_name(entry: "os.DirEntry[str]") -> str:
    # As in a key: "a-b" comes before "a/b", though "a" comes before "a-b".
    return f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name


def _info(key: str, entry: "os.DirEntry[str]") -> ObjectInfo | None:
    if is_staged(key):
        return None
    try:
        status = status_of(entry)
    except FileNotFoundError:
        return None
    return _info_of(key, status) if stat.S_ISREG(status.st_mode) else None


def _info_of(key: str, status: os.stat_result) -> ObjectInfo:
    return ObjectInfo(
        path=key,
        size=status.st_size,
        last_modified=datetime.fromtimestamp(status.st_mtime, UTC),
        etag=etag_of(status),
    )


def etag_of(status: os.stat_result) -> str:
    """Return the entity tag of a file."""
    # As obstore makes it, so that a listing and a head agree.
    return f'"{status.st_ino:x}-{status.st_mtime_ns // 1000:x}-{status.st_size:x}"'
