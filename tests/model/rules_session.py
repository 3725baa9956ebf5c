"""Rules: what programs do with the session itself."""

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from fastapi_filestore.orm.unit_of_work.read_only import end_if_only_read
from tests.model.playing import COIN, PICK, chosen, play
from tests.model.rules_files import FileRules
from tests.model.side import Savepoint
from tests.model.tables import COLUMNS, FILED

MOST_SAVEPOINTS = 3


class SessionRules(FileRules):
    """Transactions, savepoints, reading anew, and two sessions in turn."""

    @play()
    def commit(self) -> None:
        """Commit, savepoints included."""
        self._commit()

    def _commit(self) -> bool:
        if not self.attempt(lambda: self.side.do(lambda session: session.commit()), ends=True):
            return False
        self.note_commit()
        self.judge()
        return True

    @play(when=lambda machine: machine.places(full=True), at=PICK, late=COIN)
    def fail_to_delete(self, at: int, *, late: bool) -> None:
        """Commit that a file goes from its row while the store fails to delete it."""
        if self.flush() and self.places(full=True):
            self._set(chosen(self.places(full=True), at), *self.new_value(0))
            self.scene.store.arm(after=0, calls=1, late=late)
            self._commit()

    @play()
    def rollback(self) -> None:
        """Roll everything back."""
        self.side.do(lambda session: session.rollback())
        self.side.note_rollback()
        self.judge()

    @play()
    def close(self) -> None:
        """Close the session without a word about its transaction."""
        self.side.do(lambda session: session.close())
        self.side.note_closed()
        self.judge()

    @play()
    def wait_for_client(self) -> None:
        """Wait for a client that sends a file, and hold no connection if nothing but reading was done."""
        self.attempt(lambda: self.side.do(end_if_only_read))

    @play()
    def write(self) -> None:
        """Flush."""
        self.flush()

    @play(kind=PICK)
    def query(self, kind: int) -> None:
        """Read all rows of a class, which may flush."""
        name = chosen(list(FILED), kind)

        def query(session: Session) -> None:
            rows = session.scalars(select(self.scene.family.kind(name))).all()
            if session.autoflush:
                self.side.note_flush(session)
            if self.side.habits.keeps:
                self.side.rows.update((row.tag, row) for row in rows)

        if self.attempt(lambda: self.side.do(query)) and not self.side.is_disturbed:
            for tag in self.side.sheet.of_kind(name):
                self.side.recall(tag)

    @play(when=lambda machine: machine.written_rows(), which=PICK, anew=COIN)
    def expire(self, which: int, *, anew: bool) -> None:
        """Let a row be read anew, at once or later: what was not written of it is lost."""
        # What changed in a file of a row that nobody holds is kept for later, and not lost.
        if (self.side.is_restructured or not self.side.habits.keeps) and not self.flush():
            return
        tag = chosen(self.written_rows(), which)

        def expire(session: Session) -> None:
            row = self.side.find(session, tag)
            (session.refresh if anew else session.expire)(row)

        if self.edit(expire):
            for column in COLUMNS[self.side.sheet.kind(tag)]:
                self.side.sheet.values.pop((tag, column), None)
                if (tag, column) in self.side.flushed:
                    self.side.sheet.values[tag, column] = self.side.flushed[tag, column]
            self.side.loaded.pop(tag, None)

    def written_rows(self) -> list[int]:
        """Return the rows that are in the database already, for all that the session knows."""
        rows = self.side.rows
        return [tag for tag in self.rows() if tag not in rows or inspect(rows[tag]).persistent]

    # -- savepoints --------------------------------------------------------------------------------------

    @play(when=lambda machine: len(machine.side.savepoints) < MOST_SAVEPOINTS)
    def begin_savepoint(self) -> None:
        """Begin a savepoint."""
        self._begin_savepoint()

    def _begin_savepoint(self) -> bool:
        if not self.flush():  # as SQLAlchemy does, so that a refusal is told apart
            return False

        def begin(session: Session) -> None:
            side = self.side
            copy = side.sheet.copy(), dict(side.rows), side.raw_sql, side.statements
            savepoint = Savepoint(session.begin_nested(), *copy)
            side.savepoints.append(savepoint)

        return self.attempt(lambda: self.side.do(begin))

    @play(when=lambda machine: machine.side.savepoints or machine.places(), at=PICK)
    def release_savepoint(self, at: int) -> None:
        """Release the innermost savepoint; if there is none, one in which a file is replaced."""
        if self._is_in_savepoint(at):
            self._release_savepoint()

    def _release_savepoint(self) -> None:
        if not self.flush():
            return
        savepoint = self.side.savepoints[-1]
        if self.attempt(lambda: self.side.do(lambda session: savepoint.transaction.commit())):
            self.side.savepoints.pop()

    @play(when=lambda machine: machine.side.savepoints or machine.places(), at=PICK)
    def roll_savepoint_back(self, at: int) -> None:
        """Roll the innermost savepoint back; if there is none, one in which a file is replaced."""
        if self._is_in_savepoint(at):
            self.recover()

    def _is_in_savepoint(self, at: int) -> bool:
        if not self.side.savepoints and self._begin_savepoint():
            self._set(chosen(self.places(), at), *self.new_value())
        return bool(self.side.savepoints)

    @play(when=lambda machine: machine.can_try(), at=PICK, which=PICK, what=PICK, fails=COIN, commits=COIN)
    def try_in_savepoint(self, at: int, which: int, what: int, *, fails: bool, commits: bool) -> None:
        """Write a new file, and change it, or move it, inside of a savepoint that is released or rolled back."""
        place = chosen(self.places(), at)
        self._set(place, *self.new_value())
        if self.side.sheet.values.get(place) is None or not self._begin_savepoint():
            return
        savepoint = self.side.savepoints[-1]
        others = [other for other in self.places() if other != place]
        if what % 2 or not others:
            self._change_in_place(place, which, what)
        else:
            self._move(place, chosen(others, which), first=fails)
        if self.flush() and savepoint in self.side.savepoints:
            self.recover() if fails else self._release_savepoint()
            if commits:
                self._commit()

    def can_try(self) -> bool:
        """Tell whether there is a place for a file, and room for a savepoint."""
        return bool(self.places()) and len(self.side.savepoints) < MOST_SAVEPOINTS

    # -- two sessions ------------------------------------------------------------------------------------

    @play(when=lambda machine: machine.can_switch())
    def switch(self) -> None:
        """Go on with the other session."""
        if not self.flush():
            return
        if self.scene.has_one_writer:
            self.side.do(lambda session: session.commit())  # which ends a transaction that read only
            self.note_commit()
        self.side, self.other = self.other, self.side

        def come_back(session: Session) -> None:
            self.side.expire_relations(session)
            if not self.side.habits.keeps:
                session.expire_all()
                self.side.forget()

        self.side.do(come_back)

    def can_switch(self) -> bool:
        """Tell whether the other session can work meanwhile: SQLite has one writer."""
        return not (self.scene.has_one_writer and self.side.has_written)
