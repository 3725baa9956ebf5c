"""What all rules share: two sessions, attempts that may be refused, and the judgement at their end."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ClassVar, Final, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError

from fastapi_filestore import FileObject
from fastapi_filestore.errors import (
    DatabaseUnavailableError,
    SharedFileError,
    StaleFileError,
    StaleRowError,
    StorageError,
)
from tests.model.cells import Scene
from tests.model.judgement import judge
from tests.model.plain import File, Place, Row, Value
from tests.model.side import Habits, Side
from tests.model.tables import COLUMNS
from tests.model.uploads import CLAIMED, Upload

T = TypeVar("T")
Step = tuple[str, dict[str, Any]]
Errors = tuple[type[Exception], ...]

PICK: Final = st.integers(0, 15)
"""Which one of as many as there are."""
COIN: Final = st.booleans()

CONDITIONS: Final[dict[str, Callable[[Any], bool]]] = {}
"""When each rule can be played."""

DISTURBED: Final[Errors] = (
    DBAPIError,
    DatabaseUnavailableError,
    InvalidRequestError,
    ObjectDeletedError,
    SharedFileError,
    StaleDataError,
    StaleFileError,
    StaleRowError,
)
"""How SQLAlchemy, the database and the library refuse what another session came before."""


class Playing(RuleBasedStateMachine):
    """A program with two sessions, of which it uses one at a time.

    Attributes:
        scene: Where it plays; a subclass says so.
        tally: How often each rule was played, in all sequences.
        lengths: The steps of each sequence.
        broken: The steps of each sequence that broke something, and the error.
    """

    scene: ClassVar[Scene]
    tally: ClassVar[Counter[str]]
    lengths: ClassVar[list[int]]
    broken: ClassVar[list[tuple[list[Step], Exception]]]

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.is_broken = False
        self.committed: dict[int, Row] = {}
        self.uploads: dict[str, Upload] = {}
        self.cached: dict[int, tuple[bytes, dict[str, Value]]] = {}
        self.scene.begin()
        self.begin(autoflush=True, expires=True, keeps=True)

    def begin(self, *, autoflush: bool, expires: bool, keeps: bool) -> None:
        """Open the sessions."""
        habits = Habits(autoflush=autoflush, expires=expires, keeps=keeps)
        self.side, self.other = (Side(self.scene, habits, self.committed) for _ in range(2))

    # -- what rules choose from --------------------------------------------------------------------------

    def rows(self) -> list[int]:
        """Return the tags of the rows that the session sees, and that the other one does not hold."""
        foreign = self.other.sheet.touched()
        return [tag for tag in self.side.sheet.rows() if tag not in foreign]

    def filed_rows(self) -> list[int]:
        """Return the tags of those that have places for files."""
        return [tag for tag in self.rows() if COLUMNS[self.side.sheet.kind(tag)]]

    def owned(self) -> list[int]:
        """Return the tags of those that other rows own."""
        rows = set(self.rows())
        return [tag for tag in self.side.sheet.owned() if tag in rows and self.side.sheet.parent(tag) in rows]

    def places(self, *, full: bool = False) -> list[Place]:
        """Return the places for files in these rows; only those that hold some, if they should be full."""
        rows, side = set(self.rows()), self.side
        return [at for at in side.sheet.places() if at[0] in rows and (not full or self._holds_files(at))]

    def _holds_files(self, place: Place) -> bool:
        return bool(self.side.sheet.value(place) and self.side.memory(place))

    def new_file(self, *, once: bool = False) -> tuple[FileObject, File]:
        """Return a file with content of its own, which can be read only once if asked for, and the model's idea."""
        number = next(self.scene.serial)
        plain = File(f"content {number}".encode(), f"f{number}.txt", once=once)
        content = iter([plain.content]) if once else plain.content
        return FileObject(filename=plain.filename, content=content), plain

    def new_value(self, files: int = 1) -> tuple[Any, Value]:
        """Return what a file column may be given, and the model's idea of it."""
        made = [self.new_file() for _ in range(files)]
        if self.scene.cell.multiple:
            return [file for file, _ in made], tuple(plain for _, plain in made)
        return made[0] if made else (None, None)

    # -- what rules do -----------------------------------------------------------------------------------

    def edit(self, work: Callable[[Session], T]) -> bool:
        """Change something in memory; False if that was refused, and everything since the savepoint is undone."""

        def quietly(session: Session) -> None:
            with session.no_autoflush:
                work(session)

        return self.attempt(lambda: self.side.do(quietly))

    def flush(self) -> bool:
        """Write what is pending; False if that was refused."""

        def flush(session: Session) -> None:
            session.flush()
            self.side.note_flush(session)

        return self.attempt(lambda: self.side.do(flush))

    def attempt(self, work: Callable[[], object], *allowed: type[Exception], ends: bool = False) -> bool:
        """Do something that may be refused with an error that is allowed, or that the situation excuses.

        Where it is refused, all is undone since the innermost savepoint, or, if it `ends` the transaction, all of it.
        """
        tripped = self.scene.store.tripped
        try:
            work()
        except Exception as error:
            if not isinstance(error, allowed + self._excuses(tripped)):
                raise
            self.recover(whole=ends)
            return False
        return True

    def refused(self, work: Callable[[], object], *errors: type[Exception], ends: bool = False) -> None:
        """Do something that must be refused."""
        assert not self.attempt(work, *errors, ends=ends), f"this should have raised one of {errors}"

    def _excuses(self, tripped: int) -> Errors:
        down: Errors = (StorageError,) if self.scene.store.tripped > tripped else ()
        shared: Errors = (SharedFileError,) if self.side.sheet.has_shared() else ()
        disturbed = self.side.is_disturbed or self.other.has_written
        return down + shared + (DISTURBED if disturbed else ())

    def recover(self, *, whole: bool = False) -> None:
        """Roll back to before what failed: the innermost savepoint, or everything."""
        if self.side.savepoints and not whole:
            savepoint = self.side.savepoints[-1]
            self.side.do(lambda session: savepoint.transaction.rollback())
            if self.side.is_disturbed or not self.side.habits.keeps:
                # Of a row that was let go after it was written and read again, SQLAlchemy keeps what is undone now.
                self.side.do(lambda session: session.expire_all())
            if self.side.statements > savepoint.statements:
                self.side.do(self.side.read_again)
            returned = self.side.note_inner_rollback()
            self.side.do(lambda session: self.side.expunge(session, returned))
        else:
            self.side.do(lambda session: session.rollback())
            self.side.note_rollback()
        self.judge()

    def note_commit(self) -> None:
        """Note that everything of this session is everybody's now."""
        self.other.is_disturbed |= not self.side.sheet.is_clean
        for identity in self.side.sheet.claims:
            self.uploads[identity].state = CLAIMED
        restructured, was_disturbed = self.side.is_restructured, self.side.is_disturbed
        self.side.note_commit()
        if restructured:
            self.side.do(self.side.note_flush)
        if was_disturbed and not self.side.is_disturbed and self.scene.cell.multiple:
            self.side.do(self._read_lists)

    def _read_lists(self, session: Session) -> None:
        """Read what others changed: a list that was read before can't be replaced till then, commit or not."""
        self.side.read_again(session)
        session.commit()

    def is_new(self, name: str) -> bool:
        """Tell whether a rule was not the last one played: again at once, it would find what it left."""
        return not self.steps or self.steps[-1][0] != name

    def judge(self, *, is_settled: bool = False) -> None:
        """Compare rows, objects and ledger, and all of them with the model."""
        is_quiet = not (self.side.has_written or self.other.has_written)
        judge(self.scene, self.committed, self.uploads, is_quiet=is_quiet, is_settled=is_settled)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Note the steps and the error if the block raises."""
        try:
            yield
        except Exception as error:
            self.broken.append((self.steps, error))
            self.is_broken = True
            raise

    def teardown(self) -> None:
        """Note how long it was."""
        self.lengths.append(len(self.steps))


def play(
    *, when: Callable[[Any], object] | None = None, **picks: st.SearchStrategy[Any]
) -> Callable[[Callable[..., None]], Any]:
    """Make a method a rule that is counted, and whose step can be told.

    `when` says whether it can be played; one without that is played once in a row.
    """

    def decorate(method: Callable[..., None]) -> Any:
        @wraps(method)
        def counted(self: Playing, **given: Any) -> None:
            self.steps.append((method.__name__, given))
            self.tally[method.__name__] += 1
            with self.told():
                method(self, **given)

        def can_be_played(self: Any) -> bool:
            return bool(when(self) if when else self.is_new(method.__name__))

        CONDITIONS[method.__name__] = can_be_played
        make: Any = rule  # of whose overloads none takes strategies by names that are not known
        return precondition(can_be_played)(make(**picks)(counted))

    return decorate


def chosen(items: list[T], number: int) -> T:
    """Return one of some items, whatever the number."""
    return items[number % len(items)]
