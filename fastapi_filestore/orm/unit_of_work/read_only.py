"""Transactions that have only read: they end before a client is waited for, so that no body holds a connection."""

import re
from typing import Any, Final, cast
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import ClauseElement, Connection, Engine, SelectBase, TextClause, TextualSelect, event
from sqlalchemy.orm import Session, SessionTransaction, SessionTransactionOrigin
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ColumnClause
from sqlalchemy.sql.functions import FunctionElement

from fastapi_filestore.events import SESSION_HELD
from fastapi_filestore.orm.sessions import has_room, isolation_of
from fastapi_filestore.orm.unit_of_work.state import Sent, SessionState, open_journal, state_of

SNAPSHOTS: Final = frozenset({"REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT"})
"""Levels of isolation at which what was read is to stay true until the transaction ends."""
MOST_STATEMENTS: Final = 100
"""Different SELECTs that are kept to be judged; a transaction of more is none that authorization alone has begun."""

_QUOTED = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`")
_AGGREGATES = frozenset({"avg", "count", "max", "min", "sum"})
_CALL = re.compile(
    r"(?<![\w.$])(?!(?:all|and|any|as|between|by|case|cast|distinct|else|except|exists|filter|from|having|in|intersect|is|"
    r"join|like|limit|not|offset|on|or|over|select|some|then|union|using|values|when|where|with|"
    r"char|decimal|numeric|nvarchar|varchar|avg|count|max|min|sum)\s*\()[\w.$]+\s*\(",
    re.IGNORECASE,
)
"""Something before a parenthesis that is no word of the language, no type and no aggregate: it may do anything."""
_WRITES = re.compile(r"\b(?:delete|for|insert|into|merge|update|lock\s+in)\b|--|/\*", re.IGNORECASE)
"""What locks, or writes, in something that begins like a SELECT; in a comment it could not be told."""


_engines: WeakSet[Engine] = WeakSet()
_of_connections: WeakKeyDictionary[Connection, Sent] = WeakKeyDictionary()
_told = set[str]()


def watch_statements(state: SessionState, connection: Connection) -> None:
    """Note that a session has a connection, and hear what its transaction sends over it."""
    sent = state.sent = state.sent or Sent()
    sent.connections.append(connection)
    _of_connections[connection] = sent
    if connection.engine not in _engines:
        _engines.add(connection.engine)
        event.listen(connection.engine, "before_cursor_execute", _note_sent)


def is_connected(session: Session) -> bool:
    """Tell whether a session holds a connection for its transaction."""
    return state_of(session).sent is not None


def _note_sent(connection: Connection, cursor: object, statement: str, *rest: Any) -> None:
    sent = _of_connections.get(connection)
    if sent is None or sent.has_more or statement in sent.selects:
        return
    context = rest[1]
    element = None if context.compiled is None else context.compiled.statement
    if context.execution_options.get("stream_results"):
        element = None  # its rows may still be on their way
    if isinstance(element, SelectBase) and len(sent.selects) < MOST_STATEMENTS:
        sent.selects[statement] = element
    else:
        sent.has_more = True
        sent.selects.clear()


def end_if_only_read(session: Session) -> None:
    """End the transaction of a session if it has only read, and expire nothing; log once why another one is kept."""
    transaction, sent = session.get_transaction(), state_of(session).sent
    # A pool of one connection for all has none to give back, and what one session rolls back is everybody's.
    if transaction is None or sent is None or not all(has_room(connection.engine) for connection in sent.connections):
        return
    reason = _reason_to_keep(session, transaction, sent)
    if reason is None:
        transaction.close()
    elif reason not in _told:
        _told.add(reason)
        SESSION_HELD.tell(reason=f"the transaction {reason}")


def _reason_to_keep(session: Session, transaction: SessionTransaction, sent: Sent) -> str | None:
    if transaction.origin is not SessionTransactionOrigin.AUTOBEGIN:
        return "was begun by begin(), whose block would find it ended"
    if session.twophase or session.in_nested_transaction():
        return "has a savepoint, or two phases"
    state = state_of(session)
    if session.new or session.dirty or session.deleted or state.edits or open_journal(session) is not None:
        return "has changes to write"
    if not has_own_connections(transaction) or any(_has_options(session, each) for each in sent.connections):
        return "is on a connection that is not the session's own, or that was given options, such as a schema"
    if any(map(_is_snapshot, sent.connections)):
        return "is isolated by REPEATABLE READ or more"
    is_read = not sent.has_more and all(_only_reads(sql, select) for sql, select in sent.selects.items())
    return None if is_read else "has sent more than SELECTs of columns and aggregates"


def has_own_connections(transaction: SessionTransaction) -> bool:
    """Tell whether a session took all connections of its outermost transaction out of pools by itself."""
    # Each is the connection, its transaction, whether that is committed, and whether the session closes the connection.
    connections: dict[Any, tuple[Any, ...]] = cast("Any", transaction)._connections  # noqa: SLF001 - nothing else tells
    return all(closes for _, _, _, closes in connections.values())


def _has_options(session: Session, connection: Connection) -> bool:
    """Tell whether a connection was given options that its engine and its session do not give to every one."""
    common = {**connection.engine.get_execution_options(), **getattr(session, "execution_options", {})}
    options = connection.get_execution_options()
    return any(common.get(name) is not value and common.get(name) != value for name, value in options.items())


def _is_snapshot(connection: Connection) -> bool:
    chosen = isolation_of(connection)
    if chosen is None and connection.dialect.name == "sqlite":
        return False  # it has no other level, so nobody asked for this one
    return (chosen or connection.dialect.default_isolation_level) in SNAPSHOTS


def _only_reads(sql: str, statement: ClauseElement) -> bool:
    """Tell whether a SELECT has no effect but its answer, and none that depends on the transaction that it is in."""
    if any(map(_may_do_more, visitors.iterate(statement))):
        return False
    plain = _QUOTED.sub("_", sql)
    return not (_CALL.search(plain) or _WRITES.search(plain))


def _may_do_more(element: object) -> bool:
    if isinstance(element, FunctionElement):  # some are written without parentheses
        return str(getattr(element, "name", "")).lower() not in _AGGREGATES
    is_text = isinstance(element, ColumnClause) and element.is_literal and element.name != "*"
    return is_text or isinstance(element, TextClause | TextualSelect)
