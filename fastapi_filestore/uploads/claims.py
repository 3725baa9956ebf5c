"""Make uploads whole, and give them to rows: a claim moves files from the rows of uploads to another one."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Final

from sqlalchemy import Engine, event, inspect, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import (
    ObjectNotFoundError,
    UploadAssemblingError,
    UploadBusyError,
    UploadClaimedError,
    UploadDigestError,
    UploadIncompleteError,
    UploadNotFoundError,
    UploadPartError,
)
from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.file_object.joined import JoinedFiles
from fastapi_filestore.orm.holders.holders import places_holding, tables_with_files
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.sessions import has_room, plain_session, run_in_session, writing_bind
from fastapi_filestore.orm.uploads.leases import holding
from fastapi_filestore.orm.uploads.tables import CLAIMED, COMPLETE, OPEN, UploadRow
from fastapi_filestore.uploads.beginnings import digest_up_to, forget
from fastapi_filestore.uploads.digests import compare_digest
from fastapi_filestore.uploads.open_uploads import OpenUploads
from fastapi_filestore.uploads.parts import become_object

PATIENCE: Final = 20.0
"""Seconds that a request waits for an upload to be put together."""
REMEMBERED: Final = timedelta(hours=24)
"""How long it is known which row took an upload."""

_PART_GONE: Final = "A part of the upload is gone: begin it and its parts anew."


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

    @contextmanager
    def seeing_rows(self) -> Iterator[list[object]]:
        """Give the block the rows of the model that its session writes, which it need not hold itself."""
        session, model, rows = plain_session(self.uploads.service.session), self.uploads.service.model, list[object]()

        def note(flushed: Session, _: object) -> None:
            rows.extend(row for row in (*flushed.new, *flushed.dirty) if isinstance(row, model))

        event.listen(session, "after_flush", note)
        try:
            yield rows
        finally:
            event.remove(session, "after_flush", note)

    async def give_back_untaken(
        self, seen: Sequence[object] = (), place: Callable[[object], str | None] = lambda _: None
    ) -> None:
        """Let those be complete uploads again whose files no row has taken in this transaction.

        Of the others the URL path of the row is remembered, if it was `seen` and `place` knows it.
        """

        def look(session: Session) -> None:
            session.flush()
            takers = self._takers_among(seen)
            unseen = [file.location for _, file in self.rows.values() if file.location not in takers]
            tables = tables_with_files(self.uploads.tables.uploads.metadata)
            held = places_holding(self.uploads.connection(session), tables, unseen) if unseen else ()
            for row, file in self.rows.values():
                if file.location in takers:
                    row.location = place(takers[file.location])
                elif file.location not in held:
                    row.file, row.state = file, COMPLETE
            session.flush()

        await run_in_session(self.uploads.service.session, look)

    def _takers_among(self, rows: Sequence[object]) -> Mapping[Location, object]:
        """Return those of some rows that are in the database and hold files, by where these are."""
        names = {name: target.attribute for name, target in self.uploads.targets.items()}
        return {
            file.location: row
            for row in rows
            if inspect(row).persistent
            for name in names.keys() & inspect(row).dict.keys()
            for file in names[name].held_files(row)
        }


async def complete(uploads: OpenUploads, identity: str) -> UploadRow:
    """Judge what has come of an upload, and keep it where nobody has a signature for.

    What is complete is judged once more: rules may be others by now. It commits, so nothing may be pending.

    Raises:
        UploadNotFoundError: There is no such upload.
        UploadClaimedError: A row took it already.
        UploadIncompleteError: Its bytes are not all there.
        UploadDigestError: They are others than were announced; it has ended.
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
        await uploads.service.rollback()
        return await complete(uploads, identity)
    except UploadDigestError:
        await uploads.service.rollback()
        with suppress(UploadNotFoundError):
            await uploads.end(identity)
        raise
    return await uploads.find_any(identity)


