"""Make uploads whole, and give them to rows: a claim moves files from the rows of uploads to another one."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Engine, inspect, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import (
    ObjectNotFoundError,
    UploadClaimedError,
    UploadIncompleteError,
    UploadNotFoundError,
)
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.column.attributes import take_write_lock
from fastapi_filestore.orm.holders.holders import places_holding, tables_with_files
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.sessions import has_room, plain_session, run_in_session, writing_bind
from fastapi_filestore.orm.uploads.tables import CLAIMED, COMPLETE, OPEN, UploadRow
from fastapi_filestore.uploads.open_uploads import OpenUploads

REMEMBERED: Final = timedelta(hours=24)
"""How long it is known which row took an upload."""


class _OvertakenError(Exception):
    """Somebody else has made the upload whole meanwhile: what was made of it here goes."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Uploads that a row of this transaction takes: their files, by attribute and in their order."""

    uploads: OpenUploads
    rows: Mapping[str, tuple[UploadRow, FileObject]]
    files: Mapping[str, Sequence[FileObject]]

    async def note_row(self, location: str) -> None:
        """Remember, for a day, the URL path of the row that takes them."""

        def note(session: Session) -> None:
            for row, _ in self.rows.values():
                row.location = location
            session.flush()

        await run_in_session(self.uploads.service.session, note)

    async def give_back_untaken(self) -> None:
        """Let those be complete uploads again whose files no row has taken in this transaction."""

        def look(session: Session) -> None:
            session.flush()
            tables = tables_with_files(self.uploads.tables.uploads.metadata)
            locations = [file.location for _, file in self.rows.values()]
            held = places_holding(self.uploads.connection(session), tables, locations)
            for row, file in self.rows.values():
                if file.location not in held:
                    row.file, row.state = file, COMPLETE
            session.flush()

        await run_in_session(self.uploads.service.session, look)


async def complete(uploads: OpenUploads, identity: str) -> UploadRow:
    """Judge what has come of an upload, and keep it where nobody has a signature for.

    What is complete is judged once more: rules may be others by now. It commits, so nothing may be pending.

    Raises:
        UploadNotFoundError: There is no such upload.
        UploadClaimedError: A row took it already.
        UploadIncompleteError: Its bytes are not all there.
        UploadError: It is not what was announced, or nothing that the column takes.
    """
    row = await uploads.find_any(identity)
    if row.state == CLAIMED:
        raise UploadClaimedError(row.location)
    try:
        if row.file is not None:
            (_, target), file = uploads.target_of(row), row.file
            await uploads.service.commit()
            await target.judge(file)
        elif row.path is not None and not row.received:
            await _take_direct(uploads, row)
        else:
            await _assemble(uploads, row)
    except _OvertakenError:
        return await complete(uploads, identity)
    return await uploads.find_any(identity)


async def complete_beside(uploads: OpenUploads, identities: Sequence[str]) -> None:
    """Complete some uploads over a connection of their own: what the session is about to write waits for none of it.

    It raises what `complete` does. A database that has one connection only has all that is pending committed.
    """
    async with _beside(uploads) as own:
        for identity in identities:
            await complete(own, identity)


@asynccontextmanager
async def _beside(uploads: OpenUploads) -> AsyncIterator[OpenUploads]:
    """Give the same uploads in a session of their own; in the same one if the engine has no other connection."""
    service = uploads.service
    engine = writing_bind(plain_session(service.session), inspect(uploads.tables.upload))
    if not isinstance(engine, Engine) or not has_room(engine):
        yield uploads
        return
    if engine.dialect.is_async:
        async with AsyncSession(AsyncEngine(engine), expire_on_commit=False) as session:
            yield uploads.over(session)
    else:
        own = Session(engine, expire_on_commit=False)
        try:
            yield uploads.over(own)
        finally:
            await finish(run_in_session(own, Session.close))


