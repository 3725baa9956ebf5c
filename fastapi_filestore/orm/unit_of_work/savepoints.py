"""Take what the savepoints of a connection undo out of the journals of the sessions that use the connection.

A savepoint of a session has a journal of its own, which is closed with it. Nobody tells the session of others, which
bulk statements set, and whoever has its connection: its journals are copied then, and restored if they are rolled back.
"""

from typing import Any, cast
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Session, SessionTransaction

from fastapi_filestore.orm.mapped_types import AnyMapper
from fastapi_filestore.orm.sessions import writing_connection
from fastapi_filestore.orm.unit_of_work.state import (
    Savepoint,
    SessionState,
    Watched,
    copied_journals,
    doubt,
    innermost_transaction,
    is_open,
    restore_journals,
    root_of,
    state_of,
)

_engines: WeakSet[Engine] = WeakSet()
_sessions: WeakKeyDictionary[Connection, WeakSet[Session]] = WeakKeyDictionary()


def watch_savepoints(
    session: Session, state: SessionState, transaction: SessionTransaction, connection: Connection
) -> None:
    """Hear of the savepoints of a connection over which a transaction of a session has just begun."""
    if connection.engine not in _engines:
        _engines.add(connection.engine)
        _watch_engine(connection.engine)
    watched, root = state.savepoints, root_of(transaction)
    if watched is None or watched.transaction is not root:
        watched = state.savepoints = Watched(root)
    if transaction.nested:
        watched.begun.setdefault(transaction, []).append(connection)
    else:
        _sessions.setdefault(connection, WeakSet()).add(session)
        watched.connections.append(connection)


def note_entered(session: Session, mapper: AnyMapper) -> None:
    """Note that what is entered next is about rows of a class, which are written over one connection."""
    watched = state_of(session).savepoints
    if watched is not None and watched.savepoints:
        connection = writing_connection(session, mapper)
        for savepoint in watched.savepoints:
            savepoint.mixed = savepoint.mixed or savepoint.connection is not connection


def _watch_engine(engine: Engine) -> None:
    @event.listens_for(engine, "savepoint")
    def note_set(connection: Connection, name: object) -> None:
        depth = len(_open_savepoints(connection))
        for session, watched in _users(connection):
            watched.drop(connection, depth)
            within = innermost_transaction(session)
            if within is not None and within.nested and connection not in watched.begun.get(within, ()):
                continue  # the session's own: to copy its journals for each would take long where there are thousands
            watched.savepoints.append(Savepoint(connection, depth, within, copied_journals(session)))

    @event.listens_for(engine, "release_savepoint")
    def note_released(connection: Connection, name: str, context: object) -> None:
        names = _open_savepoints(connection)
        for _, watched in _users(connection) if name in names else ():
            watched.drop(connection, names.index(name))

    @event.listens_for(engine, "rollback_savepoint")
    def note_rolled_back(connection: Connection, name: str, context: object) -> None:
        names = _open_savepoints(connection)
        for session, watched in _users(connection) if name in names else ():
            depth = names.index(name)
            undone = [other for other in watched.savepoints if other.connection is connection and other.depth == depth]
            for savepoint in [other for other in undone if is_open(session, other.within)]:
                if savepoint.mixed:
                    doubt(session, savepoint.within)
                else:
                    restore_journals(session, savepoint.journals)
            watched.drop(connection, depth)


def _open_savepoints(connection: Connection) -> list[str]:
    """Return the names of a connection's savepoints, outer ones first."""
    names, savepoint = list[str](), cast("Any", connection.get_nested_transaction())
    while savepoint is not None:
        names.append(savepoint._savepoint)  # noqa: SLF001 - no event tells which of them it is about
        savepoint = savepoint._previous_nested  # noqa: SLF001 - as above
    return names[::-1]


def _users(connection: Connection) -> list[tuple[Session, Watched]]:
    """Return the sessions whose open transactions run over a connection."""
    found = [(session, state_of(session).savepoints) for session in _sessions.get(connection, ())]
    return [(session, watch) for session, watch in found if watch is not None and connection in watch.connections]
