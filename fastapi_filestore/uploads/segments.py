"""Store what one request brings of an upload: an object of its own, committed together with where the upload is now."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

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
from fastapi_filestore.uploads.beginnings import digest_up_to, remember
from fastapi_filestore.uploads.open_uploads import OpenUploads

ENDED_EARLY: Final = (ClientDisconnectedError, SlowUploadError)
"""What ends the body of a request early, and leaves what came before it good."""

Body = Callable[[Lease], AsyncGenerator[bytes, None]]
"""Gives the bytes of a request for a lease; it ends when the lease is wanted, as if the client had gone."""


@dataclass(frozen=True, slots=True)
class Appending:
    """What requests bring of uploads, a part of a file each.

    Attributes:
        uploads: Those of the client.
        segment: Bytes of a request that are kept as soon as they have come; None to keep all of it at its end.
    """

    uploads: OpenUploads
    segment: int | None = None

    async def append(
        self,
        identity: str,
        body: Body,
        *,
        start: int,
        size: int | None = None,
        longest: int | None = None,
        digests: Mapping[str, bytes] = NO_DIGESTS,
    ) -> tuple[int, float]:
        """Add the bytes of a request to an upload, as many as come; return where the next belong, and when it ends.

        A client that goes away, another request that wants the upload and a server that stops end it early: what has
        come by then is kept. With `digests` it is all or nothing. `size` is that of the whole upload, if only this
        request says so; it has no more than `longest` bytes, if it says that.

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
            storing = asyncio.create_task(self._store(lease, body(lease), digests, longest))
            try:
                await asyncio.shield(storing)
            except asyncio.CancelledError:
                lease.want()
                asyncio.get_running_loop().call_later(ending.PATIENCE, storing.cancel)  # the store may never answer
                with suppress(Exception):  # that it was cancelled is the news
                    await finish(storing)
                raise
        return lease.start, lease.expires

    async def _store(
        self, lease: Lease, chunks: AsyncGenerator[bytes, None], digests: Mapping[str, bytes], longest: int | None
    ) -> None:
        pieces = Pieces(chunks, most=None if digests else self.segment, is_whole=bool(digests), left=longest)
        has_begun = False
        while await pieces.begin():
            has_begun = True
            await self._store_piece(lease, pieces, digests)
        if has_begun:
            return
        if digests:
            async for _ in DigestingStream(pieces.piece(), expected=digests):
                pass
        if not pieces.is_cut:  # it says how long the upload is, at least
            async with self.uploads.service.unit_of_work():
                session = self.uploads.service.session
                expires = await run_in_session(session, self._move_on, lease, lease.start, is_last=True)
            lease.move(lease.start, expires, is_last=True)

    async def _store_piece(self, lease: Lease, pieces: "Pieces", digests: Mapping[str, bytes]) -> None:
        """Store what comes next as one object, and commit it together with where the upload is then."""
        service = self.uploads.service
        so_far = digest_up_to(lease.identity, lease.start)
        content = DigestingStream(pieces.piece(), expected=digests, so_far=so_far, longest=pieces.longest)
        field, _ = self.uploads.target_of(lease)
        file = FileObject(None, lease.filename, content_type=lease.content_type, content=content)
        segments = FileService(service.session, model=self.uploads.tables.segment)
        async with (
            service.storing(file, field=field, is_whole=False, needs_folder=False) as stored,
            service.turn(),
            service.unit_of_work(),  # it has ended, and holds nothing, before anything is cleared away
        ):
            start, end = lease.start, lease.start + pieces.size
            is_last = pieces.have_ended
            if so_far is not None and start:
                stored.checksum = None  # it is that of all that has come
            expires = await run_in_session(service.session, self._move_on, lease, end, is_last=is_last)
            await segments.create({"upload_id": lease.identity, "start": start, "file": stored})
        lease.move(end, expires, is_last=is_last)
        if so_far is not None:
            remember(lease.identity, end, so_far)

    def _move_on(self, session: Session, lease: Lease, end: int, *, is_last: bool) -> float:
        """Note where the upload is now, unless somebody else holds it by now; return when it ends."""
        table, connection = self.uploads.tables.uploads, self.uploads.connection(session)
        expires: float = connection.execute(select(database_time())).scalar_one()
        expires += self.uploads.limits.lasts.total_seconds()
        held = and_(table.c.id == lease.identity, table.c.fence == lease.fence)
        moved = update(table).where(held).values(received=end, size=lease.size, expires=expires)
        if is_last:
            moved = moved.values(holder=None, lease=0.0, is_wanted=False)
        if connection.execute(moved).rowcount != 1:
            raise UploadNotFoundError(lease.identity)
        return expires


class Pieces:
    """The bytes of a request, in pieces of as many as become one object; they end where the client went away.

    Attributes:
        size: Bytes of a piece that have passed.
        is_cut: Whether the client went away. Where a request must be whole, that is its error.
        have_ended: Whether no further piece comes.
    """

    def __init__(
        self, chunks: AsyncGenerator[bytes, None], *, most: int | None, is_whole: bool, left: int | None
    ) -> None:
        self._chunks, self._most, self._is_whole, self._left = chunks, most, is_whole, left
        self._rest = b""
        self.size, self.is_cut, self.have_ended = 0, False, False

    @property
    def longest(self) -> int | None:
        """Bytes that a piece which begins now can't exceed; None if that is not known."""
        return min((size for size in (self._most, self._left) if size is not None), default=None)

    async def begin(self) -> bool:
        """Wait for the first bytes of the next piece; return whether there is one."""
        self.size = 0
        if not (self._rest or self.have_ended):
            await self._read()
        return bool(self._rest)

    async def piece(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a piece that has begun."""
        while self._rest:
            yield self._take()
            if self.size == self._most:
                return
            if not self._rest:
                await self._read()

    def _take(self) -> bytes:
        room = len(self._rest) if self._most is None else self._most - self.size
        taken, self._rest = self._rest[:room], self._rest[room:]
        self.size += len(taken)
        if self._left is not None:
            self._left -= len(taken)
        return taken

    async def _read(self) -> None:
        try:
            self._rest = await anext(self._chunks, b"")
        except ENDED_EARLY:
            if self._is_whole:
                raise
            self.is_cut = True
        self.have_ended = not self._rest
