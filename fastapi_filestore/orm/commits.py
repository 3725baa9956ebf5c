"""Whether a COMMIT that raised may have happened all the same.

A database that answers with an error has not committed. A connection that breaks, or a task that is cancelled, before
the answer came leaves nobody knowing: then nothing may be deleted, and the ledger's sweeper or an audit decides later.
"""

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session, SessionTransaction

from fastapi_filestore.orm.bookkeeping import root_transaction

_COMMITS = "fastapi_filestore.commits"
_CONNECTIONS = "fastapi_filestore.connections"
"""What a session's transaction runs over, in the session's info."""


@dataclass(slots=True)
class Commits:
    """The COMMITs of one transaction of a session, of which there is one for each connection."""

    sent: int = 0
    refused: int = 0

    @property
    def doubtful(self) -> bool:
        """Whether one that nobody refused may have been carried out."""
        return self.sent > self.refused


_watched: WeakSet[Engine] = WeakSet()
_of_connections: WeakKeyDictionary[Connection, Commits] = WeakKeyDictionary()


def watch_commits(session: Session, connection: Connection) -> None:
    """Count the COMMITs that the open transaction of a session sends over a connection."""
    session.info[_CONNECTIONS] = [*session.info.get(_CONNECTIONS, ()), connection]
    root = root_transaction(session)
    if session.info.get(_COMMITS, (None,))[0] is not root:
        session.info[_COMMITS] = root, Commits()
    _of_connections[connection] = session.info[_COMMITS][1]
    if connection.engine not in _watched:
        _watched.add(connection.engine)
        event.listen(connection.engine, "commit", _note_sent)
        event.listen(connection.engine, "commit_twophase", _note_sent)
        event.listen(connection.engine, "handle_error", _note_refused)


def is_doubtful(session: Session, transaction: SessionTransaction) -> bool:
    """Tell whether nobody knows if an outermost transaction, which did not end with a commit, was committed."""
    root, commits = session.info.get(_COMMITS, (None, Commits()))
    return root is transaction and commits.doubtful


def _note_sent(connection: Connection, *rest: Any) -> None:
    if commits := _of_connections.get(connection):
        commits.sent += 1


def _note_refused(context: ExceptionContext) -> None:
    commits = _of_connections.get(context.connection) if context.connection is not None else None
    # Without an exception of SQLAlchemy's it is none of the driver's: a timeout, a cancellation, an interrupt.
    answered = context.sqlalchemy_exception is not None and not context.is_disconnect
    if commits and answered and context.statement is None:
        commits.refused = min(commits.refused + 1, commits.sent)


def is_inside_another(session: Session) -> bool:
    """Tell whether a transaction that has ended was part of one that somebody else began on the connection."""
    return any(not each.closed and each.in_transaction() for each in session.info.get(_CONNECTIONS, ()))


def forget_connections(session: Session) -> None:
    """Note that a session's outermost transaction has ended: a session that holds it is a cycle, freed late."""
    session.info.pop(_CONNECTIONS, None)
    session.info.pop(_COMMITS, None)
