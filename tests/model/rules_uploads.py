"""Rules: uploads begin, grow, become whole, and come into rows, or end."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from typing import Final

from sqlalchemy import inspect, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from fastapi_filestore import FileService
from fastapi_filestore.errors import (
    ClientDisconnectedError,
    StorageError,
    UploadIncompleteError,
    UploadNotFoundError,
    UploadPartError,
)
from fastapi_filestore.orm.column.attributes import file_attribute
from fastapi_filestore.orm.sessions import AnySession, run_in_session, writing_connection
from fastapi_filestore.orm.uploads.leases import Lease
from fastapi_filestore.orm.uploads.tables import UploadTables, uploads_of
from fastapi_filestore.storage.paths import generate_once_path, generate_upload_path
from fastapi_filestore.uploads import completion
from fastapi_filestore.uploads.open_uploads import OpenUploads
from fastapi_filestore.uploads.options import UploadLimits
from fastapi_filestore.uploads.segments import Appending
from fastapi_filestore.uploads.targets import Announced, Target
from tests.model.plain import File
from tests.model.playing import COIN, DISTURBED, PICK, chosen, play
from tests.model.rules_bulk import EXPIRED
from tests.model.rules_rows import RowRules
from tests.model.tables import BACKEND, COLUMNS
from tests.model.uploads import CLAIMED, COMPLETE, OPEN, Upload

COLUMNS_OF_UPLOADS: Final = COLUMNS["Album"]
STORED_BY_CLIENT: Final[tuple[Callable[[int], str], ...]] = (generate_upload_path, partial(generate_once_path, ""))
"""What makes a path for a URL that writes as often as its holder likes, and one for a URL that writes once."""


class UploadRules(RowRules):
    """What clients do with uploads, each in a session of its own, and what a row's session does with them."""

    # -- where they are ----------------------------------------------------------------------------------

    @property
    def _upload_tables(self) -> UploadTables:
        tables = uploads_of(self.scene.family.metadata)
        assert tables is not None
        return tables

    def uploads_in(self, session: AnySession) -> OpenUploads:
        """Return the uploads of an owner in a session."""
        album = self.scene.family.Album
        targets = {name: Target(file_attribute(album, name)) for name in COLUMNS_OF_UPLOADS}
        service = FileService(session, model=album)
        return OpenUploads(service, self._upload_tables, targets, limits=UploadLimits(), owner="ann")

    def can_upload(self) -> bool:
        """Tell whether there are uploads here, and another session can write them now."""
        return self.scene.has_ledger and not (
            self.scene.has_one_writer and (self.side.has_written or self.other.has_written)
        )

    def uploads_that(self, are: Callable[[Upload], bool]) -> list[Upload]:
        """Return the uploads that are something, and that no transaction has taken."""
        taken = {*self.side.sheet.claims, *self.other.sheet.claims}
        return [one for one in self.uploads.values() if one.identity not in taken and are(one)]

    def beside(self, work: Callable[[OpenUploads], Awaitable[None]], *allowed: type[Exception]) -> bool:
        """Do something in a session of its own, and commit; tell whether it was not refused."""
        for side in (self.side, self.other):
            # SQLite refuses to let a transaction write that has read before somebody else wrote.
            side.is_disturbed |= self.scene.has_one_writer and side.session.in_transaction()
        tripped = self.scene.store.tripped
        try:
            self.scene.run(self._beside(work))
        except allowed:
            return False
        except Exception as error:
            down = isinstance(error, StorageError) and self.scene.store.tripped > tripped
            busy = isinstance(error, DISTURBED) and (self.side.has_written or self.other.has_written)
            if not (down or busy):
                raise
            return False
        return True

    async def _beside(self, work: Callable[[OpenUploads], Awaitable[None]]) -> None:
        engine = self.scene.engine
        session: AnySession = AsyncSession(engine) if isinstance(engine, AsyncEngine) else Session(engine)
        try:
            uploads = self.uploads_in(session)
            async with uploads.service.unit_of_work():
                await work(uploads)
        finally:
            await run_in_session(session, Session.close)

    # -- bytes -------------------------------------------------------------------------------------------

    @play(when=lambda machine: machine.can_upload(), column=PICK, requests=PICK, is_part=COIN)
    def begin_upload(self, column: int, requests: int, *, is_part: bool) -> None:
        """Begin an upload, and bring some of it, or all, by a few requests."""
        self.bring(column, requests % 3, is_part=is_part)
        self.judge()

    def bring(self, column: int, requests: int, *, is_part: bool = False) -> Upload | None:
        """Begin an upload, and bring all of it by some requests, if there are any."""
        upload = self._begin(chosen(list(COLUMNS_OF_UPLOADS), column), self.new_file()[1], is_part=is_part)
        if upload is not None:
            for left in range(requests, 0, -1):
                self._append(upload, -(-(len(upload.file.content) - upload.end) // left))
        return upload

    def _begin(self, column: str, file: File, *, is_part: bool = False, parts: Sequence[Upload] = ()) -> Upload | None:
        ids = [part.identity for part in parts]
        size = None if parts else len(file.content)
        concat = "final" if parts else "partial" if is_part else None
        announced = Announced(file.filename, file.content_type, size, concat=concat, parts=ids)
        begun = list[Upload]()

        async def begin(uploads: OpenUploads) -> None:
            row, _ = await uploads.begin(column, announced, expires_in=None)
            begun.append(Upload(row.id, column, file, is_part=is_part, parts=ids))

        if not self.beside(begin):
            return None
        self.uploads[begun[0].identity] = begun[0]
        return begun[0]

    def _append(self, upload: Upload, size: int, *, is_cut: bool = False) -> None:
        start = upload.end
        chunk = upload.file.content[start : start + size]

        async def body(lease: Lease) -> AsyncGenerator[bytes, None]:
            yield chunk[:2]
            if is_cut:
                raise ClientDisconnectedError
            yield chunk[2:]

        async def append(uploads: OpenUploads) -> None:
            await Appending(uploads).append(upload.identity, body, start=start)

        errors = (UploadNotFoundError,) if upload.is_over else ()
        if chunk and self.beside(append, *errors):
            assert not upload.is_over, "there should be no such upload any more"
            upload.received.append(chunk[:2] if is_cut else chunk)

    @play(when=lambda machine: machine.can_upload(), which=PICK, size=PICK, is_cut=COIN)
    def append_to_upload(self, which: int, size: int, *, is_cut: bool) -> None:
        """Bring more of an upload, or the first of a new one, until the client goes away."""
        growing = self.uploads_that(lambda one: one.state == OPEN and not one.is_all_there)
        upload = chosen(growing, which) if growing else self.bring(which, 0)
        if upload is not None:
            self._append(upload, size + 1, is_cut=is_cut)
        self.judge()

    @play(when=lambda machine: machine.can_upload(), column=PICK, kind=PICK)
    def upload_directly(self, column: int, kind: int) -> None:
        """Begin an upload that its client stores by itself."""
        upload = self._begin(chosen(list(COLUMNS_OF_UPLOADS), column), self.new_file()[1])
        if upload is None:
            return
        path, table = chosen(list(STORED_BY_CLIENT), kind)(-EXPIRED), self._upload_tables.uploads

        def expect(session: Session) -> None:
            ledger = self.scene.family.ledger
            assert ledger is not None
            session.execute(update(table).where(table.c.id == upload.identity).values(backend=BACKEND, path=path))
            connection = writing_connection(session, inspect(self.scene.family.Album))
            ledger.expect(connection, (BACKEND, path), seconds=2 * EXPIRED)

        async def lead_there(uploads: OpenUploads) -> None:
            await run_in_session(uploads.service.session, expect)

        if self.beside(lead_there):
            self.scene.run(self.scene.store.inner.put(path, upload.file.content))
            upload.path = path
        self.judge()

    @play(when=lambda machine: machine.can_upload(), which=PICK, more=PICK)
    def concatenate(self, which: int, more: int) -> None:
        """Begin an upload that is made of parts, of two new ones if there are none."""
        for requests in (1, 2) if not self.whole_parts() else ():
            self.bring(which, requests, is_part=True)
        if not self.whole_parts():
            return
        first = chosen(self.whole_parts(), which)
        others = [part for part in self.whole_parts() if part is not first and part.column == first.column]
        parts = [first, *others[: more % 3]]
        name = f"f{next(self.scene.serial)}.txt"
        self._begin(first.column, File(b"".join(part.file.content for part in parts), name), parts=parts)
        self.judge()

    def whole_parts(self) -> list[Upload]:
        """Return the parts that uploads can be made of."""
        return self.uploads_that(lambda one: one.is_part and one.state == OPEN and one.is_all_there and not one.is_over)

    @play(when=lambda machine: machine.can_upload(), which=PICK)
    def complete_upload(self, which: int) -> None:
        """Complete an upload, a new one if there is none, or be refused what is not all there."""
        opened = self.uploads_that(lambda one: one.state == OPEN)
        upload = chosen(opened, which) if opened else self.bring(which, which % 3)
        if upload is not None:
            self.complete(upload)
        self.judge()

    def complete(self, upload: Upload) -> None:
        """Complete an upload, unless that has to be refused."""

        async def work(uploads: OpenUploads) -> None:
            await completion.complete(uploads, upload.identity)

        error = self.refusal(upload)
        if self.beside(work, *([error] if error else [])):
            assert error is None, f"this should have raised {error}"
            upload.state = COMPLETE
            if upload.parts:
                self._drop_parts(upload)

    def refusal(self, upload: Upload) -> type[Exception] | None:
        """Return the error that refuses to complete an upload, if it is to be refused."""
        if upload.is_over:
            return UploadNotFoundError
        if upload.is_part or any(part not in self.uploads for part in upload.parts):
            return UploadPartError
        return None if upload.is_all_there else UploadIncompleteError

    def _drop_parts(self, upload: Upload) -> None:
        """Note that parts are gone that no other upload is to be made of."""
        finals = [one for one in self.uploads.values() if one.state == OPEN and not one.is_over]
        needed = {part for final in finals for part in final.parts}
        for part in {*upload.parts} - needed:
            if part in self.uploads and not self.uploads[part].is_over:
                del self.uploads[part]

    # -- ends --------------------------------------------------------------------------------------------

    def _any_upload(self, which: int) -> Upload | None:
        """Return an upload, a new one if there is none."""
        uploads = self.uploads_that(lambda one: True)
        return chosen(uploads, which) if uploads else self.bring(which, which % 3)

    @play(when=lambda machine: machine.can_upload(), which=PICK)
    def end_upload(self, which: int) -> None:
        """End an upload, or be told that there is none any more."""
        if (upload := self._any_upload(which)) is None:
            return

        async def end(uploads: OpenUploads) -> None:
            await uploads.end(upload.identity)

        is_there = upload.state != CLAIMED and not upload.is_over
        if self.beside(end, *([] if is_there else [UploadNotFoundError])):
            assert is_there, "there should be no such upload any more"
            del self.uploads[upload.identity]
        self.judge()

    @play(when=lambda machine: machine.can_upload(), which=PICK)
    def let_time_pass(self, which: int) -> None:
        """Let the time of an upload be over."""
        upload, table = self._any_upload(which), self._upload_tables.uploads
        if upload is None:
            return

        async def expire(uploads: OpenUploads) -> None:
            statement = update(table).where(table.c.id == upload.identity).values(expires=0)
            await run_in_session(uploads.service.session, lambda session: session.execute(statement))

        if self.beside(expire):
            upload.is_over = True
