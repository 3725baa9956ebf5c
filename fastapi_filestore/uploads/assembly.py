"""Put uploads together: one object of the segments that came, by one process at a time."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from sqlalchemy import Engine, inspect, select
from sqlalchemy.orm import Session

from fastapi_filestore.errors import (
    ObjectNotFoundError,
    UploadAssemblingError,
    UploadBusyError,
    UploadIncompleteError,
    UploadNotFoundError,
    UploadPartError,
)
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.file_object.joined import JoinedFiles
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.sessions import plain_session, run_in_session, writing_bind
from fastapi_filestore.orm.uploads.leases import holding
from fastapi_filestore.orm.uploads.tables import COMPLETE, OPEN, UploadRow
from fastapi_filestore.uploads.beginnings import digest_up_to, forget
from fastapi_filestore.uploads.digests import compare_digest
from fastapi_filestore.uploads.open_uploads import OpenUploads

_PART_GONE: Final = "A part of the upload is gone: begin it and its parts anew."


class OvertakenError(Exception):
    """Somebody else has made the upload whole meanwhile: what was made of it here goes."""


async def assemble(uploads: OpenUploads, row: UploadRow) -> None:
    """Make one object of the segments of an upload, or of its parts: one as it is, several one after the other."""
    if row.concat is not None and row.parts is None:
        raise UploadPartError("This is a part of an upload: a row takes the upload that is made of its parts.")
    if row.size is None or row.received != row.size:
        raise UploadIncompleteError(received=row.received, size=row.size)
    identity, size, parts = row.id, row.size, row.parts.split() if row.parts else []
    checksum = row.checksum
    name, target = uploads.target_of(row)
    whole = FileObject(None, row.filename, content_type=row.content_type)
    await uploads.service.commit()  # on SQLite, who has read before another one wrote can write no more
    segments = await run_in_session(uploads.service.session, _segments_of, uploads, identity, parts)
    await uploads.service.commit()
    if sum(segment.size or 0 for segment in segments) != size:
        raise UploadPartError(_PART_GONE)
    if len(segments) == 1 and not parts:  # nobody else has it
        (file,) = segments
        await target.judge(file)
        await compare_digest(file, checksum)
        await become_whole(uploads, identity, file)
        return
    digest = None if parts else digest_up_to(identity, size)
    content = JoinedFiles(segments, None if digest is None else digest.hexdigest())
    whole = FileObject(None, whole.filename, content_type=whole.content_type, content=content)
    try:
        storing = uploads.service.storing(whole, field=name, needs_folder=False)
        async with _assembling(uploads, identity, size), storing as stored:
            await target.judge(stored)
            await compare_digest(stored, checksum)
            await become_whole(uploads, identity, stored, parts)
    except ObjectNotFoundError:  # who was faster has deleted segments, or a part has ended
        await run_in_session(uploads.service.session, locked_open, uploads, identity)
        raise UploadPartError(_PART_GONE) from None


@asynccontextmanager
async def _assembling(uploads: OpenUploads, identity: str, size: int) -> AsyncIterator[None]:
    """Put an upload together in the block, and nobody else meanwhile, in whichever process.

    Raises:
        OvertakenError: Somebody else has done so meanwhile.
        UploadAssemblingError: Somebody else is at it still.
    """
    engine = writing_bind(plain_session(uploads.service.session), inspect(uploads.tables.upload))
    if not isinstance(engine, Engine):
        yield
        return
    async with AsyncExitStack() as stack:
        held = holding(engine, uploads.tables, identity, uploads.mine, start=size, for_assembly=True)
        try:
            await stack.enter_async_context(held)
        except UploadNotFoundError:
            raise OvertakenError from None
        except UploadBusyError:
            raise UploadAssemblingError(identity) from None
        yield


def locked_open(
    session: Session, uploads: OpenUploads, identity: str, parts: Sequence[str] = ()
) -> dict[str, UploadRow]:
    """Return an upload, and those that it is made of, as they are now, and lock them.

    Raises:
        OvertakenError: It is not open any more.
    """
    rows = {row.id: row for row in uploads.locked(session, [identity, *parts])}
    if identity not in rows or rows[identity].state != OPEN:
        raise OvertakenError
    return rows


def _segments_of(session: Session, uploads: OpenUploads, identity: str, parts: Sequence[str]) -> list[FileObject]:
    """Return what the segments of an upload, or of its parts, hold, in their order; they last a while longer."""
    lasts = database_time() + uploads.limits.lasts.total_seconds()
    for upload in locked_open(session, uploads, identity, parts).values():
        upload.expires = lasts  # type: ignore[assignment]
    session.flush()
    identities, columns = parts or [identity], uploads.tables.segments.c
    query = select(uploads.tables.segment).where(columns.upload_id.in_(identities)).order_by(columns.start)
    files: dict[str, list[FileObject]] = defaultdict(list)
    for segment in session.scalars(query):
        files[segment.upload_id].append(segment.file)
    return [file for identity in identities for file in files[identity]]


async def become_whole(uploads: OpenUploads, identity: str, file: FileObject, parts: Sequence[str] = ()) -> None:
    """Let an upload hold its one object, and commit: its segments go, and those of its parts that no other is made of.

    Raises:
        OvertakenError: It is not open any more.
    """
    tables = uploads.tables

    def change(session: Session) -> None:
        rows = locked_open(session, uploads, identity, parts)
        upload = rows.pop(identity)
        upload.file, upload.state, upload.received = file, COMPLETE, file.size or 0
        # The owner's own, which are few.
        columns = tables.uploads.c
        query = select(columns.parts).where(uploads.mine, columns.parts.is_not(None), columns.state == OPEN)
        needed = {part for text in session.scalars(query.where(columns.id != identity)) for part in text.split()}
        gone = [identity, *(part for part in rows if part not in needed)]
        segments = select(tables.segment).where(tables.segments.c.upload_id.in_(gone))
        for segment in session.scalars(segments):
            session.delete(segment)
        session.flush()  # what refers to an upload goes before it
        for part in gone[1:]:
            session.delete(rows[part])
        session.flush()

    async with uploads.service.turn(), uploads.service.unit_of_work():
        await run_in_session(uploads.service.session, change)
    forget(identity)
