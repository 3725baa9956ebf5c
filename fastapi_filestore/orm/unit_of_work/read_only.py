"""End transactions that have only read before a client is waited for, so that no body holds a connection."""

import re
from collections.abc import Mapping
from typing import Any, Final, Protocol, cast

from sqlalchemy import ClauseElement, Compiled, Connection, SelectBase, TextClause, TextualSelect
from sqlalchemy.orm import Session, SessionTransaction, SessionTransactionOrigin
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ColumnClause
from sqlalchemy.sql.functions import FunctionElement

from fastapi_filestore.events import SESSION_HELD
from fastapi_filestore.orm.sessions import has_room, isolation_of
from fastapi_filestore.orm.unit_of_work.state import (
    SessionState,
    Watch,
    innermost_transaction,
    sent_over,
    state_of,
)

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


_logged = set[str]()


class Execution(Protocol):
    """What is known of a statement that is about to be executed."""

    compiled: Compiled | None
    execution_options: Mapping[str, object]


def note_statement(
    connection: Connection, cursor: object, statement: str, parameters: object, execution: Execution, *many: bool
) -> None:
    """Keep the SELECTs that the transaction of a session sends over a connection, until it sends something else."""
    sent = sent_over.get(connection)
    if sent is None or sent.has_more or statement in sent.selects:
        return
    # The rows of a stream may still be on their way.
    is_whole = execution.compiled is not None and not execution.execution_options.get("stream_results")
    element = execution.compiled.statement if execution.compiled is not None and is_whole else None
    if isinstance(element, SelectBase) and len(sent.selects) < MOST_STATEMENTS:
        sent.selects[statement] = element
    else:
        sent.has_more = True
        sent.selects.clear()


def end_if_only_read(session: Session) -> None:
    """End the transaction of a session if it has only read, and expire nothing; log once why another one is kept."""
    transaction, state = session.get_transaction(), state_of(session)
    watch = state.watch if state.is_connected else None
    # A pool of one connection for all has none to give back, and what one session rolls back is everybody's.
    if transaction is None or watch is None or not all(has_room(connection.engine) for connection in watch.connections):
        return
    reason = _reason_to_keep(session, transaction, state, watch)
    if reason is None:
        transaction.close()
    elif reason not in _logged:
        _logged.add(reason)
        SESSION_HELD.tell(reason=f"the transaction {reason}")


def _reason_to_keep(session: Session, transaction: SessionTransaction, state: SessionState, watch: Watch) -> str | None:
    if transaction.origin is not SessionTransactionOrigin.AUTOBEGIN:
        return "was begun by begin(), whose block would find it ended"
    if session.twophase or session.in_nested_transaction():
        return "has a savepoint, or two phases"
    has_entries = innermost_transaction(session) in state.journals
    if session.new or session.dirty or session.deleted or state.edits or has_entries:
        return "has changes to write"
    connections = watch.connections
    if not has_own_connections(transaction) or any(_has_options(session, connection) for connection in connections):
        return "is on a connection that is not the session's own, or that was given options, such as a schema"
    # SQLite has one level, so nobody asked for it who chose none.
    levels = {
        isolation_of(connection)
        or (None if connection.dialect.name == "sqlite" else connection.dialect.default_isolation_level)
        for connection in connections
    }
    if levels & SNAPSHOTS:
        return "is isolated by REPEATABLE READ or more"
    is_read = not watch.sent.has_more and all(_only_reads(sql, select) for sql, select in watch.sent.selects.items())
    return None if is_read else "has sent more than SELECTs of columns and aggregates"


def has_own_connections(transaction: SessionTransaction) -> bool:
    """Tell whether a session took all connections of its outermost transaction out of pools by itself."""
    # Each is the connection, its transaction, whether that is committed, and whether the session closes the connection.
    connections = cast("Any", transaction)._connections  # noqa: SLF001 - nothing else tells
    return all(closes for _, _, _, closes in connections.values())


def _has_options(session: Session, connection: Connection) -> bool:
    """Tell whether a connection was given options that its engine and its session do not give to every one."""
    common = {**connection.engine.get_execution_options(), **getattr(session, "execution_options", {})}
    options = connection.get_execution_options()
    return any(common.get(name) is not value and common.get(name) != value for name, value in options.items())


def _only_reads(sql: str, statement: ClauseElement) -> bool:
    """Tell whether a SELECT has no effect but its answer, and none that depends on the transaction that it is in."""
    for element in visitors.iterate(statement):
        if isinstance(element, FunctionElement):  # some are written without parentheses
            is_known = str(getattr(element, "name", "")).lower() in _AGGREGATES
        elif isinstance(element, ColumnClause):
            is_known = not element.is_literal or element.name == "*"
        else:
            is_known = not isinstance(element, TextClause | TextualSelect)
        if not is_known:
            return False
    plain = _QUOTED.sub("_", sql)
    return not (_CALL.search(plain) or _WRITES.search(plain))
