"""Store what one request brings of an upload: an object of its own, committed together with where the upload is now."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Engine, and_, inspect, update
from sqlalchemy.orm import Session

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import ClientDisconnectedError, SlowUploadError
from fastapi_filestore.errors.uploads import UploadNotFoundError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.digests import NO_DIGESTS, DigestingStream
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.sessions import plain_session, run_in_session, writing_bind, writing_connection
from fastapi_filestore.service import FileService
from fastapi_filestore.uploads.leases import Lease, holding
from fastapi_filestore.uploads.tables import UploadTables

ENDED_EARLY: Final = (ClientDisconnectedError, SlowUploadError)
"""What ends the body of a request early, and leaves what came before it good."""

Body = Callable[[Lease], AsyncGenerator[bytes, None]]
"""Gives the bytes of a request for a lease; it ends when the lease is wanted, as if the client had gone."""


@dataclass(frozen=True, slots=True)
class Appending:
    """What requests bring of uploads, in the session of a service.

    Attributes:
        service: The service of the rows that are to take the uploads.
        tables: Where these are kept.
        backend: Key of the backend that is to hold them; the default one if None.
        lasts: Seconds that an upload lasts without activity.
    """

    service: FileService[Any]
    tables: UploadTables
    backend: str | None
    lasts: float

    async def append(
        self,
        identity: str,
        body: Body,
        *,
        mine: ColumnElement[bool],
        start: int,
        digests: Mapping[str, bytes] = NO_DIGESTS,
    ) -> int:
        """Add the bytes of a request to an upload, as many as come, and return where the next ones belong.

        A client that goes away, another request that wants the upload and a server that stops end it early: what has
        come by then is kept. With `digests` it is all or nothing.

        Raises:
            UploadNotFoundError, UploadOffsetError, UploadBusyError: It can't be written to, there or now.
            DigestMismatchError: The bytes are others than the client meant; none is kept.
        """
        engine = writing_bind(plain_session(self.service.session), inspect(self.tables.upload))
        assert isinstance(engine, Engine)
        async with holding(engine, self.tables, identity, mine, start=start) as lease:
            storing = asyncio.create_task(self._store(lease, body(lease), digests))
            try:
                return await asyncio.shield(storing)
            except asyncio.CancelledError:
                lease.is_wanted.set()
                await finish(storing)
                raise

    async def _store(self, lease: Lease, chunks: AsyncGenerator[bytes, None], digests: Mapping[str, bytes]) -> int:
        came = Counted(chunks, is_whole=bool(digests))
        first = await anext(came, None)
        if first is None:
            return lease.start
        upload = await FileService(self.service.session, model=self.tables.upload).get(lease.identity)
        content: AsyncIterator[bytes] = came.beginning_with(first)
        if digests:
            content = aiter(DigestingStream(came.beginning_with(first), expected=digests))
        file = FileObject(self.backend, upload.filename, content_type=upload.content_type, content=content)
        segments = FileService(self.service.session, model=self.tables.segment)
        await segments.end_reading()
        async with segments.storing(file) as stored, segments.turn():
            end = lease.start + came.size
            await run_in_session(self.service.session, self._move_on, lease, end)
            await segments.create({"upload_id": lease.identity, "start": lease.start, "file": stored})
            await segments.commit()
        return end

    def _move_on(self, session: Session, lease: Lease, end: int) -> None:
        """Note where the upload is now, unless somebody else holds it by now."""
        uploads = self.tables.uploads
        held = and_(uploads.c.id == lease.identity, uploads.c.fence == lease.fence)
        moved = (
            update(uploads)
            .where(held)
            .values(received=end, expires=database_time() + self.lasts, holder=None, lease=0.0)
        )
        if writing_connection(session, inspect(self.tables.upload)).execute(moved).rowcount != 1:
            raise UploadNotFoundError(lease.identity)


class Counted:
    """The bytes of a request, counted, which end where the client went away; one that must be `is_whole` fails there."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], *, is_whole: bool) -> None:
        self._chunks, self._is_whole, self.size = chunks, is_whole, 0

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._chunks)
        except ENDED_EARLY:
            if self._is_whole:
                raise
            raise StopAsyncIteration from None
        self.size += len(chunk)
        return chunk

    def __aiter__(self) -> "Counted":
        return self

    async def beginning_with(self, first: bytes) -> AsyncGenerator[bytes, None]:
        """Yield the first chunk, which was read already, and the others."""
        yield first
        async for chunk in self:
            yield chunk
