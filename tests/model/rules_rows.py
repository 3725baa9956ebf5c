"""Rules: rows come, go, and change their owners."""

from typing import Any

from hypothesis.stateful import initialize
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tests.model.plain import Row, Value
from tests.model.playing import COIN, PICK, Playing, chosen, play
from tests.model.tables import COLUMNS, FILED, MANY, PARENTS, PLACES

KINDS = tuple(FILED)


class RowRules(Playing):
    """What programs do with rows that own others."""

    def new_row(self, kind: str, *, empty: bool = False) -> tuple[Any, dict[str, Value]]:
        """Return a row of a class with new files, and the model's idea of them."""
        made = {column: (None, None) if empty else self.new_value() for column in COLUMNS[kind]}
        tag = next(self.scene.serial)
        row = self.scene.family.kind(kind)(tag=tag, **{column: real for column, (real, _) in made.items()})
        return row, {column: plain for column, (_, plain) in made.items()}

    @initialize(autoflush=COIN, expires=COIN, keeps=COIN)
    def start(self, *, autoflush: bool, expires: bool, keeps: bool) -> None:
        """Begin with one row of each class, in sessions that are used one way or another."""
        self.steps.append(("start", {"autoflush": autoflush, "expires": expires, "keeps": keeps}))
        self.begin(autoflush=autoflush, expires=expires, keeps=keeps)
        for kind in KINDS:
            self._new(kind, 0)
        self.side.do(lambda session: session.commit())
        self.note_commit()
        self.judge()

    @play(when=lambda machine: True, kind=PICK, parent=PICK, empty=COIN)
    def new(self, kind: int, parent: int, *, empty: bool) -> None:
        """Add a row, to an owner that may lose the one that it replaces."""
        name = chosen(list(KINDS), kind)
        parents = self._parents_for(name)
        self._new(name if parents or name == "Album" else "Album", parent, empty=empty and parent % 2 == 0)

    @play(when=lambda machine: True, which=PICK, goes=COIN)
    def note(self, which: int, *, goes: bool) -> None:
        """Add, or delete, a row without a place for a file, of a class from which others inherit that have one."""
        notes = [tag for tag in self.rows() if self.side.sheet.kind(tag) == "Note"]
        if goes and notes:
            self._delete(chosen(notes, which))
        else:
            self._new("Note", 0)

    def _new(self, name: str, parent: int, *, empty: bool = False) -> None:
        owner = chosen(self._parents_for(name), parent) if name in PARENTS else None
        row, values = self.new_row(name, empty=empty)

        def add(session: Session) -> None:
            if owner is None:
                session.add(row)
            else:
                self._give(session, owner, name, row)

        if self.edit(add):
            self.note_new(row, Row(name, owner, values))

    def note_new(self, row: Any, plain: Row) -> None:
        """Note a row that was added, and that the one goes whose place it took."""
        if plain.parent is not None:
            self._note_replaced(plain.parent, plain.kind)
        self.side.rows[row.tag] = row
        self.side.sheet.add(row.tag, plain)
        self.side.loaded[row.tag] = dict(plain.values)
        self.side.is_restructured = True

    def albums(self) -> list[int]:
        """Return the tags of the albums."""
        return self._parents_for("Photo")

    def _parents_for(self, kind: str) -> list[int]:
        rows = set(self.rows())
        return [tag for tag in self.side.sheet.of_kind(PARENTS.get(kind, "")) if tag in rows]

    def _give(self, session: Session, owner: int, kind: str, row: Any) -> None:
        owned = self._owned(session, owner, kind)
        if kind in MANY:
            owned.append(row)
        else:
            setattr(self.side.find(session, owner), PLACES[kind], row)

    def _take(self, session: Session, owner: int, kind: str, row: Any) -> None:
        owned = self._owned(session, owner, kind)
        if kind in MANY:
            owned.remove(row)
        else:
            setattr(self.side.find(session, owner), PLACES[kind], None)

    def _owned(self, session: Session, owner: int, kind: str) -> Any:
        """Return what an owner has: of one that was expired alone, SQLAlchemy does not see that it is replaced."""
        return getattr(self.side.find(session, owner), PLACES[kind])

    def _note_replaced(self, owner: int, kind: str) -> None:
        if kind not in MANY:
            for tag in self.side.sheet.children(owner, kind):
                self.side.sheet.drop(tag)

    @play(when=lambda machine: machine.owned(), which=PICK)
    def remove(self, which: int) -> None:
        """Take a row from its owner, which deletes it as an orphan, with all that it owns."""
        self._remove(chosen(self.owned(), which))

    def _remove(self, tag: int) -> None:
        owner, kind = self.side.sheet.parent(tag), self.side.sheet.kind(tag)
        assert owner is not None
        if self.side.is_restructured and not self.flush():  # SQLAlchemy would delete rows that it never wrote
            return

        def take(session: Session) -> None:
            self._take(session, owner, kind, self.side.find(session, tag))

        if self.edit(take):
            self.side.sheet.drop(tag)
            self.side.is_restructured = True

    @play(when=lambda machine: machine.owned(), which=PICK, keep=PICK)
    def rescue(self, which: int, keep: int) -> None:
        """Give a row's files to its owner, and take the row from it, in one breath."""
        tag = chosen(self.owned(), which)
        owner = self.side.sheet.parent(tag)
        assert owner is not None
        target = (owner, chosen(list(COLUMNS[self.side.sheet.kind(owner)]), keep))
        if self._holds_files((tag, "held")) and not self._give_files(tag, target):
            return
        self._remove(tag)

    def _give_files(self, tag: int, target: tuple[int, str]) -> bool:
        def give(session: Session) -> None:
            row, owner = self.side.find(session, tag), self.side.find(session, target[0])
            files = row.held
            setattr(owner, target[1], list(files) if self.scene.cell.multiple else files)
            row.held = None

        if not self.edit(give):
            return False
        self.side.note(target, self.side.memory((tag, "held")))
        self.side.note((tag, "held"), None)
        return True

    @play(when=lambda machine: machine.owned(), which=PICK, to=PICK)
    def give_to_another(self, which: int, to: int) -> None:
        """Move a row from its owner to another one."""
        tag = chosen(self.owned(), which)
        kind, owner = self.side.sheet.kind(tag), self.side.sheet.parent(tag)
        assert owner is not None
        target = chosen(self._parents_for(kind), to)
        if target == owner:
            return

        def move(session: Session) -> None:
            row = self.side.find(session, tag)
            self._take(session, owner, kind, row)
            self._give(session, target, kind, row)

        if self.edit(move):
            self._note_replaced(target, kind)
            self.side.sheet.parents[tag] = target
            self.side.is_restructured = True

    @play(when=lambda machine: machine.rows(), which=PICK)
    def delete(self, which: int) -> None:
        """Delete a row, and by cascade those that it owns."""
        self._delete(chosen(self.rows(), which))

    def _delete(self, tag: int) -> None:
        if self.side.sheet.kind(tag) == "Artwork" and self.side.sheet.parent(tag) is not None:
            self._remove(tag)  # whose owner's row would point to it still
            return
        # SQLAlchemy deletes only what was written, and of an orphan whose owner is deleted in the same flush it forgets
        # what that owned.
        if (self._is_new(tag) or self.side.is_restructured) and not self.flush():
            return

        def delete(session: Session) -> None:
            session.delete(self.side.find(session, tag))

        if self.edit(delete):
            self.side.sheet.drop(tag)
            self.side.is_restructured = True

    def _is_new(self, tag: int) -> bool:
        return tag in self.side.rows and not inspect(self.side.rows[tag]).persistent

    @play(when=lambda machine: machine.albums(), which=PICK)
    def conflict(self, which: int) -> None:
        """Add a row that the database refuses, after its bytes were stored."""
        row, _ = self.new_row("Album")
        row.tag = chosen(self.albums(), which)

        def add(session: Session) -> None:
            session.add(row)
            session.flush()

        self.refused(lambda: self.side.do(add), IntegrityError)

    @play(when=lambda machine: True, which=PICK)
    def add_again(self, which: int) -> None:
        """Add a row again whose first transaction was rolled back: its files are stored anew."""
        if not self.side.lost:
            self._new("Album", 0)
            if self.flush():
                self.recover(whole=True)
                assert self.side.lost or not self.side.habits.keeps, "its contents are there no more"
        if not self.side.lost:
            return
        row, plain = chosen(self.side.lost, which)
        self.side.lost.clear()

        def add(session: Session) -> None:
            row.id = None  # which the database may have given to another row
            session.add(row)

        if self.edit(add):
            self.note_new(row, plain)
            self.flush()
