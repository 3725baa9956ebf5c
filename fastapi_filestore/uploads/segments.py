"""Store what one request brings of an upload: an object of its own, committed together with where the upload is now."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from anyio import CancelScope
from sqlalchemy import Engine, and_, inspect, select, update
from sqlalchemy.orm import Session

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import ClientDisconnectedError, SlowUploadError, UploadNotFoundError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.digests import NO_DIGESTS, DigestingStream
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.sessions import plain_session, run_in_session, writing_bind
from fastapi_filestore.orm.unit_of_work import end as ending
from fastapi_filestore.orm.uploads.leases import Lease, holding
from fastapi_filestore.service import FileService
from fastapi_filestore.uploads.open_uploads import OpenUploads

ENDED_EARLY: Final = (ClientDisconnectedError, SlowUploadError)
"""What ends the body of a request early, and leaves what came before it good."""

Body = Callable[[Lease], AsyncGenerator[bytes, None]]
"""Gives the bytes of a request for a lease; it ends when the lease is wanted, as if the client had gone."""


@dataclass(frozen=True, slots=True)
class Appending:
    """What requests bring of uploads, a part of a file each."""

    uploads: OpenUploads

    async def append(
        self,
        identity: str,
        body: Body,
        *,
        start: int,
        size: int | None = None,
        digests: Mapping[str, bytes] = NO_DIGESTS,
    ) -> tuple[int, float]:
        """Add the bytes of a request to an upload, as many as come; return where the next belong, and when it ends.

        A client that goes away, another request that wants the upload and a server that stops end it early: what has
        come by then is kept. With `digests` it is all or nothing. `size` is that of the whole upload, if only this
        request says so.

        Raises:
            UploadNotFoundError, UploadOffsetError, UploadBusyError: It can't be written to, there or now.
            UploadTooLargeError: It is larger than the column takes, or than was announced.
            DigestMismatchError: The bytes are others than the client meant; none is kept.
        """
        uploads = self.uploads
        engine = writing_bind(plain_session(uploads.service.session), inspect(uploads.tables.upload))
        assert isinstance(engine, Engine)
        await uploads.service.commit()  # nothing is held while a client is waited for
        async with holding(engine, uploads.tables, identity, uploads.mine, start=start, size=size) as lease:
            storing = asyncio.create_task(self._store(lease, body(lease), digests))
            try:
                return await asyncio.shield(storing)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError):
                    lease.is_wanted.set()
                    asyncio.get_running_loop().call_later(ending.PATIENCE, storing.cancel)  # the store may never answer
                    with suppress(Exception):  # that it was cancelled is the news
                        await finish(storing)
                with CancelScope(shield=True):  # what the session has locked nobody can let go of beside it
                    await uploads.service.rollback()
                raise

    async def _store(
        self, lease: Lease, chunks: AsyncGenerator[bytes, None], digests: Mapping[str, bytes]
    ) -> tuple[int, float]:
        uploads, service = self.uploads, self.uploads.service
        upload = await uploads.find(lease.identity)
        (field, _), expires = uploads.target_of(upload), upload.expires
        file = FileObject(None, upload.filename, content_type=upload.content_type)
        came = Counted(chunks, is_whole=bool(digests))
        await service.commit()
        first = await anext(came, None)
        if first is None:
            if digests:
                async for _ in DigestingStream(came.beginning_with(b""), expected=digests):
                    pass
            if not came.is_cut:  # it says how long the upload is, at least
                expires = await run_in_session(service.session, self._move_on, lease, lease.start)
                await service.commit()
            return lease.start, expires
        content: AsyncIterator[bytes] = came.beginning_with(first)
        if digests:
            content = aiter(DigestingStream(came.beginning_with(first), expected=digests))
        file = FileObject(None, file.filename, content_type=file.content_type, content=content)
        segments = FileService(service.session, model=uploads.tables.segment)
        async with service.storing(file, field=field, is_whole=False) as stored, service.turn():
            end = lease.start + came.size
            expires = await run_in_session(service.session, self._move_on, lease, end)
            await segments.create({"upload_id": lease.identity, "start": lease.start, "file": stored})
            await service.commit()
        return end, expires

    def _move_on(self, session: Session, lease: Lease, end: int) -> float:
        """Note where the upload is now, unless somebody else holds it by now; return when it ends."""
        table, connection = self.uploads.tables.uploads, self.uploads.connection(session)
        expires: float = connection.execute(select(database_time())).scalar_one()
        expires += self.uploads.limits.lasts.total_seconds()
        held = and_(table.c.id == lease.identity, table.c.fence == lease.fence)
        moved = update(table).where(held).values(received=end, size=lease.size, expires=expires, holder=None, lease=0.0)
        if connection.execute(moved).rowcount != 1:
            raise UploadNotFoundError(lease.identity)
        return expires


class Counted:
    """The bytes of a request, counted; they end where the client went away, or fail if it must be `is_whole`."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], *, is_whole: bool) -> None:
        self._chunks, self._is_whole, self.size, self.is_cut = chunks, is_whole, 0, False

    async def __anext__(self) -> bytes:
        try:
            chunk = await anext(self._chunks)
        except ENDED_EARLY:
            if self._is_whole:
                raise
            self.is_cut = True
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
