"""Take what the savepoints of a connection undo out of the journals of the sessions that use the connection.

A savepoint of a session has a journal of its own, which is closed with it. Nobody tells the session of others, which
bulk statements set, and whoever has its connection: its journals are copied then, and restored if they are rolled back.
"""

from typing import Any, cast
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from fastapi_filestore.orm.mapped_types import AnyMapper
from fastapi_filestore.orm.sessions import writing_connection
from fastapi_filestore.orm.unit_of_work.journal import Journal
from fastapi_filestore.orm.unit_of_work.state import (
    Savepoint,
    Watch,
    innermost_transaction,
    open_transactions,
    state_of,
)

sessions_over: WeakKeyDictionary[Connection, WeakSet[Session]] = WeakKeyDictionary()
"""The sessions whose transactions run over a connection, or did."""


def note_entered(session: Session, mapper: AnyMapper) -> None:
    """Note that what is entered next is about rows of a class, which are written over one connection."""
    watch = state_of(session).watch
    if watch is not None and watch.savepoints:
        connection = writing_connection(session, mapper)
        for savepoint in watch.savepoints:
            savepoint.mixed = savepoint.mixed or savepoint.connection is not connection


def _open_savepoints(connection: Connection) -> list[str]:
    """Return the names of a connection's savepoints, outer ones first."""
    names, savepoint = list[str](), cast("Any", connection.get_nested_transaction())
    while savepoint is not None:
        names.append(savepoint._savepoint)  # noqa: SLF001 - no event tells which of them it is about
        savepoint = savepoint._previous_nested  # noqa: SLF001 - as above
    return names[::-1]


def _users(connection: Connection) -> list[tuple[Session, Watch]]:
    """Return the sessions whose open transactions run over a connection."""
    users = [(session, state_of(session).watch) for session in sessions_over.get(connection, ())]
    return [(session, watch) for session, watch in users if watch is not None and connection in watch.connections]


def note_savepoint(connection: Connection, name: object) -> None:
    """Copy the journals of the sessions that use a connection on which a savepoint is set."""
    depth = len(_open_savepoints(connection))
    for session, watch in _users(connection):
        watch.drop(connection, depth)
        within = innermost_transaction(session)
        if within is not None and within.nested and connection not in watch.begun.get(within, ()):
            continue  # the session's own: to copy its journals for each would take long where there are thousands
        journals = {transaction: journal.copy() for transaction, journal in state_of(session).journals.items()}
        watch.savepoints.append(Savepoint(connection, depth, within, journals))


def note_release(connection: Connection, name: str, context: object) -> None:
    """Forget a savepoint that is released, and those that were set in it."""
    names = _open_savepoints(connection)
    for _, watch in _users(connection) if name in names else ():
        watch.drop(connection, names.index(name))


def note_rollback(connection: Connection, name: str, context: object) -> None:
    """Make journals what they were when the savepoint was set that is rolled back."""
    names = _open_savepoints(connection)
    for session, watch in _users(connection) if name in names else ():
        depth = names.index(name)
        for savepoint in watch.savepoints:
            is_meant = savepoint.connection is connection and savepoint.depth == depth
            if is_meant and savepoint.within in open_transactions(session):
                journals = state_of(session).journals
                if savepoint.mixed:
                    journals[savepoint.within].uncertain = True  # nobody knows any more what it did to files
                else:
                    for transaction, journal in journals.items():
                        journal.restore(savepoint.journals.get(transaction, Journal()))
        watch.drop(connection, depth)
