"""What a local folder needs beyond obstore: no way out of it through links, keys in order, a check for writing."""

import os
import re
import stat
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate, islice
from pathlib import Path

from fastapi_filestore.errors import BucketNotFoundError, ObjectNotFoundError, StoragePermissionError
from fastapi_filestore.storage.backend import ObjectInfo
from fastapi_filestore.storage.cleanup import finish
from fastapi_filestore.storage.obstore.durability import DISK_THREADS, Durability
from fastapi_filestore.storage.obstore.errors import translated
from fastapi_filestore.storage.obstore.local_file import LocalFile, open_inside
from fastapi_filestore.storage.threads import THREADS

SURROGATE = re.compile("[\ud800-\udfff]")
STAGED = "#"
"""Before the number that ends the name of an upload which obstore has not finished."""
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
    """

    backend: str
    root: Path
    durability: Durability
    keeps_folders: bool = True

    async def check_inside(self, path: str, *, parent: bool = False) -> None:
        """Raise `ObjectNotFoundError` if links lead an object, or only the folder it is in, out of the root."""
        target = path.rpartition("/")[0] if parent else path
        # Folders that are used all the time: to look here takes microseconds, a hop to a thread a hundred times that.
        if self._has_links(target) and not await THREADS.run(self._is_inside, self.root / target):
            raise ObjectNotFoundError(
                f"Backend {self.backend!r} has no object {path!a}: a link there leads out of its folder.",
                backend=self.backend,
                key=path,
            )

    async def open(self, path: str) -> tuple[ObjectInfo, LocalFile]:
        """Open an object; `ObjectNotFoundError` if it is missing, or if links lead out of the root."""
        with translated(self.backend, path):
            file = None if is_staged(path) else await THREADS.run(open_inside, self.root, path)
        if file is None:
            raise ObjectNotFoundError(
                f"Backend {self.backend!r} has no object {path!a}.", backend=self.backend, key=path
            )
        return _info_of(path, file.status), file

    def holds(self, path: str) -> bool:
        """Tell, blocking, whether no link leads the folder of an object out of the root."""
        return self._is_inside((self.root / path).parent)

    def follow_links(self, paths: Sequence[str]) -> Sequence[str]:
        """Return, blocking, where links inside the folder lead some paths: a listing shows only that."""
        root = Path(os.path.realpath(self.root))
        return [self._follow_links(path, root) for path in paths]

    def _follow_links(self, path: str, root: Path) -> str:
        # A row may hold what is no path of a file, or leads out of the folder.
        with suppress(ValueError):
            if self._has_links(path):
                return Path(os.path.realpath(self.root / path)).relative_to(root).as_posix()
        return path

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
        self.durability.sync_file(file.fileno())
        self.durability.sync_names((self.root / path).parent)

    async def sync_removals(self, paths: Sequence[str]) -> None:
        """Return once objects that were removed will not come back after a power cut.

        What is missing may have been removed by a process that was killed before it came to this.
        """
        if self.durability.is_on:
            folders = [(self.root / path).parent for path in paths]
            with translated(self.backend, paths[0] if len(paths) == 1 else None):
                await finish(DISK_THREADS.submit(partial(self.durability.sync_removals, folders)))

    async def list(self, prefix: str, *, after: str | None, page: int) -> AsyncIterator[ObjectInfo]:
        """Iterate what is in a folder in the order of keys, which obstore does not keep; links are left out."""
        folder = self.root / prefix
        if not await THREADS.run(self._is_inside, folder):
            return
        found = self._walk(folder, f"{prefix}/" if prefix else "", after or "")
        while batch := await THREADS.run(lambda: [*islice(found, page)]):
            for info in batch:
                yield info

    async def probe(self) -> None:
        """Raise if the folder is missing or can't be written."""
        if not await THREADS.run(self.root.is_dir):
            raise BucketNotFoundError(
                f"The folder of backend {self.backend!r} does not exist: create it, or correct the URL.",
                backend=self.backend,
            )
        if not await THREADS.run(os.access, self.root, os.R_OK | os.W_OK | os.X_OK):
            raise StoragePermissionError(
                f"The folder of backend {self.backend!r} can't be read and written by this process: change its owner "
                "or permissions.",
                backend=self.backend,
            )

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


def is_staged(path: str) -> bool:
    """Tell whether a name is one that only an unfinished upload has."""
    return STAGED_NAME.fullmatch(path.rpartition("/")[2]) is not None


def _sorted_entries(folder: Path) -> list[tuple[str, "os.DirEntry[str]"]]:
    try:
        with os.scandir(folder) as entries:
            named = [(_sort_name(entry), entry) for entry in entries if _is_ours(entry)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(named, key=lambda pair: pair[0])


def _is_ours(entry: "os.DirEntry[str]") -> bool:
    # A name that is not UTF-8 comes with lone surrogates and can't be a key.
    return not entry.is_symlink() and not SURROGATE.search(entry.name)


def _sort_name(entry: "os.DirEntry[str]") -> str:
    # As in a key: "a-b" comes before "a/b", though "a" comes before "a-b".
    return f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name


def _info(key: str, entry: "os.DirEntry[str]") -> ObjectInfo | None:
    if is_staged(key):
        return None
    try:
        status = entry.stat(follow_symlinks=False)
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
