"""What is known of a session: one object, kept in its info, and the journals of its open transactions.

It holds the session weakly, if at all: what a session refers to, and what refers to the session, would be freed late.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary, ref

from sqlalchemy import ClauseElement, Connection
from sqlalchemy.orm import InstanceState, Session, SessionTransaction, UOWTransaction
from sqlalchemy.orm.identity import IdentityMap

from fastapi_filestore.concurrency.loops import HomeLoop
from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.file_object.metadata import Repeat
from fastapi_filestore.orm.column.attributes import HeldFiles
from fastapi_filestore.orm.ledger.ledger import BoundLedger
from fastapi_filestore.orm.unit_of_work.journal import Journal
from fastapi_filestore.orm.unit_of_work.ownership import own

Journals: TypeAlias = Mapping[SessionTransaction | None, Journal]
"""The journals of the open transactions of a session."""
Rows: TypeAlias = dict[InstanceState[Any], HeldFiles]
"""Rows, each with the files that its attributes hold."""

_STATE = "fastapi_filestore.state"


@dataclass(slots=True, eq=False)
class Edit:
    """A change of a file whose row, or its attribute, has to be loaded again.

    `made_in` is the transaction in which it was made, `applied_in` the one in which the row was changed, if it was: a
    file that is in no row now may come back from a copy of one.
    """

    row: tuple[Any, ...]
    rows: "ref[IdentityMap]"
    name: str
    place: Location
    repeat: Repeat
    made_in: SessionTransaction | None = None
    applied_in: SessionTransaction | None = None


@dataclass(slots=True)
class Flush:
    """What is entered for a flush.

    `was` is what the database says that rows held before it, `holds` what is entered that they come to hold: a deleted
    row holds nothing, and so does one whose place in the table a new row takes.
    """

    context: UOWTransaction | None = None
    was: Rows = field(default_factory=dict)
    holds: Rows = field(default_factory=dict)
    deleted: set[InstanceState[Any]] = field(default_factory=set)


@dataclass(slots=True)
class Commits:
    """The COMMITs of one transaction of a session, of which there is one for each connection."""

    sent: int = 0
    refused: int = 0

    @property
    def doubtful(self) -> bool:
        """Whether one that nobody refused may have been carried out."""
        return self.sent > self.refused


@dataclass(slots=True)
class Watch:
    """What is seen of one outermost transaction: the connections that it runs over, and the COMMITs that it sends."""

    transaction: SessionTransaction | None
    connections: list[Connection] = field(default_factory=list[Connection])
    commits: Commits = field(default_factory=Commits)


@dataclass(slots=True)
class Savepoint:
    """One that is set on a connection, as the so manieth of those that are open, and the journals as they were then.

    `within` is the transaction of the session in which it was set, and with which it ends. It is `mixed` if the session
    has since changed rows over another connection, too: these it does not undo.
    """

    connection: Connection
    depth: int
    within: SessionTransaction | None
    journals: Journals
    mixed: bool = False


def _nothing_begun() -> WeakKeyDictionary[SessionTransaction, list[Connection]]:
    return WeakKeyDictionary()


@dataclass(slots=True)
class Watched:
    """What is watched of one outermost transaction of a session; `begun` are its own savepoints, by connection."""

    transaction: SessionTransaction | None
    connections: list[Connection] = field(default_factory=list[Connection])
    begun: WeakKeyDictionary[SessionTransaction, list[Connection]] = field(default_factory=_nothing_begun)
    savepoints: list[Savepoint] = field(default_factory=list[Savepoint])

    def drop(self, connection: Connection, depth: int) -> None:
        """Forget the savepoints of a connection from a depth on."""
        self.savepoints = [each for each in self.savepoints if each.connection is not connection or each.depth < depth]


@dataclass(slots=True)
class Sent:
    """What a transaction has sent over its connections: its SELECTs by their text, or that there was more."""

    connections: list[Connection] = field(default_factory=list[Connection])
    selects: dict[str, ClauseElement] = field(default_factory=dict[str, ClauseElement])
    has_more: bool = False


@dataclass(slots=True)
class SessionState:
    """What is known of one session.

    Attributes:
        journals: What each of its open transactions did to files.
        edits: Changes of files whose rows are to be loaded for them.
        begun: The flush that has begun, until its transaction does.
        flush: What is entered for the flush under way.
        commits: The COMMITs of its outermost transaction.
        savepoints: The savepoints of its connections.
        sent: What its transaction has sent; None while it has no connection.
        is_committing: Whether the check before a COMMIT is over, and the COMMIT is not.
        home: The event loop that it was used in last; None if that was the library's own.
        written: The lists that its open transaction wrote.
    """

    journals: defaultdict[SessionTransaction | None, Journal] = field(default_factory=lambda: defaultdict(Journal))
    edits: list[Edit] = field(default_factory=list[Edit])
    begun: UOWTransaction | None = None
    flush: Flush = field(default_factory=Flush)
    commits: Watch | None = None
    savepoints: Watched | None = None
    sent: Sent | None = None
    is_committing: bool = False
    home: HomeLoop | None = None
    written: list[object] = field(default_factory=list[object])


def state_of(session: Session) -> SessionState:
    """Return what is known of a session."""
    state: SessionState | None = session.info.get(_STATE)
    if state is None:
        state = session.info[_STATE] = SessionState()
    return state


def current_journal(session: Session) -> Journal:
    """Return the journal of the innermost transaction of a session."""
    transaction = innermost_transaction(session)
    assert transaction is not None, "files are entered inside a transaction only"
    return state_of(session).journals[transaction]


def open_journal(session: Session) -> Journal | None:
    """Return the journal of the innermost transaction of a session, if anything was entered."""
    return state_of(session).journals.get(innermost_transaction(session))


def whole_journal(session: Session) -> Journal:
    """Return everything that the open transactions of a session did, as if it were to be committed now; to read."""
    journals = state_of(session).journals
    if len(journals) == 1:
        return next(iter(journals.values()))
    whole = Journal()
    for journal in journals.values():
        whole.absorb(journal)
    return whole


def copied_journals(session: Session) -> Journals:
    """Return copies of the journals of a session, as they are now."""
    return {transaction: journal.copy() for transaction, journal in state_of(session).journals.items()}


def restore_journals(session: Session, before: Journals) -> None:
    """Make the journals of a session what they were, but for the bytes that were stored or deleted since."""
    for transaction, journal in state_of(session).journals.items():
        journal.restore(before.get(transaction, Journal()))


def doubt(session: Session, transaction: SessionTransaction | None) -> None:
    """Note that nobody knows any more what a transaction of a session did to files."""
    state_of(session).journals[transaction].uncertain = True


def note_stored(session: Session, files: Iterable[FileObject]) -> None:
    """Note files whose bytes go if the innermost transaction is rolled back.

    What a transaction around it stored is left to that one: a savepoint may touch its rows, and is rolled back alone.

    Raises:
        SharedFileError: Another unit of work is about to write one of them to a row of its own.
    """
    new = {file.location: file for file in files if file.custody.fresh and not is_in_journal(session, file)}
    own(session, list(new.values()))
    current_journal(session).fresh.update(new)


def note_forgettable(session: Session, gone: Mapping[Location, BoundLedger | None]) -> bool:
    """Note files that are gone, whose intents go when the open transaction has ended; False if there is none."""
    if innermost_transaction(session) is None:
        return False
    current_journal(session).forgettable.update(gone)
    return True


def is_in_journal(session: Session, file: FileObject) -> bool:
    """Tell whether an open transaction of a session knows of a file's bytes."""
    return any(file.location in journal.fresh for journal in state_of(session).journals.values())


