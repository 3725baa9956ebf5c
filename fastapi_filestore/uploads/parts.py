"""Let clients store an upload straight in the bucket where one request can't, or mustn't: in parts, or by a form.

The parts are the store's, and so is what it calls their upload: clients know the upload by its own id, and only its row
knows both. Nobody but the application makes an object of the parts, so a row takes that where it lies.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import (
    FilestoreError,
    SigningUnavailableError,
    UploadIncompleteError,
    UploadNotFoundError,
    UploadPartError,
    UploadTooLargeError,
)
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.ledger.reservations import expect_upload
from fastapi_filestore.orm.sessions import run_in_session
from fastapi_filestore.orm.uploads.tables import UploadRow
from fastapi_filestore.storage.backend import SignedURL
from fastapi_filestore.storage.client_parts import (
    LARGEST_PUT,
    SMALLEST_PART,
    PartedObjects,
    PartsOfClients,
    SignedForm,
    StoredPart,
    size_of_parts,
)
from fastapi_filestore.storage.paths import generate_once_path, generate_upload_path
from fastapi_filestore.uploads.open_uploads import OpenUploads
from fastapi_filestore.uploads.targets import Announced

MOST_SIGNED: Final = 100
"""Parts that one request may have signed."""


async def begin_in_parts(uploads: OpenUploads, field: str, announced: Announced, *, expires_in: int) -> UploadRow:
    """Begin an upload that a client stores in parts, each with a URL for some seconds, and commit.

    Raises:
        SigningUnavailableError: The store has no such parts, or there are no keys to sign them with.
        UploadError, TooManyUploadsError: As `OpenUploads.begin` raises them.
    """
    file, size = await uploads.check(field, announced)
    store, service = _parts_of(file), uploads.service
    is_adopted = isinstance(uploads.targets[field].attribute.type.folder, str)
    path = generate_once_path(file.prefix, expires_in) if is_adopted else generate_upload_path(expires_in)
    placed = FileObject(file.backend_in_use().key, file.filename, content_type=file.content_type, path=path)
    async with service.turn():
        await _expect(uploads, placed, expires_in)
        row = await uploads.note(field, announced, placed, is_direct=True, size=size)
        identity = row.id
        await service.commit()
    # The ledger knows of the path by now, whatever happens.
    try:
        multipart = await store.begin(path, content_type=placed.content_type)
    except BaseException:
        with suppress(FilestoreError):
            await finish(uploads.end(identity))
        raise
    row = await uploads.find(identity)
    row.multipart = multipart
    async with service.turn():
        await service.commit()
    return await uploads.find(identity)


async def begin_by_form(
    uploads: OpenUploads, field: str, announced: Announced, *, expires_in: int
) -> tuple[UploadRow, SignedForm]:
    """Begin an upload that a client stores by posting a form; its id is the last part of its path.

    Such a form may be posted more than once, so what it stores is copied before a row takes it.

    Raises:
        SigningUnavailableError: The store has no such forms, or there are no keys to sign one with.
        UploadError, TooManyUploadsError: As `OpenUploads.begin` raises them.
    """
    file, _ = await uploads.check(field, announced)
    path, store = generate_upload_path(expires_in), _parts_of(file)
    placed = FileObject(file.backend_in_use().key, file.filename, content_type=file.content_type, path=path)
    most = min(LARGEST_PUT, _most_bytes(uploads, field))
    form = await store.sign_form(path, expires_in=expires_in, content_type=placed.content_type, most=most)
    async with uploads.service.turn():
        await _expect(uploads, placed, expires_in)
        values = {"id": path.rpartition("/")[2], "url_expires": form.expires_at.timestamp()}
        row = await uploads.note(field, announced, placed, is_direct=True, size=None, **values)
        await uploads.service.commit()
    return row, form


async def sign_parts(
    uploads: OpenUploads, identity: str, numbers: Sequence[int], *, expires_in: int
) -> Mapping[int, SignedURL]:
    """Sign the URLs of some parts of an upload, which lasts anew from now on; commit.

    Raises:
        UploadNotFoundError: There is no such upload that is stored in parts, or it is complete.
        UploadPartError, UploadTooLargeError: It has no part of such a number.
    """
    row = await _find(uploads, identity)
    field, _ = uploads.target_of(row)
    lengths = {number: _length_of_part(uploads, field, row.size, number) for number in numbers}
    path, multipart, store = str(row.path), str(row.multipart), _parts_of(_file_of(row))
    async with uploads.service.turn():
        await run_in_session(uploads.service.session, partial(_last_longer, uploads=uploads, row=row))
        await uploads.service.commit()
    sign = partial(store.sign, path, multipart, expires_in=expires_in)
    return {number: await sign(number, size=length) for number, length in lengths.items()}


async def list_parts(uploads: OpenUploads, identity: str) -> Sequence[StoredPart]:
    """Return the parts of an upload that are stored; it raises `UploadNotFoundError` as `sign_parts` does."""
    row = await _find(uploads, identity)
    path, multipart, store = str(row.path), str(row.multipart), _parts_of(_file_of(row))
    await uploads.service.commit()
    parts = await store.list(path, multipart)
    if parts is None:
        raise UploadNotFoundError(identity)
    return parts


async def check_parts(uploads: OpenUploads, identity: str, named: Mapping[int, str]) -> None:
    """Raise `UploadPartError` unless the parts that a client names, by number, are those that are stored.

    What is complete already is fine.
    """
    row = await uploads.find_any(identity)
    if row.path is None or not row.multipart:
        raise UploadNotFoundError(identity)
    path, multipart, is_whole, store = row.path, row.multipart, row.file is not None, _parts_of(_file_of(row))
    await uploads.service.commit()
    stored = None if is_whole else await store.list(path, multipart)
    if stored is None:
        return
    tags = {part.number: part.etag.strip('"') for part in stored}
    for number in sorted(tags.keys() | named.keys()):
        if number not in tags:
            raise UploadPartError(f"Part {number:,} of the upload is not stored: store it before you complete.")
        if number not in named:
            raise UploadPartError(f"Part {number:,} of the upload is stored, and you do not name it: list the parts.")
        if named[number].strip('"') != tags[number]:
            raise UploadPartError(f"Part {number:,} of the upload is stored with another ETag: list the parts.")


async def become_object(uploads: OpenUploads, row: UploadRow) -> None:
    """Make an object of the parts of an upload; nothing happens if it is one already.

    Raises:
        UploadIncompleteError: There are none, or not so many bytes as were announced.
        UploadPartError: One is missing, or too short.
        UploadTooLargeError: They are more than the column takes.
    """
    _, target = uploads.target_of(row)
    file, size, multipart = _file_of(row), row.size, row.multipart
    path, store = str(file.path), _parts_of(file)
    await uploads.service.commit()
    if multipart is None or (parts := await store.list(path, multipart)) is None:
        return
    if not parts:
        raise UploadIncompleteError(received=None, size=size)
    for number, part in enumerate(parts, 1):
        if part.number != number:
            raise UploadPartError(f"Part {number:,} of the upload is missing: store it.")
        if part.size < SMALLEST_PART and number < len(parts):
            raise UploadPartError(f"Part {number:,} of the upload has {part.size:,} bytes; all but the last need 5 MiB")
    received = sum(part.size for part in parts)
    if size is not None and received != size:
        raise UploadIncompleteError(received=received, size=size)
    target.check_announced(file, received)
    await store.complete(path, multipart, parts)


def _parts_of(file: FileObject) -> PartsOfClients:
    backend = file.backend_in_use()
    parts = backend.client_parts if isinstance(backend, PartedObjects) else None
    if parts is None:
        raise SigningUnavailableError(
            f"Backend {backend.key!r} has no files in parts that clients store by themselves, which only S3 has: send "
            "the file by tus, or as a whole.",
            backend=backend.key,
        )
    return parts


def _file_of(row: UploadRow) -> FileObject:
    return FileObject(row.backend, row.filename, content_type=row.content_type, path=row.path)


async def _find(uploads: OpenUploads, identity: str) -> UploadRow:
    row = await uploads.find(identity)
    if row.multipart is None or row.file is not None:
        raise UploadNotFoundError(identity)
    return row


def _most_bytes(uploads: OpenUploads, field: str) -> int:
    most = uploads.targets[field].most_bytes
    return uploads.limits.most_bytes if most is None else most


def _length_of_part(uploads: OpenUploads, field: str, size: int | None, number: int) -> int | None:
    """Return how long a part has to be; None if nobody knows how long the file is."""
    if size is None:
        most = _most_bytes(uploads, field)
        if (number - 1) * SMALLEST_PART > most:
            raise UploadTooLargeError("file", limit=most)
        return None
    length = size_of_parts(size)
    count = max(1, -(-size // length))
    if number > count:
        raise UploadPartError(f"There is no part {number:,} of the upload: its {size:,} bytes are {count:,} parts.")
    return min(length, size - (number - 1) * length)


async def _expect(uploads: OpenUploads, file: FileObject, seconds: int) -> None:
    """Let the ledger know of what a client is about to store."""
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    expect = partial(expect_upload, mapper=inspect(uploads.service.model), file=file, until=until)
    await run_in_session(uploads.service.session, expect)


def _last_longer(session: Session, uploads: OpenUploads, row: UploadRow) -> None:
    lasts = uploads.limits.lasts.total_seconds()
    row.expires = database_time() + lasts  # type: ignore[assignment]
    session.flush()
    uploads.expect_longer(session, _file_of(row), lasts)
