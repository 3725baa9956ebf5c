"""When a transaction ends, bytes follow rows: deleted after the outermost commit, or undone with a rollback.

A database that answers with an error has not committed. A connection that breaks, or a task that is cancelled, before
the answer came leaves nobody knowing: then nothing may be deleted, and the ledger's sweeper or an audit decides later.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, cast
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.events import (
    AUTOCOMMIT,
    COMMIT_IN_DOUBT,
    ROWS_UNKNOWN,
    SAVEPOINT_OF_ONE_CONNECTION,
    SESSION_NEVER_CLOSED,
)
from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.orm.failures.outages import translate_outages
from fastapi_filestore.orm.ledger.ledger import BoundLedger
from fastapi_filestore.orm.sessions import AnySession, await_in_session, isolation_of, plain_session, run_in_session
from fastapi_filestore.orm.unit_of_work.journal import Journal
from fastapi_filestore.orm.unit_of_work.ownership import Delivery, disown
from fastapi_filestore.orm.unit_of_work.sharing import Intents, condemn_own
from fastapi_filestore.orm.unit_of_work.state import (
    Commits,
    SessionState,
    Watch,
    close_journal,
    enclosing_journal,
    note_forgettable,
    open_journal,
    state_of,
    unended,
)
from fastapi_filestore.orm.unit_of_work.transfer import discard, forget, known

PATIENCE = 30.0
"""Seconds that a cancelled task waits for a store which does not answer: the sweeper deletes what is left then."""


def mark_committed(session: Session) -> None:
    """Note that the innermost transaction is committed; what follows is decided when it ends."""
    if journal := open_journal(session):
        journal.committed = True


def honour_end(session: Session, transaction: SessionTransaction) -> None:
    """Hand a released savepoint's journal to the transaction around it; make bytes follow rows at any other end."""
    journal = close_journal(session, transaction)
    if journal is None:
        return
    if journal.committed and transaction.nested:
        enclosing_journal(session, transaction).absorb(journal)
        return
    try:
        _honour(session, transaction, journal)
    finally:
        disown(session, journal.fresh.values())


def _honour(session: Session, transaction: SessionTransaction, journal: Journal) -> None:
    if sys.is_finalizing():
        # Of a session that was never closed. Nothing can be awaited any more: a sweeper or an audit finds the bytes.
        if journal.committed:
            _wait_for_another(journal)
        else:
            SESSION_NEVER_CLOSED.tell(objects=[path for _, path in journal.fresh])
            _leave(journal)
    elif journal.committed and is_inside_another(session, transaction):
        _wait_for_another(journal)
    elif journal.committed and journal.uncertain:
        SAVEPOINT_OF_ONE_CONNECTION.tell(objects=[path for _, path in journal.files])
        _wait_for_another(journal)
    elif journal.committed:
        _follow_commit(journal)
    elif is_doubtful(session, transaction):
        COMMIT_IN_DOUBT.tell(objects=[path for _, path in journal.fresh])
        _leave(journal)
    elif transaction.nested:
        # Its connection is still the outer transaction's: intents are forgotten once that has ended, too.
        gone = await_in_session(finish(_undo(session, journal.fresh, is_inner=True), patience=PATIENCE))
        enclosing_journal(session, transaction).forgettable.update(journal.forgettable | gone)
    else:
        await_in_session(finish(_follow_rollback(session, journal), patience=PATIENCE))


def honour_unended(session: Session) -> None:
    """Make bytes follow the rows of earlier transactions whose end was cut short as they gave their connection back."""
    while stale := unended(session):
        honour_end(session, stale[0])


def _leave(journal: Journal) -> None:
    """Delete nothing: rows that were perhaps committed point to the bytes. The sweeper knows from the ledger."""
    for file in journal.fresh.values():
        file.undo()


def _wait_for_another(journal: Journal) -> None:
    """Delete nothing: whoever began the connection's transaction may roll it back. An audit finds what is left."""
    for file in journal.kept_files():
        file.settle()


def _follow_commit(journal: Journal) -> None:
    unreferenced = {at: file for at, file in journal.unreferenced_files().items() if not journal.outlasts(at)}
    try:
        if unreferenced or journal.forgettable or journal.owed:
            await_in_session(finish(_clear_away(journal, unreferenced), patience=PATIENCE))
    finally:
        for file in unreferenced.values():
            file.undo()
        for file in journal.kept_files():
            file.settle()