def close_journal(session: Session, transaction: SessionTransaction) -> Journal | None:
    """Take the journal of a transaction that ended out of its session, if anything was entered."""
    return state_of(session).journals.pop(transaction, None)


def innermost_transaction(session: Session) -> SessionTransaction | None:
    """Return the innermost transaction of a session, a savepoint's or its only one, if it has begun."""
    return session.get_nested_transaction() or session.get_transaction()


def root_of(transaction: SessionTransaction) -> SessionTransaction:
    """Return the outermost transaction around another one, or itself."""
    while transaction.parent is not None:
        transaction = transaction.parent
    return transaction


def unended(session: Session) -> list[SessionTransaction]:
    """Return the entered transactions, inner ones first, of whose end SQLAlchemy did not tell."""
    if not (journals := state_of(session).journals):
        return []
    open_ones = set(_chain(innermost_transaction(session)))
    stale = [one for one in journals if one is not None and one not in open_ones]
    return sorted(stale, key=lambda one: not one.nested)


def is_open(session: Session, transaction: SessionTransaction | None) -> bool:
    """Tell whether a transaction of a session, or a savepoint of its own, has not ended."""
    return transaction in set(_chain(innermost_transaction(session)))


def enclosing_journal(session: Session, transaction: SessionTransaction) -> Journal:
    """Return the journal of the transaction around a savepoint."""
    outer = next(one for one in _chain(transaction.parent) if one.nested or one.parent is None)
    return state_of(session).journals[outer]


def _chain(transaction: SessionTransaction | None) -> Iterator[SessionTransaction]:
    while transaction is not None:
        yield transaction
        transaction = transaction.parent
