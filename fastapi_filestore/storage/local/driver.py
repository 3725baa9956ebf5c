"""Do what a backend is asked for in a folder of this machine."""

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.errors import BucketNotFoundError
from fastapi_filestore.storage.backend import (
    Announcement,
    ObjectInfo,
    ObjectStream,
    SignedURL,
    Stored,
    UnfinishedUpload,
    bad_range,
)
from fastapi_filestore.storage.content import ContentReader, iterate_in_threads
from fastapi_filestore.storage.local.copy import copy_files
from fastapi_filestore.storage.local.delete import delete_files, remove_files
from fastapi_filestore.storage.local.durability import DISK_THREADS
from fastapi_filestore.storage.local.folder import LocalFolder, folder_of, info_of, name_of
from fastapi_filestore.storage.local.modes import obstacle_to_others
from fastapi_filestore.storage.local.read import FileChunks
from fastapi_filestore.storage.local.staged import StagedFile
from fastapi_filestore.storage.local.unfinished import names_of_staged, remove_staged, staged_uploads
from fastapi_filestore.storage.local.write import LocalPut
from fastapi_filestore.storage.paths import check_held_path, check_path
from fastapi_filestore.storage.signing import no_once_url, store_without_urls

DELETIONS = 10
"""Threads for many deletions at once."""
PROBE = "filestore-probe"
"""What the file is named after that a probe writes, and removes at once."""
BLOCK = 4096
"""Bytes that take room on any disk."""


@dataclass(frozen=True, slots=True)
class FolderDriver:
    """Does what a backend is asked for in a folder. Files hold nothing but bytes: types and metadata are not kept."""

    folder: LocalFolder
    has_links, region, client_parts = True, None, None

    @property
    def root(self) -> Path:
        """The folder that objects are files in."""
        return self.folder.root

    def obstacle_to_others(self) -> str | None:
        """Return what has to be done before a program of another user can read the folder."""
        with suppress(FileNotFoundError):  # which a probe tells of
            return obstacle_to_others(self.folder.root, self.folder.modes)
        return None

    def put(
        self, path: str, reader: ContentReader, attributes: Mapping[str, str] | None, plan: object, *, if_absent: bool
    ) -> Coroutine[object, object, Stored]:
        """Store content, written as it comes."""
        return LocalPut(self.folder, path, if_absent).run(reader.chunks())

    async def open(self, path: str, start: int, end: int | None) -> ObjectStream:
        """Open an object, or a range of it that is not empty."""
        info, file = await self.folder.open(path)
        if start and start >= info.size:
            raise bad_range(self.folder.backend, path, start, size=info.size)
        last = info.size if end is None else min(end, info.size)
        return ObjectStream(
            info, start, last, FileChunks(self.folder.backend, self.folder.root, path, file, start, last)
        )

    async def head(self, path: str) -> ObjectInfo:
        """Return what is known of an object; obstore would wait for somebody to write to a named pipe."""
        info, file = await self.folder.open(path)
        file.close()
        return info

    async def copy(self, source: str, target: str) -> None:
        """Copy an object to a file of its own."""
        await copy_files(self.folder, [source], target)

    async def join(self, sources: Sequence[str], target: str) -> ObjectInfo:
        """Copy objects, one after the other, to one file."""
        held = [check_held_path(source) for source in sources]
        return info_of(target, await copy_files(self.folder, held, check_path(target)))

    async def make_durable(self, path: str) -> None:
        """Make an object that somebody else put here outlast a power cut."""
        await self.folder.make_durable(check_held_path(path))

    async def delete(self, paths: Sequence[str]) -> None:
        """Delete objects, several at a time; the first failure is raised when the others have ended."""
        parts = [part for i in range(DELETIONS) if (part := paths[i::DELETIONS])]
        with self.folder.translating(paths[0] if len(paths) == 1 else None):
            jobs = [DISK_THREADS.submit(partial(delete_files, self.folder, part)) for part in parts]
            for failure in await finish(asyncio.gather(*jobs, return_exceptions=True)):
                if failure is not None:
                    raise failure

    def list(self, below: str, after: str | None) -> AsyncIterator[ObjectInfo]:
        """Iterate what is in a folder, in the order of paths."""
        return self.folder.list(below, after=after)

    async def listed_as(self, paths: Sequence[str]) -> Sequence[str]:
        """Return, of each path, that of the object which links lead it to."""
        return await THREADS.run(self.folder.follow_links, paths)

    async def sign(
        self, path: str, *, method: Literal["GET", "PUT"], expires_in: int, content_type: str | None
    ) -> SignedURL:
        """Raise `SigningUnavailableError`."""
        raise store_without_urls(self.folder.backend, path, "a local folder")

    async def sign_once(self, path: str, *, expires_in: int, announced: Announcement) -> SignedURL:
        """Raise `SigningUnavailableError`."""
        raise no_once_url(self.folder.backend, path, "has no server here to be sent to")

    async def sign_download(
        self, path: str, *, expires_in: int, content_type: str, content_disposition: str, for_proxy: bool
    ) -> SignedURL:
        """Raise `SigningUnavailableError`."""
        raise store_without_urls(self.folder.backend, path, "a local folder")

    async def probe(self, *, write: bool) -> None:
        """Raise the fitting error if the folder is missing, or can't be read, or written: its disk says why."""

        def look() -> None:
            root, backend = self.folder.root, self.folder.backend
            if not root.is_dir():
                raise BucketNotFoundError(
                    f"Backend {backend!r} has no folder {str(root)!r} any more: create it, or correct the URL.",
                    backend=backend,
                )
            with os.scandir(root):  # who may write need not be allowed to read
                if not write:
                    return
                file = StagedFile(self.folder, PROBE, if_absent=True)
                try:
                    file.write([bytes(BLOCK)])
                finally:
                    file.discard()

        with self.folder.translating():
            await finish(DISK_THREADS.submit(look))

    async def ask(self, signed: SignedURL | None, content: bytes | None) -> None:
        """Return None: there is nobody to ask."""

    async def drops_unfinished(self) -> bool:
        """Say no: a file that a killed process has begun stays until an audit removes it."""
        return False

    def unfinished_uploads(self) -> AsyncIterator[UnfinishedUpload]:
        """Iterate the staged files."""
        return iterate_in_threads(staged_uploads(self.folder.root))

    async def abort_upload(self, upload: UnfinishedUpload) -> None:
        """Remove a staged file."""
        below, name = folder_of(upload.upload_id), name_of(upload.upload_id)
        with self.folder.translating():
            await finish(DISK_THREADS.submit(partial(remove_files, self.folder, below, [name])))

    async def drop_unfinished(self, paths: Collection[str]) -> None:
        """Remove the staged files of objects."""
        with self.folder.translating():
            await THREADS.run(remove_staged, self.folder, paths)

    async def remains_of(self, paths: Collection[str]) -> Mapping[str, Collection[str]]:
        """Return the staged files of objects, by the paths of these."""
        with self.folder.translating():
            return await THREADS.run(names_of_staged, self.folder, paths)

    def close(self) -> None:
        """Do nothing: no file stays open between two calls."""