async def complete_beside(uploads: OpenUploads, identities: Sequence[str]) -> None:
    """Complete some uploads over a connection of their own: what the session is about to write waits for none of it.

    What takes longer than a client should wait goes on by itself. A database that has one connection only has all that
    is pending committed.

    Raises:
        UploadAssemblingError: It takes longer; all that `complete` raises is raised, too.
    """
    engine = writing_bind(plain_session(uploads.service.session), inspect(uploads.tables.upload))
    deadline = asyncio.get_running_loop().time() + PATIENCE
    for identity in identities:
        if not isinstance(engine, Engine) or not has_room(engine):
            await complete(uploads, identity)
            continue
        place = (engine, identity, uploads.owner)
        task = _completing.get(place)
        if task is None:
            task = _completing[place] = asyncio.create_task(_complete_alone(uploads, engine, identity))
            task.add_done_callback(partial(_forget, place))
        await asyncio.wait({task}, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
        if not task.done():
            raise UploadAssemblingError(identity)
        task.result()


async def _complete_alone(uploads: OpenUploads, engine: Engine, identity: str) -> None:
    """Complete an upload in a session of its own."""
    if engine.dialect.is_async:
        async with AsyncSession(AsyncEngine(engine), expire_on_commit=False) as session:
            await complete(uploads.over(session), identity)
        return
    own = Session(engine, expire_on_commit=False)
    try:
        await complete(uploads.over(own), identity)
    finally:
        await finish(run_in_session(own, Session.close))


_completing = dict[tuple[Engine, str, str | None], asyncio.Task[None]]()
"""Those under way in this process: who asks for one meanwhile waits for it."""


def _forget(place: tuple[Engine, str, str | None], task: asyncio.Task[None]) -> None:
    _completing.pop(place, None)
    if not task.cancelled():
        task.exception()  # whoever waited has had it, and nobody may have


async def take(
    uploads: OpenUploads, identities: Sequence[str], *, placed: Mapping[str, FileObject] = MappingProxyType({})
) -> Claim:
    """Take the files from complete uploads, or their copies that are `placed`, for a row that this transaction writes.

    Raises:
        UploadNotFoundError: One of them has ended meanwhile.
        UploadClaimedError: A row took one of them meanwhile.
    """

    def change(session: Session) -> Claim:
        rows = {row.id: row for row in uploads.locked(session, identities)}
        files = dict[str, list[FileObject]]()
        for identity in identities:
            row = rows.get(identity)
            if row is not None and row.state == CLAIMED:
                raise UploadClaimedError(row.location)
            if row is None or row.file is None:
                raise UploadNotFoundError(identity)
            name, target = uploads.target_of(row)
            file = placed.get(identity, row.file)
            file.note_checked(target.attribute.type.rules)
            files.setdefault(name, []).append(file)
        claim = Claim(uploads, {identity: (row, row.file) for identity, row in rows.items() if row.file}, files)
        for row in rows.values():
            row.file, row.state = None, CLAIMED
            row.expires = database_time() + REMEMBERED.total_seconds()  # type: ignore[assignment]
        return claim

    return await run_in_session(uploads.service.session, change)


async def _take_direct(uploads: OpenUploads, row: UploadRow) -> None:
    """Take what a client stored by itself, if it is what was announced."""
    identity, announced, checksum, is_checked = row.id, row.size, row.checksum, row.is_checked
    name, target = uploads.target_of(row)
    file = FileObject(row.backend, row.filename, content_type=row.content_type, path=row.path)
    if row.multipart is not None:
        await become_object(uploads, row)
    await uploads.service.commit()
    try:
        async with uploads.service.storing(file, field=name, needs_folder=False) as stored:
            if announced is not None and stored.size != announced:
                raise UploadIncompleteError(received=stored.size, size=announced, is_direct=True)
            await target.judge(stored)
            if is_checked:
                stored.checksum = checksum
            await compare_digest(stored, checksum)
            await _become_whole(uploads, identity, stored)
    except ObjectNotFoundError:
        await run_in_session(uploads.service.session, _locked_open, uploads, identity)
        raise UploadIncompleteError(received=None, size=announced) from None


async def _assemble(uploads: OpenUploads, row: UploadRow) -> None:
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
        await _become_whole(uploads, identity, file)
        return
    digest = None if parts else digest_up_to(identity, size)
    content = JoinedFiles(segments, None if digest is None else digest.hexdigest())
    whole = FileObject(None, whole.filename, content_type=whole.content_type, content=content)
    try:
        storing = uploads.service.storing(whole, field=name, needs_folder=False)
        async with _assembling(uploads, identity, size), storing as stored:
            await target.judge(stored)
            await compare_digest(stored, checksum)
            await _become_whole(uploads, identity, stored, parts)
    except ObjectNotFoundError:  # who was faster has deleted segments, or a part has ended
        await run_in_session(uploads.service.session, _locked_open, uploads, identity)
        raise UploadPartError(_PART_GONE) from None


@asynccontextmanager
async def _assembling(uploads: OpenUploads, identity: str, size: int) -> AsyncIterator[None]:
    """Put an upload together in the block, and nobody else meanwhile, in whichever process.

    Raises:
        _OvertakenError: Somebody else has done so meanwhile.
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
            raise _OvertakenError from None
        except UploadBusyError:
            raise UploadAssemblingError(identity) from None
        yield


def _locked_open(
    session: Session, uploads: OpenUploads, identity: str, parts: Sequence[str] = ()
) -> dict[str, UploadRow]:
    """Return an upload, and those that it is made of, as they are now, and lock them.

    Raises:
        _OvertakenError: It is not open any more.
    """
    rows = {row.id: row for row in uploads.locked(session, [identity, *parts])}
    if identity not in rows or rows[identity].state != OPEN:
        raise _OvertakenError
    return rows


def _segments_of(session: Session, uploads: OpenUploads, identity: str, parts: Sequence[str]) -> list[FileObject]:
    """Return what the segments of an upload, or of its parts, hold, in their order; they last a while longer."""
    lasts = database_time() + uploads.limits.lasts.total_seconds()
    for upload in _locked_open(session, uploads, identity, parts).values():
        upload.expires = lasts  # type: ignore[assignment]
    session.flush()
    identities, columns = parts or [identity], uploads.tables.segments.c
    query = select(uploads.tables.segment).where(columns.upload_id.in_(identities)).order_by(columns.start)
    files: dict[str, list[FileObject]] = defaultdict(list)
    for segment in session.scalars(query):
        files[segment.upload_id].append(segment.file)
    return [file for identity in identities for file in files[identity]]


async def _become_whole(uploads: OpenUploads, identity: str, file: FileObject, parts: Sequence[str] = ()) -> None:
    """Let an upload hold its one object, and commit: its segments go, and those of its parts that no other is made of.

    Raises:
        _OvertakenError: It is not open any more.
    """
    tables = uploads.tables

    def change(session: Session) -> None:
        rows = _locked_open(session, uploads, identity, parts)
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