async def _clear_away(journal: Journal, unreferenced: Mapping[Location, FileObject]) -> None:
    # What a trigger saw raw SQL put into another row of the same transaction is not to be deleted.
    watched = {at: access for at, access in journal.intended.items() if access is not None and access.ledger.triggers}
    spared = set(watched) - {at for access, some in _by_access(watched) for at in await known(access, some)}
    gone = await discard({at: file for at, file in unreferenced.items() if at not in spared})
    owed = {at: access for at, access in journal.owed.items() if at in gone or at not in unreferenced}
    await _forget({at: journal.intended.get(at) for at in gone} | owed | journal.forgettable)


async def _follow_rollback(session: Session, journal: Journal) -> None:
    await _forget(journal.forgettable | await _undo(session, journal.fresh, is_inner=False))


async def _undo(
    session: Session, fresh: Mapping[Location, FileObject], *, is_inner: bool
) -> dict[Location, BoundLedger | None]:
    claims = {at: cast("BoundLedger | None", file.custody.claim) for at, file in fresh.items()}
    own = {at for at, file in fresh.items() if file.has_own_path}
    held: set[Location] = own
    intents: Intents = {}
    try:
        try:
            with translate_outages():
                held, intents = await condemn_own(session, own, is_inner=is_inner)
        except (FilestoreError, SQLAlchemyError) as error:
            # Whether a row has taken one meanwhile is not known: an audit finds those that none has.
            ROWS_UNKNOWN.tell(error, objects=[path for _, path in own])
        gone = await discard({at: file for at, file in fresh.items() if at not in held})
    finally:
        # Whoever adds the row again must never meet the old object, deleted or about to be.
        for file in fresh.values():
            file.undo()
    return {at: intents.get(at) or claims[at] for at in gone}


async def _forget(intents: Intents) -> None:
    for access, locations in _by_access(intents):
        await forget(access, locations)


def _by_access(intents: Intents) -> Iterable[tuple[BoundLedger, list[Location]]]:
    groups: dict[BoundLedger, list[Location]] = defaultdict(list)
    for at, access in intents.items():
        if access is not None:
            groups[access].append(at)
    return groups.items()


async def abandon(session: AnySession, delivery: Delivery) -> None:
    """End a delivery: what it stored for rows that will never be written is deleted, with its intents."""
    fresh = {file.location: file for file in delivery.end()}
    try:
        if fresh:
            await finish(_abandon(session, fresh), patience=PATIENCE)
    finally:
        disown(delivery, delivery.files)


async def _abandon(session: AnySession, fresh: Mapping[Location, FileObject]) -> None:
    plain = plain_session(session)
    gone = await _undo(plain, fresh, is_inner=plain.in_transaction())
    # It may hold the lock of SQLite's one writer: intents are forgotten once it has ended.
    if plain.in_transaction() and await run_in_session(session, note_forgettable, gone):
        return
    await _forget(gone)


_watched: WeakSet[Engine] = WeakSet()
_warned_of: WeakSet[Engine] = WeakSet()
_of_connections: WeakKeyDictionary[Connection, Commits] = WeakKeyDictionary()


def watch_commits(state: SessionState, root: SessionTransaction, connection: Connection) -> None:
    """Count the COMMITs that the open transaction of a session sends over a connection."""
    watch = state.commits
    if watch is None or watch.transaction is not root:
        watch = state.commits = Watch(root)
    watch.connections.append(connection)
    _of_connections[connection] = watch.commits
    if connection.engine not in _watched:
        # From now on, and not as the session commits: whoever owns its connection may, and rows are committed with it.
        _watched.add(connection.engine)
        event.listen(connection.engine, "commit", _note_sent)
        event.listen(connection.engine, "commit_twophase", _note_sent)
        event.listen(connection.engine, "handle_error", _note_refused)
    # Nothing that is written over such a connection can be rolled back.
    if isolation_of(connection) == "AUTOCOMMIT" and connection.engine not in _warned_of:
        _warned_of.add(connection.engine)
        AUTOCOMMIT.tell(engine=repr(connection.engine.url))


def _watch_of(session: Session, transaction: SessionTransaction | None) -> Watch | None:
    watch = state_of(session).commits
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
