"""One of two sessions, beside what the model knows of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import event, inspect, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction, object_session

from tests.model.cells import Scene
from tests.model.plain import Place, Row, Sheet, Value, files_of
from tests.model.tables import COLUMNS, NAMES, PLACES

T = TypeVar("T")

OWNING = frozenset(PLACES.values())


@dataclass(frozen=True)
class Habits:
    """How a program uses its sessions.

    Attributes:
        autoflush: A query writes first what is pending.
        expires: A commit lets the session read everything anew.
        keeps: It keeps its rows in names; else nobody holds a row any more once it was written.
    """

    autoflush: bool = True
    expires: bool = True
    keeps: bool = True


@dataclass
class Savepoint:
    """An open savepoint, and what to come back to when it is rolled back.

    Attributes:
        raw_sql: Whether SQL that only triggers see had changed rows by then.
        statements: How many statements had. SQLAlchemy does not see those undone that came behind its back,
            or while what they look for was expired.
    """

    transaction: SessionTransaction
    sheet: Sheet
    rows: dict[int, Any]
    raw_sql: bool
    statements: int


@dataclass
class Side:
    """A session, and what it should see.

    Attributes:
        sheet: What its transaction changed.
        flushed: The values that were changed when it was last flushed.
        savepoints: The open ones, outermost first.
        rows: The rows that the program holds, by tag.
        loaded: The values that the session has in memory, by tag.
        lost: Rows that were added by a transaction which was rolled back, and what they were to be.
        is_disturbed: Another session committed something, or the program gave this one an old copy, since it began.
        is_restructured: Rows were added, moved or deleted since the last flush.
        raw_sql: Its transaction changed rows by SQL that only triggers see.
        statements: How many statements of its own the program has changed rows by in this transaction.
        rolled_back: A whole transaction was rolled back, since the model noted one.
        wrote: Its transaction executed statements that wrote, and may be undone, or have changed nothing in the end.
    """

    scene: Scene
    habits: Habits
    committed: dict[int, Row]
    sheet: Sheet = field(init=False)
    flushed: dict[Place, Value] = field(default_factory=dict)
    savepoints: list[Savepoint] = field(default_factory=list)
    rows: dict[int, Any] = field(default_factory=dict)
    loaded: dict[int, dict[str, Value]] = field(default_factory=dict)
    lost: list[tuple[Any, Row]] = field(default_factory=list)
    is_disturbed: bool = False
    is_restructured: bool = False
    raw_sql: bool = False
    statements: int = 0
    rolled_back: bool = False
    wrote: bool = False

    def __post_init__(self) -> None:
        make: Any = AsyncSession if self.scene.cell.is_async else Session
        options = {"autoflush": self.habits.autoflush, "expire_on_commit": self.habits.expires}
        self.session: AsyncSession | Session = make(self.scene.engine, **options)
        self.sheet = Sheet(self.committed)
        sync = self.session.sync_session if isinstance(self.session, AsyncSession) else self.session
        event.listen(sync, "after_soft_rollback", self._note_end)

    def _note_end(self, session: Session, transaction: SessionTransaction) -> None:
        self.rolled_back |= transaction.parent is None

    def do(self, work: Callable[[Session], T]) -> T:
        """Run a function of the session as its users do: in its greenlet, or as it is."""
        if isinstance(self.session, AsyncSession):
            return self.scene.run(self.session.run_sync(work))
        return work(self.session)

    # -- rows in memory ----------------------------------------------------------------------------------

    def find(self, session: Session, tag: int) -> Any:
        """Return a row, read from the database unless the program holds it."""
        if tag in self.rows:
            row = self.rows[tag]
        else:
            kind = self.scene.family.kind(self.sheet.kind(tag))
            row = self.rows[tag] = session.scalars(select(kind).where(kind.tag == tag)).one()
        if self.is_disturbed and tag not in self.loaded and row not in session.new and row not in session.dirty:
            session.expire(row, COLUMNS[self.sheet.kind(tag)])
        self.recall(tag)
        return row

    def recall(self, tag: int) -> dict[str, Value]:
        """Return the values of a row that the session has in memory, or reads now."""
        if tag not in self.loaded:
            self.loaded[tag] = {column: self.sheet.value((tag, column)) for column in COLUMNS[self.sheet.kind(tag)]}
        return self.loaded[tag]

    def memory(self, place: Place) -> Value:
        """Return what the session has in memory of a place."""
        tag, column = place
        return self.recall(tag)[column]

    def note(self, place: Place, value: Value) -> None:
        """Note that the program gave a place a value."""
        tag, column = place
        self.recall(tag)[column] = self.sheet.values[place] = value

    def forget(self) -> None:
        """Note that the session has nothing in memory any more."""
        self.loaded.clear()

    def let_go(self) -> None:
        """Drop the rows that are in names and were written, where the program keeps none."""
        if not self.habits.keeps:
            self.rows = {tag: row for tag, row in self.rows.items() if not inspect(row).persistent}

    def note_flush(self, session: Session) -> None:
        """Note that everything is written."""
        self.flushed = dict(self.sheet.values)
        self.wrote |= not self.sheet.is_clean
        if self.is_restructured:
            self.expire_relations(session)
        self.is_restructured = False
        for tag in [tag for tag in self.rows if not self.sheet.has(tag)]:
            del self.rows[tag]
        if not self.habits.keeps:
            if self.is_disturbed:
                session.expire_all()
                self.forget()
            self.rows.clear()

    def expire_relations(self, session: Session) -> None:
        """Let the session read anew which row owns which: what it has in memory may be old."""
        for row in list(session.identity_map.values()):
            names = OWNING & inspect(row).dict.keys()
            if names and row not in session.deleted:
                session.expire(row, names)

    # -- the transaction ---------------------------------------------------------------------------------

    @property
    def has_written(self) -> bool:
        """Whether its transaction changed something, if only in memory yet."""
        return self.wrote or not self.sheet.is_clean or bool(self.savepoints)

    def note_commit(self) -> None:
        """Note that what the transaction changed is everybody's."""
        self.sheet.commit()
        self.wrote, self.raw_sql, self.statements = False, False, 0
        self.savepoints.clear()
        self.flushed.clear()
        self.lost.clear()
        if self.habits.expires:
            self.forget()
            self.is_disturbed = False
        self.let_go()

    def note_rollback(self) -> None:
        """Note that the transaction changed nothing after all; where there was none, nothing is read anew."""
        self.lost = [(self.rows[tag], row) for tag in self.sheet.added if (row := self._lost(tag)) is not None]
        self.rows = {
            tag: row for tag, row in self.rows.items() if tag in self.committed and tag not in self.sheet.added
        }
        self.sheet.forget()
        self.wrote, self.raw_sql, self.statements = False, False, 0
        self.savepoints.clear()
        self.flushed.clear()
        if self.rolled_back:
            self.forget()
            self.rolled_back = self.is_disturbed = False
        self.is_restructured = False
        self.let_go()

    def _lost(self, tag: int) -> Row | None:
        """Return what an added row was to be, if it can be added again as it is: its files are its own."""
        row = self.sheet.whole(tag)
        files = [file for value in row.values.values() for file in files_of(value)]
        memory = inspect(self.rows[tag]).dict if tag in self.rows else {}
        is_whole = {"tag", *COLUMNS[row.kind]} <= memory.keys() and not any(memory.get(name) for name in OWNING)
        is_free = row.parent is None and not self.sheet.children(tag) and memory.get("artwork_id") is None
        is_new = not any(file.once or file.content in self.sheet.committed_contents() for file in files)
        return row if is_whole and is_free and is_new and self._is_as_planned(memory, row) else None

    def _is_as_planned(self, memory: Mapping[str, Any], row: Row) -> bool:
        """Tell whether a row has the files in memory that it was to have, with their contents.

        What was refused may be in their place, or what was read: of that nobody has the contents any more.
        """
        for column in COLUMNS[row.kind]:
            value = memory[column]
            files = [file for file in (value if isinstance(value, list) else [value]) if file is not None]
            if [file.filename for file in files] != [file.filename for file in files_of(row.values[column])]:
                return False
            if any(file.is_stored for file in files):
                return False
        return True

    def read_again(self, session: Session) -> None:
        """Read everything anew.

        A list that was read before a statement changed it can't be replaced, as one that others changed.
        """
        session.expire_all()
        for name in NAMES:
            session.scalars(select(self.scene.family.kind(name))).all()

    def note_inner_rollback(self) -> set[int]:
        """Note that the innermost savepoint was rolled back; return the rows that are with their old owners again."""
        savepoint, self.wrote = self.savepoints.pop(), True
        before, self.sheet = self.sheet, savepoint.sheet
        self.raw_sql, self.statements = savepoint.raw_sql, savepoint.statements
        returned = {
            tag for tag in self.sheet.owned() if not before.has(tag) or before.parent(tag) != self.sheet.parent(tag)
        }
        self.rows = {tag: row for tag, row in self.rows.items() if self.sheet.has(tag) and tag in savepoint.rows}
        self.flushed = dict(self.sheet.values)
        self.is_restructured = False
        self.forget()
        self.let_go()
        return returned

    def expunge(self, session: Session, tags: set[int]) -> None:
        """Let the session forget rows that had left their owners: SQLAlchemy would take them for orphans still."""
        for tag in tags:
            kind = self.scene.family.kind(self.sheet.kind(tag))
            with session.no_autoflush:
                for row in session.scalars(select(kind).where(kind.tag == tag)):
                    session.expunge(row)
            self.rows.pop(tag, None)

    def note_closed(self) -> None:
        """Note that the session holds nothing any more."""
        self.rolled_back = True
        self.note_rollback()
        self.rows.clear()
        self.lost.clear()

    def is_pending(self, session: Session, tag: int) -> bool:
        """Tell whether a row is still to be written."""
        return tag in self.rows and object_session(self.rows[tag]) is session and self.rows[tag] in session.new
