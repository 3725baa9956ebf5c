"""Whether a COMMIT that raised may have happened all the same.

A database that answers with an error has not committed. A connection that breaks, or a task that is cancelled, before
the answer came leaves nobody knowing: then nothing may be deleted, and the ledger's sweeper or an audit decides later.
"""

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session, SessionTransaction

from fastapi_filestore.events import AUTOCOMMIT
from fastapi_filestore.orm.bookkeeping import root_transaction
from fastapi_filestore.orm.engines import chosen_isolation

_WATCH = "fastapi_filestore.watch"
"""What is seen of a session's transaction, in the session's info."""


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


_watched: WeakSet[Engine] = WeakSet()
_warned_of: WeakSet[Engine] = WeakSet()
_of_connections: WeakKeyDictionary[Connection, Commits] = WeakKeyDictionary()


def watch_commits(session: Session, connection: Connection) -> None:
    """Count the COMMITs that the open transaction of a session sends over a connection."""
    root = root_transaction(session)
    watch = _watch_of(session, root) or Watch(root)
    session.info[_WATCH] = watch
    watch.connections.append(connection)
    _of_connections[connection] = watch.commits
    if connection.engine not in _watched:
        # From now on, and not as the session commits: whoever owns its connection may, and rows are committed with it.
        _watched.add(connection.engine)
        event.listen(connection.engine, "commit", _note_sent)
        event.listen(connection.engine, "commit_twophase", _note_sent)
        event.listen(connection.engine, "handle_error", _note_refused)
    # Nothing that is written over such a connection can be rolled back.
    if chosen_isolation(connection) == "AUTOCOMMIT" and connection.engine not in _warned_of:
        _warned_of.add(connection.engine)
        AUTOCOMMIT.tell(engine=repr(connection.engine.url))


def _watch_of(session: Session, transaction: SessionTransaction | None) -> Watch | None:
    watch: Watch | None = session.info.get(_WATCH)
    return watch if watch is not None and watch.transaction is transaction else None


def is_doubtful(session: Session, transaction: SessionTransaction) -> bool:
    """Tell whether nobody knows if an outermost transaction, which did not end with a commit, was committed."""
    watch = _watch_of(session, transaction)
    return watch is not None and watch.commits.doubtful


def _note_sent(connection: Connection, *rest: Any) -> None:
    if commits := _of_connections.get(connection):
        commits.sent += 1


def _note_refused(context: ExceptionContext) -> None:
    commits = _of_connections.get(context.connection) if context.connection is not None else None
    # Without an exception of SQLAlchemy's it is none of the driver's: a timeout, a cancellation, an interrupt.
    answered = context.sqlalchemy_exception is not None and not context.is_disconnect
    if commits and answered and context.statement is None:
        commits.refused = min(commits.refused + 1, commits.sent)


def is_inside_another(session: Session, transaction: SessionTransaction) -> bool:
    """Tell whether an outermost transaction that has ended was part of one that somebody else began."""
    watch = _watch_of(session, transaction)
    return watch is not None and any(not each.closed and each.in_transaction() for each in watch.connections)


def forget_commits(session: Session, transaction: SessionTransaction) -> None:
    """Note that an outermost transaction is over and done with: a session that held it would be freed late, as a cycle.

    One whose end was cut short is remembered beyond the next, which may be over before anything asks.
    """
    if _watch_of(session, transaction) is not None:
        del session.info[_WATCH]
