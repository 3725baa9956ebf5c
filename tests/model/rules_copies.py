"""Rules: rows leave a session and come back, as themselves, as a pickle, as a copy to merge."""

import pickle
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session, make_transient

from fastapi_filestore import FileObject
from fastapi_filestore.errors import ContentError, StaleRowError
from tests.model.plain import Row, Value, files_of
from tests.model.playing import COIN, PICK, chosen, play
from tests.model.rules_rows import RowRules
from tests.model.rules_session import SessionRules
from tests.model.tables import COLUMNS


class CopyRules(RowRules, SessionRules):
    """What programs do with detached rows and copies of rows."""

    def _alone(self, session: Session, tag: int) -> Any:
        """Return a row without those that it owns and its owner, which would leave and come with it, and their keys."""
        self.side.expire_relations(session)
        row = self.side.find(session, tag)
        session.refresh(row, ["id", "tag", *COLUMNS[self.side.sheet.kind(tag)]])
        for attribute in inspect(row).mapper.column_attrs:
            if attribute.columns[0].foreign_keys:
                session.expire(row, [attribute.key])
        self.side.loaded.pop(tag, None)
        self.side.recall(tag)
        return row

    @play(when=lambda machine: machine.rows(), which=PICK)
    def cache(self, which: int) -> None:
        """Pickle a row as it is, for later."""
        if self._write_everything():
            self._cache(chosen(self.rows(), which))

    def _write_everything(self) -> bool:
        """Flush; where nobody holds rows commit, which alone writes what changed in their files."""
        return self.flush() if self.side.habits.keeps else self._commit()

    def _cache(self, tag: int) -> bool:
        def dump(session: Session) -> None:
            blob = pickle.dumps(self._alone(session, tag))
            self.cached[tag] = blob, dict(self.side.recall(tag))

        return self.edit(dump)

    def cached_rows(self) -> list[int]:
        """Return the tags of the rows of which there is a pickle, and that are still there."""
        return [tag for tag in self.rows() if tag in self.cached]

    @play(when=lambda machine: machine.filed_rows(), which=PICK, load=COIN, edit=COIN)
    def merge(self, which: int, *, load: bool, edit: bool) -> None:
        """Merge a copy that was pickled before, which may be an old one; if there is none, a row that changes then."""
        if not self._write_everything():
            return
        if not self.cached_rows() and not self._cache_and_change(chosen(self.filed_rows(), which)):
            return
        tag = chosen(self.cached_rows(), which)
        blob, values = self.cached[tag]
        is_old = self._is_old(tag, values)

        def merge(session: Session) -> None:
            self.side.rows[tag] = session.merge(pickle.loads(blob), load=load)

        if not self.edit(merge):
            return
        self.side.is_disturbed |= is_old
        memory = self.side.recall(tag)
        self.side.loaded[tag] = dict(values)
        if load:  # and replaced what differs from what the session has in memory
            changed = {(tag, column): value for column, value in values.items() if memory[column] != value}
            self.side.sheet.values.update(changed)
        if edit and self._holds_files((tag, "held")):
            self._mark(tag)
        if is_old:
            self._see_whether_it_is_refused()

    def _cache_and_change(self, tag: int) -> bool:
        if not self._cache(tag):
            return False
        self._set((tag, "held"), *self.new_value())
        return self.flush() and tag in self.cached_rows()

    def _is_old(self, tag: int, values: dict[str, Value]) -> bool:
        return any(self.side.sheet.value((tag, column)) != value for column, value in values.items())

    def _mark(self, tag: int) -> None:
        number = f"m{next(self.scene.serial)}"

        def mark(session: Session) -> None:
            for file in self._files(getattr(self.side.rows[tag], "held")):  # noqa: B009 - of any class
                file.metadata["mark"] = number

        if self.edit(mark):
            marked = tuple(file.marked(number) for file in files_of(self.side.memory((tag, "held"))))
            self.side.note((tag, "held"), marked if self.scene.cell.multiple else marked[0])

    def _files(self, value: Any) -> list[FileObject]:
        return list(value) if self.scene.cell.multiple else [value]

    def _see_whether_it_is_refused(self) -> None:
        """Commit what may be refused as old: what is written of it in spite of that, its bytes must be there."""
        errors = (ContentError, StaleRowError)
        if self.attempt(lambda: self.side.do(lambda session: session.commit()), *errors, ends=True):
            self.note_commit()
            self.judge()
        if not self.side.habits.keeps:  # nobody knows when it goes from memory
            self.side.do(lambda session: session.expire_all())
            self.side.forget()

    @play(when=lambda machine: machine.rows(), which=PICK, pickled=COIN, edit=COIN)
    def leave_and_come_back(self, which: int, *, pickled: bool, edit: bool) -> None:
        """Take a row out of the session and add it again, or a pickle of it."""
        if not self.flush():
            return
        tag = chosen(self.rows(), which)

        def come_back(session: Session) -> None:
            row = self._alone(session, tag)
            blob = pickle.dumps(row)
            session.expunge(row)
            self.side.rows[tag] = pickle.loads(blob) if pickled else row
            session.add(self.side.rows[tag])

        if self.edit(come_back) and edit and self._holds_files((tag, "held")):
            self._mark(tag)

    def lone_albums(self) -> list[int]:
        """Return the tags of the albums that own no rows, which would take SQLAlchemy's idea of them along."""
        return [tag for tag in self.albums() if not self.side.sheet.children(tag)]

    @play(when=lambda machine: True, which=PICK, moves=COIN)
    def make_new(self, which: int, *, moves: bool) -> None:
        """Make a row a new one, with files of its own or with those that its old self gives away."""
        if not self.lone_albums():
            self._new("Album", 0)
        if not self.flush() or not self.lone_albums():
            return
        tag, new_tag = chosen(self.lone_albums(), which), next(self.scene.serial)
        made = {column: self.new_value() for column in COLUMNS["Album"]}

        def transform(session: Session) -> None:
            row = self._alone(session, tag)
            make_transient(row)
            row.id, row.tag, row.artwork_id = None, new_tag, None
            self.side.rows.pop(tag, None)
            target = self.side.find(session, tag) if moves else row
            for column, (real, _) in made.items():
                setattr(target, column, real)
            session.add(row)
            self.side.rows[new_tag] = row

        if self.edit(transform):
            new = {column: plain for column, (_, plain) in made.items()}
            old = dict(self.side.recall(tag))
            self.note_new(self.side.rows[new_tag], Row("Album", None, old if moves else new))
            for column in COLUMNS["Album"] if moves else ():
                self.side.note((tag, column), new[column])
            self.flush()
