"""Keep what is known of a session: one object, in its info, with the journals of its open transactions.

It holds the session weakly, if at all: what a session refers to, and what refers to the session, would be freed late.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary, ref

from sqlalchemy import ClauseElement, Connection
from sqlalchemy.orm import Session, SessionTransaction, UOWTransaction
from sqlalchemy.orm.identity import IdentityMap

from fastapi_filestore.concurrency.loops import HomeLoop
from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.file_object.metadata import Repeat
from fastapi_filestore.orm.column.attributes import HeldFiles
from fastapi_filestore.orm.mapped_types import RowState
from fastapi_filestore.orm.unit_of_work.journal import Journal
from fastapi_filestore.orm.unit_of_work.ownership import own

Journals: TypeAlias = Mapping[SessionTransaction | None, Journal]
"""The journals of the open transactions of a session."""
Rows: TypeAlias = dict[RowState, HeldFiles]
"""Rows, each with the files that its attributes hold."""

_STATE = "fastapi_filestore.state"


@dataclass(slots=True, eq=False)
class Edit:
    """A change of a file whose row, or its attribute, has to be loaded again.

    `made_in` is the transaction in which it was made, `applied_in` the one in which the row was changed, if it was: a
    file that is in no row now may come back from a copy of one.
    """

    row: tuple[type[Any], tuple[object, ...], object]
    rows: "ref[IdentityMap]"
    name: str
    place: Location
    repeat: Repeat
    made_in: SessionTransaction | None = None
    applied_in: SessionTransaction | None = None


@dataclass(slots=True)
class Flush:
    """The changes that are entered for a flush.

    `was` is what the database says that rows held before it, `holds` what is entered that they come to hold: a deleted
    row holds nothing, and so does one whose place in the table a new row takes.
    """

    context: UOWTransaction | None = None
    was: Rows = field(default_factory=dict)
    holds: Rows = field(default_factory=dict)
    deleted: set[RowState] = field(default_factory=set)


@dataclass(slots=True)
class Savepoint:
    """A savepoint of a connection: how many are open around it, and the journals as they were when it was set.

    `within` is the transaction of the session in which it was set, and with which it ends. It is `mixed` if the session
    has since changed rows over another connection, too: these it does not undo.
    """

    connection: Connection
    depth: int
    within: SessionTransaction | None
    journals: Journals
    mixed: bool = False


@dataclass(slots=True)
class Sent:
    """The statements of one outermost transaction; it refers to none of its connections, which know it.

    Attributes:
        selects: Its SELECTs by their text.
        has_more: Whether it has sent anything else.
        commits: How many COMMITs it has sent, one for each connection.
        refused: How many of these the databases have refused.
    """

    selects: dict[str, ClauseElement] = field(default_factory=dict[str, ClauseElement])
    has_more: bool = False
    commits: int = 0
    refused: int = 0


@dataclass(slots=True)
class Watch:
    """The connections of one outermost transaction, and what is heard of them.

    `begun` are the savepoints of the session itself, each with its connections.
    """

    transaction: SessionTransaction | None
    connections: list[Connection] = field(default_factory=list[Connection])
    sent: Sent = field(default_factory=Sent)
    begun: WeakKeyDictionary[SessionTransaction, list[Connection]] = field(
        default_factory=WeakKeyDictionary[SessionTransaction, list[Connection]]
    )
    savepoints: list[Savepoint] = field(default_factory=list[Savepoint])

    def drop(self, connection: Connection, depth: int) -> None:
        """Forget the savepoints of a connection from a depth on."""
        self.savepoints = [
            savepoint
            for savepoint in self.savepoints
            if savepoint.connection is not connection or savepoint.depth < depth
        ]


sent_over: WeakKeyDictionary[Connection, Sent] = WeakKeyDictionary()
"""What the transaction that uses a connection has sent."""


@dataclass(slots=True)
class SessionState:
    """All that is known of one session.

    Attributes:
        journals: What each of its open transactions did to files.
        edits: Changes of files whose rows are to be loaded for them.
        begun: The flush that has begun, until its transaction does.
        flush: What is entered for the flush under way.
        watch: What is seen of its outermost transaction, once that has a connection.
        is_connected: Whether its transaction has a connection.
        is_committing: Whether the check before a COMMIT is over, and the COMMIT is not.
        home: The event loop that it was used in last; None if that was the library's own.
        written: The lists that its open transaction wrote.
    """

    journals: defaultdict[SessionTransaction | None, Journal] = field(default_factory=partial(defaultdict, Journal))
    edits: list[Edit] = field(default_factory=list[Edit])
    begun: UOWTransaction | None = None
    flush: Flush = field(default_factory=Flush)
    watch: Watch | None = None
    is_connected: bool = False
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
    transaction = session.get_nested_transaction() or session.get_transaction()
    assert transaction is not None, "files are entered inside a transaction only"
    return state_of(session).journals[transaction]


def whole_journal(session: Session) -> Journal:
    """Return everything that the open transactions of a session did, as if it were to be committed now; to read."""
    journals = state_of(session).journals
    if len(journals) == 1:
        return next(iter(journals.values()))
    whole = Journal()
    for journal in journals.values():
        whole.absorb(journal)
    return whole


def note_stored(session: Session, files: Iterable[FileObject]) -> None:
    """Note files whose bytes go if the innermost transaction is rolled back.

    What a transaction around it stored is left to that one: a savepoint may touch its rows, and is rolled back alone.

    Raises:
        SharedFileError: Another unit of work is about to write one of them to a row of its own.
    """
    journals, new = state_of(session).journals.values(), dict[Location, FileObject]()
    for file in files:
        if file.custody.fresh and not any(file.location in journal.fresh for journal in journals):
            new[file.location] = file
    own(session, list(new.values()))
    current_journal(session).fresh.update(new)


def innermost_transaction(session: Session) -> SessionTransaction | None:
    """Return the innermost transaction of a session, a savepoint's or its only one, if it has begun."""
    return session.get_nested_transaction() or session.get_transaction()


def open_transactions(session: Session) -> list[SessionTransaction]:
    """Return the transactions of a session that have not ended, inner ones first."""
    transactions = list[SessionTransaction]()
    transaction = session.get_nested_transaction() or session.get_transaction()
    while transaction is not None:
        transactions.append(transaction)
        transaction = transaction.parent
    return transactions


def enclosing_journal(session: Session, savepoint: SessionTransaction) -> Journal:
    """Return the journal of the transaction around a savepoint, which may have ended."""
    outer = savepoint.parent
    while outer is not None and outer.parent is not None and not outer.nested:
        outer = outer.parent
    return state_of(session).journals[outer]
