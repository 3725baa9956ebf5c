"""Begin, find and end uploads: `OpenUploads`, those of one owner for the columns of one model."""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, case, func, inspect, select
from sqlalchemy.orm import Session

from fastapi_filestore.errors import (
    ConfigurationError,
    RowNotFoundError,
    SigningUnavailableError,
    StorageError,
    TooManyUploadsError,
    UploadNotFoundError,
    UploadPartError,
)
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.column.table_rows import take_write_lock
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.ledger.ledger import ledger_of_class
from fastapi_filestore.orm.sessions import AnySession, run_in_session, writing_connection
from fastapi_filestore.orm.uploads.leases import Lease
from fastapi_filestore.orm.uploads.tables import CLAIMED, OPEN, UploadRow, UploadTables
from fastapi_filestore.service import FileService
from fastapi_filestore.storage.backend import Announcement, SignedURL
from fastapi_filestore.storage.client_parts import PartedObjects
from fastapi_filestore.uploads.options import UploadLimits
from fastapi_filestore.uploads.targets import Announced, Target

CHECKSUM: Final = "x-amz-checksum-sha256"
"""The header of a signed URL whose store refuses bytes of another digest."""


class OpenUploads:
    """The uploads of one owner for the columns of one model, in the session of the service of its rows.

    Attributes:
        service: The service of the rows that are to take them.
        tables: Where they are kept.
        targets: The columns that they are for, by attribute.
        limits: How much one owner may have open.
        owner: Whose they are; None if whoever knows an id may use it.
        mine: The condition of their rows.
    """

    def __init__(
        self,
        service: FileService[Any],
        tables: UploadTables,
        targets: Mapping[str, Target],
        *,
        limits: UploadLimits,
        owner: str | None = None,
    ) -> None:
        self.service, self.tables, self.targets = service, tables, targets
        self.limits, self.owner = limits, owner
        columns = tables.uploads.c
        own = columns.owner.is_(None) if owner is None else columns.owner == owner
        places = [self._place(name) for name in targets]
        self.mine: ColumnElement[bool] = and_(own, columns.target.in_(places), columns.expires > database_time())
        self.rows = FileService(service.session, model=tables.upload, scope=self.mine)

    def over(self, session: AnySession) -> "OpenUploads":
        """Return the same uploads in another session."""
        service = FileService(session, model=self.service.model, defaults=self.service.defaults)
        return OpenUploads(service, self.tables, self.targets, limits=self.limits, owner=self.owner)

    async def begin(
        self, field: str, announced: Announced, *, expires_in: int | None
    ) -> tuple[UploadRow, SignedURL | None]:
        """Begin an upload, and sign where the client may store it by itself, for some seconds.

        Nothing is signed if `expires_in` is None, where nobody can sign it, or where the application would and has no
        route for that. Commit soon: others wait.

        Raises:
            UploadError: It is announced as something that the column does not take.
            TooManyUploadsError: Its owner has too many open already.
        """
        file, size = await self.check(field, announced)
        signed: SignedURL | None = None
        if expires_in is not None:
            with suppress(SigningUnavailableError):
                most = self.targets[field].most_bytes if size is None else size
                once = Announcement(size, file.content_type, announced.checksum)
                signed = await self.service.sign_upload(
                    file, field=field, expires_in=expires_in, max_size=most, once=once
                )
                signer = file.registry.signer
                if signer is not None and not signer.is_served and signer.base_url in signed.url:
                    signed = None  # what is left of it is an intent of nothing
        row = await self.note(
            field,
            announced,
            file,
            is_direct=signed is not None,
            size=size,
            is_checked=signed is not None and CHECKSUM in signed.headers,
            url_expires=signed.expires_at.timestamp() if signed else None,
        )
        return row, signed

    async def check(self, field: str, announced: Announced) -> tuple[FileObject, int | None]:
        """Return what is announced for a column, and its bytes, if the column takes it; it raises what `begin` does."""
        target, size = self.targets[field], announced.size
        if announced.parts:
            size = await run_in_session(self.service.session, self._size_of_parts, field, announced.parts)
        file = target.file(FileObject(None, announced.filename, content_type=announced.content_type))
        target.check_announced(file, size, is_part=announced.is_part)
        return file, size

    async def note(
        self, field: str, announced: Announced, file: FileObject, *, is_direct: bool, size: int | None, **values: object
    ) -> UploadRow:
        """Write the row of a new upload; one that `is_direct` has the path of its file.

        Raises:
            TooManyUploadsError: Its owner has too many open already.
        """
        now, lasts = await self.now(), self.limits.lasts.total_seconds()
        if is_direct:
            await run_in_session(self.service.session, self.expect_longer, file, lasts)
        if self.owner is not None or self.limits.most_of_all is not None:
            await run_in_session(self.service.session, self._refuse_crowd, size or 0)
        return await self.rows.create(
            {
                "id": secrets.token_urlsafe(32),
                "target": self._place(field),
                "owner": self.owner,
                "state": OPEN,
                "filename": file.filename,
                "content_type": file.content_type,
                "size": size,
                "checksum": announced.checksum,
                "metadata_received": announced.metadata,
                "concat": announced.concat,
                "parts": " ".join(announced.parts) or None,
                "received": size if announced.parts else 0,
                "backend": file.backend if is_direct else None,
                "path": file.path if is_direct else None,
                "expires": now + lasts,
                **values,
            }
        )

    async def find(self, identity: str) -> UploadRow:
        """Return an upload that no row has taken.

        Raises:
            UploadNotFoundError: There is none, for this owner and these columns.
        """
        row = await self.find_any(identity)
        if row.state == CLAIMED:
            raise UploadNotFoundError(identity)
        return row

    async def find_any(self, identity: str) -> UploadRow:
        """Return an upload, also one that a row took a short while ago; it raises what `find` does."""
        try:
            return await self.rows.get(identity)
        except RowNotFoundError:
            raise UploadNotFoundError(identity) from None

    async def end(self, identity: str) -> None:
        """Delete an upload and what it holds, finished or not, and commit; it raises what `find` does.

        A client whose URL lives may store once more: the sweeper comes when that is over.
        """

        def drop_segments(session: Session) -> tuple[FileObject | None, str | None]:
            rows = self.locked(session, [identity])
            if not rows or rows[0].state == CLAIMED:  # the row that has its file keeps it
                raise UploadNotFoundError(identity)
            (row,) = rows
            segments = self.tables.segments.c
            for segment in session.scalars(select(self.tables.segment).where(segments.upload_id == identity)):
                session.delete(segment)
            session.flush()
            is_stored_there = row.path is not None and row.file is None
            return FileObject(row.backend, path=row.path) if is_stored_there else None, row.multipart

        staged, multipart = await run_in_session(self.service.session, drop_segments)
        await self.rows.delete(identity, purge=True)
        await self.service.commit()
        if staged is not None:
            backend, path = staged.backend_in_use(), str(staged.path)
            with suppress(StorageError, ConfigurationError):
                if multipart is not None and isinstance(backend, PartedObjects) and backend.client_parts is not None:
                    await backend.client_parts.abort(path, multipart)
                await backend.delete(path)

    def target_of(self, row: UploadRow | Lease) -> tuple[str, Target]:
        """Return the attribute that an upload is for, and its rules."""
        return next((name, target) for name, target in self.targets.items() if self._place(name) == row.target)

    async def now(self) -> float:
        """Return the database's time, in seconds since the epoch."""
        return await run_in_session(
            self.service.session,
            lambda session: self.connection(session).execute(select(database_time())).scalar_one(),
        )

    def connection(self, session: Session) -> Connection:
        """Return the connection that uploads are written over."""
        return writing_connection(session, inspect(self.tables.upload))

    # -- inside --------------------------------------------------------------------------------------

    def _place(self, name: str) -> str:
        return f"{inspect(self.service.model).local_table.key}.{name}"

    def _size_of_parts(self, session: Session, field: str, parts: Sequence[str]) -> int:
        """Return how long an upload is that is made of others, and let these last as long as a new one.

        Raises:
            UploadPartError: One of them is none of the same owner and column, no part, or not complete.
        """
        rows = {row.id: row for row in self.locked(session, parts)}
        for identity in parts:
            row = rows.get(identity)
            if row is None or row.target != self._place(field) or row.concat is None or row.parts is not None:
                raise UploadPartError(f"There is no part {identity[:80]!a} of an upload here: begin the parts anew.")
            if row.state != OPEN or row.received != row.size:
                raise UploadPartError(f"The part {identity[:80]!a} is not complete: send the rest of it first.")
        lasts = self.limits.lasts.total_seconds()
        for row in rows.values():
            row.expires = database_time() + lasts  # type: ignore[assignment]
        session.flush()
        return sum(rows[identity].received for identity in parts)

    def locked(self, session: Session, identities: Sequence[str]) -> Sequence[UploadRow]:
        """Return uploads as they are now, and lock them, whoever does so in one order: nobody waits in a circle."""
        connection, table = self.connection(session), self.tables.uploads
        if connection.dialect.name == "sqlite":
            take_write_lock(connection, table)
        query = select(self.tables.upload).where(table.c.id.in_(identities), self.mine).order_by(table.c.id)
        return session.scalars(query.with_for_update(), execution_options={"populate_existing": True}).all()

    def expect_longer(self, session: Session, file: FileObject, seconds: float) -> None:
        """Let the ledger keep what a client stores for as long as the upload lasts, if that is longer than its URL."""
        ledger = ledger_of_class(inspect(self.service.model))
        if ledger is not None:
            ledger.put_off(self.connection(session), [file.location], seconds=seconds)

    def _refuse_crowd(self, session: Session, size: int) -> None:
        """Raise `TooManyUploadsError` if there is too much open, with one more of some bytes; others wait for it."""
        connection, columns, limits = self.connection(session), self.tables.uploads.c, self.limits
        if connection.dialect.name == "sqlite":
            take_write_lock(connection, self.tables.uploads)
        elif connection.dialect.name == "postgresql":
            key = func.hashtextextended(f"filestore-uploads {self.owner}", 0)
            connection.execute(select(func.pg_advisory_xact_lock(key)))
        own = columns.owner.is_(None) if self.owner is None else columns.owner == self.owner
        # What is made of others has no bytes of its own before it is put together.
        announced = case((and_(columns.parts.is_not(None), columns.state == OPEN), 0), else_=columns.size)
        amount = func.coalesce(announced, columns.received)
        count, total, first = connection.execute(
            select(func.count(), func.coalesce(func.sum(amount), 0), func.min(columns.expires) - database_time()).where(
                own, columns.state != CLAIMED, columns.expires > database_time()
            )
        ).one()
        most = limits.most_open if self.owner is not None else limits.most_of_all
        seconds = max(1, int(first or 1))
        if most is not None and count >= most:
            raise TooManyUploadsError(limit=most, actual=count + 1, unit="files", seconds=seconds)
        if self.owner is not None and total + size > limits.most_bytes:
            raise TooManyUploadsError(limit=limits.most_bytes, actual=int(total) + size, unit="bytes", seconds=seconds)
