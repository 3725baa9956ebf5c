"""Rules: uploads come into rows, and are refused to others."""

from typing import Any

from fastapi_filestore.errors import UploadClaimedError, UploadNotFoundError
from fastapi_filestore.uploads import claims
from tests.model.plain import Row, files_of
from tests.model.playing import PICK, chosen, play
from tests.model.rules_uploads import COLUMNS_OF_UPLOADS, UploadRules
from tests.model.uploads import CLAIMED, OPEN, Upload


class ClaimRules(UploadRules):
    """What the session of a row does with uploads."""

    @play(when=lambda machine: machine.can_claim(), which=PICK, row=PICK, gives_back=PICK)
    def claim(self, which: int, row: int, gives_back: int) -> None:
        """Let a row take an upload, a new row or one that is there; sometimes none does."""
        self._claim(which, row, gives_back=gives_back % 4 == 0)

    def can_claim(self) -> bool:
        """Tell whether there is an upload to take, or one can be brought."""
        return self.can_upload() or bool(self.takeable())

    def _claim(self, which: int, row: int, *, gives_back: bool = False) -> None:
        if self.can_upload() and not self.takeable():
            self.bring(which, which % 2 + 1)
        if not self.flush() or not self.takeable():
            return
        if not (upload := self._completed(chosen(self.takeable(), which))):
            return
        albums = [tag for tag in self.rows() if self.side.sheet.kind(tag) == "Album"]
        if gives_back:
            self.attempt(lambda: self.scene.run(self._give_back(upload)))
        elif row % 2 and albums:
            self._claim_by_row(chosen(albums, row // 2), upload)
        else:
            self._claim_by_new_row(upload)
        self.judge()

    def takeable(self) -> list[Upload]:
        """Return the uploads that can be taken, or could be if they were completed first."""
        if not self.scene.has_ledger:
            return []
        can = self.can_upload()
        return self.uploads_that(
            lambda one: one.can_be_taken or (can and one.state == OPEN and self.refusal(one) is None)
        )

    def _completed(self, upload: Upload) -> Upload | None:
        if upload.state == OPEN:
            self.complete(upload)
        return upload if upload.can_be_taken else None

    async def _give_back(self, upload: Upload) -> None:
        claim = await claims.take(self.uploads_in(self.side.session), [upload.identity])
        await claim.give_back_untaken()
        self.side.wrote = True

    async def _take_upload(self, upload: Upload) -> Any:
        """Take an upload in the row's session; return what its column may be given."""
        claim = await claims.take(self.uploads_in(self.side.session), [upload.identity])
        await claim.note_row("/albums")
        self.side.wrote = True
        files = claim.files[upload.column]
        return list(files) if self.scene.cell.multiple else files[0]

    def _plain(self, upload: Upload) -> Any:
        return (upload.file,) if self.scene.cell.multiple else upload.file

    def _claim_by_new_row(self, upload: Upload) -> None:
        tag = next(self.scene.serial)
        created: list[Any] = []

        async def create() -> None:
            file = await self._take_upload(upload)
            service = self.uploads_in(self.side.session).service
            empty = dict.fromkeys(COLUMNS_OF_UPLOADS, None)
            created.append(await service.create({"tag": tag, **empty, upload.column: file}))

        if self.attempt(lambda: self.scene.run(create())):
            values = {**dict.fromkeys(COLUMNS_OF_UPLOADS, None), upload.column: self._plain(upload)}
            self.note_new(created[0], Row("Album", None, values))
            self._note_claim(upload)

    def _claim_by_row(self, tag: int, upload: Upload) -> None:
        keys = list[int]()
        self.edit(lambda session: keys.append(self.side.find(session, tag).id))
        held = files_of(self.side.sheet.value((tag, upload.column)))
        if not keys:
            return

        async def write() -> None:
            file = await self._take_upload(upload)
            service = self.uploads_in(self.side.session).service
            if self.scene.cell.multiple:
                await service.append(keys[0], file, field=upload.column)
            else:
                await service.replace(keys[0], file, field=upload.column)

        if self.attempt(lambda: self.scene.run(write())):
            value = (*held, upload.file) if self.scene.cell.multiple else upload.file
            self.side.note((tag, upload.column), value)
            self._note_claim(upload)

    def _note_claim(self, upload: Upload) -> None:
        self.side.sheet.claims.add(upload.identity)
        self.side.do(self.side.note_flush)

    @play(when=lambda machine: machine.claimed() or machine.can_claim(), which=PICK)
    def claim_again(self, which: int) -> None:
        """Let another row take what a row took already, which is refused."""
        if not self.claimed():
            self._claim(which, which)
        if not self.flush() or not self.claimed():
            return
        upload = chosen(self.claimed(), which)

        async def take() -> None:
            await self._take_upload(upload)

        error = UploadNotFoundError if upload.is_over else UploadClaimedError
        self.refused(lambda: self.scene.run(take()), error)

    def claimed(self) -> list[Upload]:
        """Return the uploads that rows took, of this session's transaction and of earlier ones."""
        own, other = self.side.sheet.claims, self.other.sheet.claims
        return [
            one
            for one in self.uploads.values()
            if one.identity in own or (one.state == CLAIMED and one.identity not in other)
        ]
