"""Begin, find, complete and end uploads, and give them to rows: `OpenUploads`, for one column and one owner."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, func, inspect, select
from sqlalchemy.orm import Session

from fastapi_filestore.errors import ObjectNotFoundError, RowNotFoundError, SigningUnavailableError
from fastapi_filestore.errors.uploads import (
    TooManyUploadsError,
    UploadClaimedError,
    UploadIncompleteError,
    UploadNotFoundError,
)
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.rules import FileRules
from fastapi_filestore.orm.column.attributes import FileAttribute, take_write_lock
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.sessions import run_in_session, writing_connection
from fastapi_filestore.service import FileService
from fastapi_filestore.storage.backend import SignedURL
from fastapi_filestore.uploads.tables import CLAIMED, COMPLETE, OPEN, UploadRow, UploadTables

REMEMBERED: Final = timedelta(hours=24)
"""How long it is known which row took an upload."""


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """How many uploads, and how many bytes in them, one owner may have open, and how long one lasts without activity."""

    most_open: int = 100
    most_bytes: int = 10 * 2**30
    lasts: timedelta = timedelta(hours=24)


class OpenUploads:
    """The uploads of one owner for one column, in the session of the service of its rows.

    Args:
        service: The service of the rows that are to take them.
        attribute: The column.
        tables: Where they are kept.
        rules: What the route asks for beside the column.
        limits: How much one owner may have open.
        owner: Whose they are; None if whoever knows an id may use it.
    """

    def __init__(
        self,
        service: FileService[Any],
        attribute: FileAttribute,
        tables: UploadTables,
        *,
        rules: FileRules,
        limits: UploadLimits,
        owner: str | None = None,
    ) -> None:
        self._service, self._attribute, self._tables = service, attribute, tables
        self._rules, self._limits, self._owner = rules, limits, owner
        self._target = f"{inspect(service.model).local_table.key}.{attribute.name}"
        columns = tables.uploads.c
        mine = columns.owner.is_(None) if owner is None else columns.owner == owner
        self.mine: ColumnElement[bool] = and_(mine, columns.target == self._target, columns.expires > database_time())
        self._uploads = FileService(service.session, model=tables.upload, scope=self.mine)

    async def begin(
        self,
        *,
        filename: str,
        content_type: str,
        size: int | None,
        checksum: str | None = None,
        metadata: str = "",
        expires_in: int | None,
    ) -> tuple[UploadRow, SignedURL | None]:
        """Begin an upload, and sign where the client may store it by itself; None where nobody can sign that.

        Raises:
            UploadError: It is announced as something that the column does not take.
            TooManyUploadsError: Its owner has too many open already.
        """
        file = self._file(FileObject(None, filename, content_type=content_type))
        if size is not None:
            self._check_size(size)
        if self._owner is not None:
            await run_in_session(self._service.session, self._refuse_crowd, size or 0)
        signed: SignedURL | None = None
        if expires_in is not None:
            with suppress(SigningUnavailableError):
                signed = await self._service.sign_upload(
                    file, field=self._attribute.name, expires_in=expires_in, max_size=size or self._rules.max_size
                )
        now = await self._now()
        row = await self._uploads.create(
            {
                "id": secrets.token_urlsafe(32),
                "target": self._target,
                "owner": self._owner,
                "state": OPEN,
                "filename": file.filename,
                "content_type": file.content_type,
                "size": size,
                "checksum": checksum,
                "metadata_received": metadata,
                "backend": file.backend if signed else None,
                "path": file.path if signed else None,
                "url_expires": signed.expires_at.timestamp() if signed else None,
                "expires": now + self._limits.lasts.total_seconds(),
            }
        )
        return row, signed

    async def find(self, identity: str) -> UploadRow:
        """Return an upload that no row has taken.

        Raises:
            UploadNotFoundError: There is none, for this owner and this column.
        """
        row = await self._find(identity)
        if row.state == CLAIMED:
            raise UploadNotFoundError(identity)
        return row

    async def end(self, identity: str) -> None:
        """Delete an upload and what it holds, finished or not."""
        await self.find(identity)
        await self._uploads.delete(identity)

    async def complete(self, identity: str) -> UploadRow:
        """Judge what was stored, and keep it where nobody has a signature for; do nothing if that is done.

        Raises:
            UploadNotFoundError: There is no such upload.
            UploadClaimedError: A row took it already.
            UploadIncompleteError: Its bytes are not all there.
            UploadError: It is not what was announced, or nothing that the column takes.
        """
        row = await self._find(identity)
        if row.state == CLAIMED:
            raise UploadClaimedError(str(row.location))
        if row.state != OPEN:
            return row
        if row.path is None or row.received:
            return await self._assemble(row)
        announced, checksum = row.size, row.checksum
        file = self._file(FileObject(row.backend, row.filename, content_type=row.content_type, path=row.path))
        await self._service.end_reading()
        try:
            async with self._uploads.storing(file) as stored:
                if announced is not None and stored.size != announced:
                    raise UploadIncompleteError(received=stored.size, size=announced)
                async with self._uploads.turn():
                    row = await self._uploads.update(identity, {"file": stored, "state": COMPLETE})
        except ObjectNotFoundError:
            raise UploadIncompleteError(received=None, size=announced) from None
        return row

    async def take(self, identity: str) -> FileObject:
        """Return the file of a complete upload for a row that is written in this transaction, and mark it as taken.

        Raises:
            UploadClaimedError: A row took it meanwhile.
        """
        async with AsyncExitStack():
            file = await self._uploads.lock_file(identity)
            row = await self._find(identity)
            if row.state == CLAIMED or file is None:
                raise UploadClaimedError(str(row.location))
            await self._uploads.update(identity, {"file": None, "state": CLAIMED})
        return file

    async def note_row(self, identity: str, location: str) -> None:
        """Remember, for a day, the path of the row that took an upload."""
        expires = await self._now() + REMEMBERED.total_seconds()
        await self._uploads.update(identity, {"location": location, "expires": expires})

    async def _assemble(self, row: UploadRow) -> UploadRow:
        """Make one object of the segments of an upload: the only one as it is, several one after the other."""
        if row.size is None or row.received != row.size:
            raise UploadIncompleteError(received=row.received, size=row.size)
        identity, columns = row.id, self._tables.segments.c
        query = select(self._tables.segment).where(columns.upload_id == identity).order_by(columns.start)
        segments = await run_in_session(self._service.session, lambda session: list(session.scalars(query)))
        files = [segment.file for segment in segments]
        await self._service.end_reading()
        if len(files) == 1:
            (file,) = files
            await self._file(file).check_async()
            async with self._uploads.turn():
                await self._become_whole(identity, file)
            return await self._find(identity)
        whole = self._file(
            FileObject(
                files[0].backend if files else None,
                row.filename,
                content_type=row.content_type,
                content=_bytes_of(files),
            )
        )
        async with self._uploads.storing(whole) as stored, self._uploads.turn():
            await self._become_whole(identity, stored)
        return await self._find(identity)

    async def _become_whole(self, identity: str, file: FileObject) -> None:
        """Let an upload hold its one object, and its segments none."""

        def change(session: Session) -> None:
            upload = session.get_one(self._tables.upload, identity, with_for_update=True, populate_existing=True)
            if upload.state != OPEN:
                raise UploadNotFoundError(identity)
            columns = self._tables.segments.c
            for segment in session.scalars(select(self._tables.segment).where(columns.upload_id == identity)):
                session.delete(segment)
            upload.file, upload.state = file, COMPLETE
            session.flush()

        await run_in_session(self._service.session, change)

    # -- inside --------------------------------------------------------------------------------------

    async def _find(self, identity: str) -> UploadRow:
        try:
            return await self._uploads.get(identity)
        except RowNotFoundError:
            raise UploadNotFoundError(identity) from None

    def _file(self, file: FileObject) -> FileObject:
        """Return a file on its way to the column, with the column's backend, folder and rules."""
        column = self._attribute.type
        (file,) = column.files([file] if column.multiple else file)
        return file

    def _check_size(self, size: int) -> None:
        self._attribute.type.rules.check_size(size)
        self._rules.check_size(size)

    async def _now(self) -> float:
        return await run_in_session(
            self._service.session,
            lambda session: self._connection(session).execute(select(database_time())).scalar_one(),
        )

    def _connection(self, session: Session) -> Connection:
        return writing_connection(session, inspect(self._tables.upload))

    def _refuse_crowd(self, session: Session, size: int) -> None:
        """Raise `TooManyUploadsError` if the owner has too much open, with one more of some bytes; others wait for it."""
        connection, columns = self._connection(session), self._tables.uploads.c
        if connection.dialect.name == "sqlite":
            take_write_lock(connection, self._tables.uploads)
        elif connection.dialect.name == "postgresql":
            key = func.hashtextextended(f"filestore-uploads {self._owner}", 0)
            connection.execute(select(func.pg_advisory_xact_lock(key)))
        mine = and_(columns.owner == self._owner, columns.state != CLAIMED, columns.expires > database_time())
        amount = func.coalesce(columns.size, columns.received)
        open_ones, open_bytes, first = connection.execute(
            select(func.count(), func.coalesce(func.sum(amount), 0), func.min(columns.expires) - database_time()).where(
                mine
            )
        ).one()
        limits, seconds = self._limits, max(1, int(first or 1))
        if open_ones >= limits.most_open:
            raise TooManyUploadsError(limit=limits.most_open, actual=open_ones + 1, unit="files", seconds=seconds)
        if open_bytes + size > limits.most_bytes:
            total = int(open_bytes) + size
            raise TooManyUploadsError(limit=limits.most_bytes, actual=total, unit="bytes", seconds=seconds)


async def _bytes_of(files: Sequence[FileObject]) -> AsyncIterator[bytes]:
    """Yield the bytes of some files, one after the other."""
    for file in files:
        async with aclosing(await file.open_async()) as stream:
            async for chunk in stream:
                yield chunk
