"""Give uploads to rows: a claim moves files from the rows of uploads to another one, in its transaction."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from sqlalchemy import event, inspect
from sqlalchemy.orm import Session

from fastapi_filestore.errors import (
    UploadClaimedError,
    UploadNotFoundError,
)
from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.orm.holders.holders import places_holding, tables_with_files
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.sessions import plain_session, run_in_session
from fastapi_filestore.orm.uploads.tables import CLAIMED, COMPLETE, UploadRow
from fastapi_filestore.uploads.open_uploads import OpenUploads

REMEMBERED: Final = timedelta(hours=24)
"""How long it is known which row took an upload."""


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
