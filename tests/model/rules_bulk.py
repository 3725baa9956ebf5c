"""Rules: statements, of the ORM and as text, and the service."""

from typing import Any

from sqlalchemy import delete, insert, text, update
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, FileService
from fastapi_filestore.errors import ContentConsumedError
from fastapi_filestore.intake.upload import Upload
from fastapi_filestore.storage.paths import generate_upload_path
from tests.model.plain import Row, files_of
from tests.model.playing import COIN, PICK, chosen, play
from tests.model.rules_rows import RowRules
from tests.model.tables import BACKEND, COLUMNS, NAMES

EXPIRED = 100_000
"""Seconds since the end of an upload URL, so that an audit takes what was stored with it."""


class StatementRules(RowRules):
    """What programs do without rows in memory."""

    def _execute(self, statement: Any, parameters: Any = None) -> bool:
        """Run a statement, and let the session read everything anew."""

        def execute(session: Session) -> None:
            session.execute(statement, parameters)
            self.side.read_again(session)

        return self.attempt(lambda: self.side.do(execute))

    def _note_statement(self) -> None:
        self.side.forget()
        self.side.wrote = True
        self.side.statements += 1
        self.side.flushed = dict(self.side.sheet.values)
        self.side.rows = {tag: row for tag, row in self.side.rows.items() if self.side.sheet.has(tag)}

    @play(when=lambda machine: True, rows=PICK)
    def bulk_insert(self, rows: int) -> None:
        """Insert some rows by one statement."""
        made = {next(self.scene.serial): self.new_value() for _ in range(rows % 3 + 1)}
        if not self.flush():
            return
        values = [{"tag": tag, "held": real} for tag, (real, _) in made.items()]
        if self._execute(insert(self.scene.family.Album), values):
            for tag, (_, plain) in made.items():
                self.side.sheet.add(tag, Row("Album", None, {"held": plain, "spare": None}))
            self._note_statement()

    @play(when=lambda machine: machine.filed_rows(), which=PICK, kind=PICK, empty=COIN)
    def bulk_update(self, which: int, kind: int, *, empty: bool) -> None:
        """Give a row a new file by a statement, or take those of all rows of its class."""
        if not self.flush():
            return
        tag = chosen(self.filed_rows(), which)
        name = self.side.sheet.kind(tag)
        tags = [one for one in self.rows() if self.side.sheet.kind(one) == name] if empty else [tag]
        real, plain = (None, None) if empty else self.new_value()
        model = self.scene.family.kind(name)
        if self._execute(update(model).where(model.tag.in_(tags)).values(held=real)):
            for one in tags:
                self.side.sheet.values[one, "held"] = plain
            self._note_statement()

    @play(when=lambda machine: machine.childless(), which=PICK)
    def bulk_delete(self, which: int) -> None:
        """Delete a row by a statement."""
        if not self.flush():
            return
        tag = chosen(self.childless(), which)
        model = self.scene.family.kind(self.side.sheet.kind(tag))
        if self._execute(delete(model).where(model.tag == tag)):
            self.side.sheet.drop(tag)
            self._note_statement()

    def childless(self) -> list[int]:
        """Return the tags of the rows that a statement may delete: they own none, and no other points to them."""
        sheet = self.side.sheet
        pointed_to = {tag for tag in sheet.of_kind("Artwork") if sheet.parent(tag) is not None}
        return [tag for tag in self.rows() if not sheet.children(tag) and tag not in pointed_to]

    @play(when=lambda machine: machine.raw_rows(), which=PICK, what=PICK, to=PICK)
    def raw_sql(self, which: int, what: int, to: int) -> None:
        """Change rows by SQL that only triggers see: empty a column, delete with all that cascades, move a file."""
        if not self.flush():
            return
        tag = chosen(self.raw_rows(), which)
        table = NAMES[self.side.sheet.kind(tag)]
        if what % 3 == 0:
            done = self._execute(text(f"UPDATE {table} SET held = NULL WHERE tag = {tag}"))
            if done:
                self.side.sheet.values[tag, "held"] = None
        elif what % 3 == 1:
            done = self._execute(text(f"DELETE FROM {table} WHERE tag = {tag}"))
            if done:
                self.side.sheet.drop(tag)
        else:
            done = self._move_by_sql(tag, table, to)
        if done:
            self._note_statement()
            self.side.raw_sql = True

    def _move_by_sql(self, tag: int, table: str, to: int) -> bool:
        target = chosen([one for one in self.raw_rows() if one != tag] or [tag], to)
        if target == tag:
            return False
        held = self.side.sheet.value((tag, "held"))
        other = NAMES[self.side.sheet.kind(target)]

        def move(session: Session) -> None:
            value = session.execute(text(f"SELECT CAST(held AS TEXT) FROM {table} WHERE tag = {tag}")).scalar_one()
            session.execute(text(f"UPDATE {table} SET held = NULL WHERE tag = {tag}"))
            cast = ":value" if self.scene.has_one_writer else "CAST(:value AS JSONB)"
            session.execute(text(f"UPDATE {other} SET held = {cast} WHERE tag = {target}"), {"value": value})
            self.side.read_again(session)

        if not self.attempt(lambda: self.side.do(move)):
            return False
        self.side.sheet.values[tag, "held"] = None
        self.side.sheet.values[target, "held"] = held
        return True

    def raw_rows(self) -> list[int]:
        """Return the tags of the rows that SQL may change: where there are triggers, and but those others point to."""
        if self.scene.cell.ledger != "triggers":
            return []
        sheet = self.side.sheet
        owners = {sheet.parent(tag) for tag in sheet.of_kind("Artwork")}
        return [tag for tag in self.filed_rows() if tag not in owners and sheet.kind(tag) != "Artwork"]

    # -- the service -------------------------------------------------------------------------------------

    def _service(self, kind: str) -> FileService[Any]:
        return FileService(self.side.session, model=self.scene.family.kind(kind))

    def _key(self, tag: int) -> int | None:
        """Return a row's primary key; None if it could not be read."""
        found = list[int]()
        self.edit(lambda session: found.append(self.side.find(session, tag).id))
        return found[0] if found else None

    @play(when=lambda machine: True, empty=COIN)
    def service_create(self, *, empty: bool) -> None:
        """Create a row with the service."""
        tag = next(self.scene.serial)
        made = {column: (None, None) if empty else self.new_value() for column in COLUMNS["Album"]}
        data = {"tag": tag, **{column: real for column, (real, _) in made.items()}}
        created: list[Any] = []

        async def create() -> None:
            created.append(await self._service("Album").create(data))

        if self.attempt(lambda: self.scene.run(create())):
            self.note_new(created[0], Row("Album", None, {column: plain for column, (_, plain) in made.items()}))
            self.side.do(self.side.note_flush)

    @play(when=lambda machine: machine.filed_rows(), which=PICK, empty=COIN)
    def service_update(self, which: int, *, empty: bool) -> None:
        """Replace a row's file with the service, or clear it."""
        if not self.flush():
            return
        tag = chosen(self.filed_rows(), which)
        real, plain = (None, None) if empty else self.new_value()
        service, key = self._service(self.side.sheet.kind(tag)), self._key(tag)
        if key is not None and self.attempt(lambda: self.scene.run(service.replace(key, real, field="held"))):
            self.side.note((tag, "held"), plain)
            self.side.do(self.side.note_flush)

    @play(
        when=lambda machine: machine.scene.cell.multiple and machine.places(full=True), at=PICK, which=PICK, turns=COIN
    )
    def service_edit_list(self, at: int, which: int, *, turns: bool) -> None:
        """Have the service turn a list round, or put another file in the place of one."""
        place = chosen(self.places(full=True), at)
        # The service begins with what the database has, not with what the session read before another one's commit.
        if not self.flush() or not (files := files_of(self.side.sheet.value(place))):
            return
        tag, column = place
        service, key = self._service(self.side.sheet.kind(tag)), self._key(tag)
        if key is None:
            return
        index, (real, plain) = which % len(files), self.new_file()

        async def edit() -> None:
            ids = [str(file.id) for file in await service.listed_files(key, field=column)]
            if turns:
                await service.reorder(key, ids[::-1], field=column)
            else:
                await service.exchange(key, ids[index], real, field=column)

        if self.attempt(lambda: self.scene.run(edit())):
            self.side.note(place, files[::-1] if turns else (*files[:index], plain, *files[index + 1 :]))
            self.side.do(self.side.note_flush)

    @play(when=lambda machine: machine.filed_rows(), which=PICK, again=COIN)
    def service_take_upload(self, which: int, *, again: bool) -> None:
        """Have the service replace a row's file by what a client stored by itself, and may store again."""
        if not self.flush():
            return
        tag = chosen(self.filed_rows(), which)
        path, plain = generate_upload_path(-EXPIRED), self.new_file()[1]
        self.scene.run(self.scene.store.inner.put(path, plain.content))
        file = FileObject(BACKEND, plain.filename, path=path)
        real, value = ([file], (plain,)) if self.scene.cell.multiple else (file, plain)
        service, key = self._service(self.side.sheet.kind(tag)), self._key(tag)
        if key is not None and self.attempt(lambda: self.scene.run(service.replace(key, real, field="held"))):
            self.side.note((tag, "held"), value)
            self.side.do(self.side.note_flush)
        if again:
            self.scene.run(self.scene.store.inner.put(path, b"other bytes"))

    @play(when=lambda machine: machine.unpointed(), which=PICK)
    def service_delete(self, which: int) -> None:
        """Delete a row with the service."""
        if not self.flush():
            return
        tag = chosen(self.unpointed(), which)
        service, key = self._service(self.side.sheet.kind(tag)), self._key(tag)
        if key is not None and self.attempt(lambda: self.scene.run(service.delete(key))):
            self.side.sheet.drop(tag)
            self.side.is_restructured = True
            self.side.do(self.side.note_flush)

    def unpointed(self) -> list[int]:
        """Return the tags of the rows that no other row points to."""
        sheet = self.side.sheet
        return [tag for tag in self.filed_rows() if sheet.kind(tag) != "Artwork" or sheet.parent(tag) is None]

    @play(when=lambda machine: machine.places(), at=PICK)
    def drained(self, at: int) -> None:
        """Give a place an upload that was read by somebody else, which is refused."""
        if not self.flush():
            return
        tag, column = chosen(self.places(), at)

        async def chunks() -> Any:
            yield b"gone"

        upload = Upload(chunks(), filename="gone.txt")

        async def drain() -> None:
            async for _ in upload:
                pass

        self.scene.run(drain())

        def assign(session: Session) -> None:
            setattr(self.side.find(session, tag), column, [upload] if self.scene.cell.multiple else upload)
            session.flush()

        self.refused(lambda: self.side.do(assign), ContentConsumedError)