async def take(uploads: OpenUploads, identities: Sequence[str]) -> Claim:
    """Take the files from complete uploads, for a row that is written in this transaction.

    Raises:
        UploadNotFoundError: One of them has ended meanwhile.
        UploadClaimedError: A row took one of them meanwhile.
    """

    def change(session: Session) -> Claim:
        rows = {row.id: row for row in _locked(uploads, session, identities)}
        files = dict[str, list[FileObject]]()
        for identity in identities:
            row = rows.get(identity)
            if row is not None and row.state == CLAIMED:
                raise UploadClaimedError(row.location)
            if row is None or row.file is None:
                raise UploadNotFoundError(identity)
            name, target = uploads.target_of(row)
            row.file.note_checked(target.attribute.type.rules)
            files.setdefault(name, []).append(row.file)
        claim = Claim(uploads, {identity: (row, row.file) for identity, row in rows.items() if row.file}, files)
        for row in rows.values():
            row.file, row.state = None, CLAIMED
            row.expires = database_time() + REMEMBERED.total_seconds()  # type: ignore[assignment]
        return claim

    return await run_in_session(uploads.service.session, change)


def _locked(uploads: OpenUploads, session: Session, identities: Sequence[str]) -> Sequence[UploadRow]:
    """Return uploads as they are now, and lock them, whoever does so in one order: nobody waits in a circle."""
    connection, table = uploads.connection(session), uploads.tables.uploads
    if connection.dialect.name == "sqlite":
        take_write_lock(connection, table)
    query = select(uploads.tables.upload).where(table.c.id.in_(identities), uploads.mine).order_by(table.c.id)
    return session.scalars(query.with_for_update(), execution_options={"populate_existing": True}).all()


async def _take_direct(uploads: OpenUploads, row: UploadRow) -> None:
    """Take what a client stored by itself, if it is what was announced."""
    identity, announced, checksum = row.id, row.size, row.checksum
    name, target = uploads.target_of(row)
    file = FileObject(row.backend, row.filename, content_type=row.content_type, path=row.path)
    await uploads.service.commit()
    try:
        async with uploads.service.storing(file, field=name) as stored:
            if announced is not None and stored.size != announced:
                raise UploadIncompleteError(received=stored.size, size=announced)
            await target.judge(stored)
            stored.checksum = checksum or stored.checksum  # the store has checked it
            async with uploads.service.turn():
                await _become_whole(uploads, identity, stored)
                await uploads.service.commit()
    except ObjectNotFoundError:
        raise UploadIncompleteError(received=None, size=announced) from None


async def _assemble(uploads: OpenUploads, row: UploadRow) -> None:
    """Make one object of the segments of an upload: the only one as it is, several one after the other."""
    if row.size is None or row.received != row.size:
        raise UploadIncompleteError(received=row.received, size=row.size)
    identity, columns = row.id, uploads.tables.segments.c
    name, target = uploads.target_of(row)
    query = select(uploads.tables.segment).where(columns.upload_id == identity).order_by(columns.start)
    files = await run_in_session(
        uploads.service.session, lambda session: [segment.file for segment in session.scalars(query)]
    )
    await uploads.service.commit()
    if len(files) == 1:
        (file,) = files
        await target.judge(file)
        async with uploads.service.turn():
            await _become_whole(uploads, identity, file)
            await uploads.service.commit()
        return
    whole = FileObject(None, row.filename, content_type=row.content_type, content=_bytes_of(files))
    async with uploads.service.storing(whole, field=name) as stored:
        await target.judge(stored)
        async with uploads.service.turn():
            await _become_whole(uploads, identity, stored)
            await uploads.service.commit()


async def _become_whole(uploads: OpenUploads, identity: str, file: FileObject) -> None:
    """Let an upload hold its one object, and its segments none; `_OvertakenError` if it is not open any more."""

    def change(session: Session) -> None:
        rows = _locked(uploads, session, [identity])
        if not rows or rows[0].state != OPEN:
            raise _OvertakenError
        segments = uploads.tables.segments
        for segment in session.scalars(select(uploads.tables.segment).where(segments.c.upload_id == identity)):
            session.delete(segment)
        rows[0].file, rows[0].state = file, COMPLETE
        session.flush()

    await run_in_session(uploads.service.session, change)


async def _bytes_of(files: Sequence[FileObject]) -> AsyncIterator[bytes]:
    """Yield the bytes of some files, one after the other."""
    for file in files:
        async with aclosing(await file.open_async()) as stream:
            async for chunk in stream:
                yield chunk
