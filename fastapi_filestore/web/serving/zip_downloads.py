"""Answer with many stored files as one ZIP archive, made while it is sent: one file is open at a time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias, TypeVar
from zlib import crc32

from fastapi import Request, Response

from fastapi_filestore.errors import NotAFileError, PendingContentError, StorageError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.file_object.state import FileState
from fastapi_filestore.intake.names import safe_filename
from fastapi_filestore.web.paths import name_request
from fastapi_filestore.web.serving.downloads import agreed_size, open_agreed
from fastapi_filestore.web.serving.headers import file_headers
from fastapi_filestore.web.serving.options import DownloadOptions
from fastapi_filestore.web.serving.streaming import StreamedResponse
from fastapi_filestore.web.serving.zip_format import Entry, ZipArchive
from fastapi_filestore.web.serving.zip_names import ZipNames

ZippedFile: TypeAlias = FileObject | tuple[str, FileObject] | None
"""A stored file, one with its path in the archive (its folder, if that ends in `/`), or none, as a row may have."""
ZippedFiles: TypeAlias = Iterable[ZippedFile] | AsyncIterable[ZippedFile] | None
"""Such files; None is what a list column without a value has."""

T = TypeVar("T")

AT_ONCE = 100
"""Files that are named and measured at once."""
AS_DOWNLOAD = DownloadOptions(attachment=True)


@dataclass(frozen=True, slots=True)
class _Member:
    """A file, and its name in the archive."""

    name: str
    file: FileObject

    @property
    def entry(self) -> Entry | None:
        """Its entry in the archive, if that is known before it is opened."""
        size, modified = self.file.size, self.file.last_modified
        return None if size is None or modified is None else Entry(self.name, size, modified)


async def zip_download(request: Request, files: ZippedFiles, *, filename: str) -> Response:
    """Return the response with an archive of stored files.

    Raises:
        NotAFileError: Something among the files is none.
        PendingContentError: One of them is not stored.
        ObjectNotFoundError: The store has lost the first one.
        StorageError: The store has other bytes of the first one, or can't be asked.
    """
    name_request(request.scope)
    archive = FileObject(filename=safe_filename(filename), content_type="application/zip")
    headers = file_headers(archive, AS_DOWNLOAD) | {"Accept-Ranges": "none"}
    size: int | None = None
    if isinstance(files, AsyncIterable):
        members = _named(files)
    else:
        if not isinstance(files, Iterable | None):
            raise NotAFileError(f"A {type(files).__name__} is no list: make an archive of several, such as [file].")
        known, size = await _measure(_named(_iterate(files or ())))
        members = _iterate(known)
    if request.method == "HEAD":
        return await _head(members, headers, size)
    body = _send(members)
    first = await anext(body)  # opens the first file: what fails now is still a status
    return StreamedResponse(_Begun(first, body), size=size, headers=headers)


async def _measure(members: AsyncGenerator[_Member, None]) -> tuple[list[_Member], int | None]:
    """Return the files, and the size of the archive if the size and the time of each are known."""
    known, archive, is_measured = list[_Member](), ZipArchive(), True
    async for member in members:
        known.append(member)
        entry = member.entry
        if entry is None:
            is_measured = False
        else:
            archive.end(entry, 0)
    return known, archive.size if is_measured else None


async def _head(members: AsyncGenerator[_Member, None], headers: dict[str, str], size: int | None) -> Response:
    """Return the answer to HEAD, with the status that GET would have."""
    async with aclosing(members):
        async for member in members:
            agreed_size(member.file, await member.file.head_async())
            break
    response = Response(headers=headers)
    del response.headers["Content-Length"]
    if size is not None:
        response.headers["Content-Length"] = str(size)
    return response


async def _send(members: AsyncGenerator[_Member, None]) -> AsyncGenerator[bytes, None]:
    """Give the archive: the first bytes come once the first file is open, the directory once all have been read."""
    archive = ZipArchive()
    async with aclosing(members):
        async for member in members:
            stream = await open_agreed(member.file)
            entry = Entry(member.name, stream.info.size, member.file.last_modified or stream.info.last_modified)
            checksum, left = 0, entry.size
            async with aclosing(stream):
                yield archive.begin(entry)
                async for chunk in stream:
                    checksum, left = crc32(chunk, checksum), left - len(chunk)
                    yield chunk
            if left:
                raise StorageError(f"The store gave {left:,} bytes less than it has of {member.name!r} in an archive.")
            if descriptor := archive.end(entry, checksum):
                yield descriptor
    for records in archive.directory():
        yield records


async def _named(files: AsyncIterable[ZippedFile]) -> AsyncGenerator[_Member, None]:
    names = ZipNames()
    try:
        async for given in files:
            if given is None:
                continue
            path, file = given if isinstance(given, tuple) else (None, given)
            if not isinstance(file, FileObject):
                raise NotAFileError(f"An archive can't hold a {type(file).__name__}: give it FileObjects.")
            if file.state not in {FileState.STORED, FileState.RESERVED}:
                raise PendingContentError(f"{file.filename!r} can't be in an archive: {file.state.value}.")
            if path is None:
                path = f"{file.folder}/"
            yield _Member(names.choose(path + file.filename if path.endswith("/") else path), file)
    finally:
        if isinstance(files, AsyncGenerator):
            await files.aclose()


async def _iterate(items: Iterable[T]) -> AsyncGenerator[T, None]:
    for number, item in enumerate(items):
        if number % AT_ONCE == 0:  # others have a turn, however many files there are
            await asyncio.sleep(0)
        yield item


@dataclass(frozen=True, slots=True)
class _Begun:
    """A body whose first bytes are here already."""

    first: bytes
    rest: AsyncGenerator[bytes, None]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.first
        async for chunk in self.rest:
            yield chunk

    async def aclose(self) -> None:
        """Let go of the file that is open."""
        await self.rest.aclose()
