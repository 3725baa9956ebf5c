"""Make bytes follow rows when a transaction ends: deleted after the outermost commit, or undone with a rollback.

A database that answers with an error has not committed. A connection that breaks, or a task that is cancelled, before
the answer came leaves nobody knowing: then nothing may be deleted, and the ledger's sweeper or an audit decides later.
"""

import sys
from collections.abc import Mapping
from typing import cast

from sqlalchemy import Connection
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.events import (
    COMMIT_IN_DOUBT,
    ROWS_UNKNOWN,
    SAVEPOINT_OF_ONE_CONNECTION,
    SESSION_NEVER_CLOSED,
)
from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.orm.failures.translate import translate_outages
from fastapi_filestore.orm.ledger.ledger import BoundLedger
from fastapi_filestore.orm.sessions import AnySession, await_in_session, run_in_session
from fastapi_filestore.orm.unit_of_work.journal import Journal
from fastapi_filestore.orm.unit_of_work.ownership import Delivery, disown
from fastapi_filestore.orm.unit_of_work.sharing import condemn_own
from fastapi_filestore.orm.unit_of_work.state import (
    SessionState,
    Watch,
    current_journal,
    enclosing_journal,
    innermost_transaction,
    open_transactions,
    sent_over,
)
from fastapi_filestore.orm.unit_of_work.transfer import Intents, discard, find_known, forget

PATIENCE = 30.0
"""Seconds that a cancelled task waits for a store which does not answer: the sweeper deletes what is left then."""


def on_transaction_end(session: Session, state: SessionState, transaction: SessionTransaction) -> None:
    """Hand a released savepoint's journal to the transaction around it; make bytes follow rows at any other end."""
    journal = state.journals.pop(transaction, None)
    if journal is None:
        return
    if journal.committed and transaction.nested:
        enclosing_journal(session, transaction).absorb(journal)
        return
    watch = state.watch if state.watch is not None and state.watch.transaction is transaction else None
    try:
        if journal.committed:
            _follow_commit(journal, watch)
        else:
            _follow_rollback(session, transaction, journal, watch)
    finally:
        disown(session, journal.fresh.values())


def end_unended(session: Session, state: SessionState) -> None:
    """Make bytes follow the rows of earlier transactions whose end was cut short as they gave their connection back."""
    while state.journals:
        open_ones = open_transactions(session)
        ended = [entered for entered in state.journals if entered is not None and entered not in open_ones]
        if not ended:
            return
        # Inner ones first: theirs may be handed to outer ones.
        on_transaction_end(session, state, next((inner for inner in ended if inner.nested), ended[0]))


def _follow_commit(journal: Journal, watch: Watch | None) -> None:
    """Delete what no row points to any more, if the rows are sure to stay so; an audit finds what is left."""
    unreferenced: dict[Location, FileObject] = {}
    # Of a session that was never closed nothing can be awaited when the interpreter ends. Whoever began the
    # transaction of the connection may roll it back.
    is_left = sys.is_finalizing() or (
        watch is not None
        and any(not connection.closed and connection.in_transaction() for connection in watch.connections)
    )
    if journal.uncertain and not is_left:
        SAVEPOINT_OF_ONE_CONNECTION.tell(objects=[path for _, path in journal.files])
        is_left = True
    if not is_left:
        unreferenced = {
            location: file for location, file in journal.unreferenced_files().items() if not journal.outlasts(location)
        }
    try:
        if unreferenced or (not is_left and (journal.forgettable or journal.owed)):
            await_in_session(finish(_clear_away(journal, unreferenced), patience=PATIENCE))
    finally:
        for file in unreferenced.values():
            file.undo()
        for file in journal.kept_files():
            file.note_committed()


async def _clear_away(journal: Journal, unreferenced: Mapping[Location, FileObject]) -> None:
    # What a trigger saw raw SQL put into another row of the same transaction is not to be deleted.
    watched = {
        location: bound for location, bound in journal.intended.items() if bound is not None and bound.ledger.triggers
    }
    spared = watched.keys() - await find_known(watched) if watched else set[Location]()
    gone = await discard({location: file for location, file in unreferenced.items() if location not in spared})
    owed = {
        location: bound for location, bound in journal.owed.items() if location in gone or location not in unreferenced
    }
    forgotten = {location: journal.intended.get(location) for location in gone} | owed | journal.forgettable
    await forget(forgotten, held=owed.keys() - gone)


def _follow_rollback(session: Session, transaction: SessionTransaction, journal: Journal, watch: Watch | None) -> None:
    """Delete what the transaction stored, if its rows are sure to be gone; the sweeper knows of what is left."""
    # A COMMIT that nobody refused may have been carried out: its rows would point to the bytes.
    is_doubtful = watch is not None and watch.sent.commits > watch.sent.refused
    if sys.is_finalizing() or is_doubtful:  # of a session that was never closed nothing can be awaited any more
        objects = [path for _, path in journal.fresh]
        if sys.is_finalizing():
            SESSION_NEVER_CLOSED.tell(objects=objects)
        else:
            COMMIT_IN_DOUBT.tell(objects=objects)
        for file in journal.fresh.values():
            file.undo()
        return

    async def undo() -> Intents:
        gone = journal.forgettable | await _undo(session, journal.fresh, is_inner=transaction.nested)
        if not transaction.nested:
            await forget(gone)
        return gone

    gone = await_in_session(finish(undo(), patience=PATIENCE))
    if transaction.nested:
        # Its connection is still the outer transaction's: intents are forgotten once that has ended, too.
        enclosing_journal(session, transaction).forgettable.update(gone)


async def _undo(
    session: Session, fresh: Mapping[Location, FileObject], *, is_inner: bool
) -> dict[Location, BoundLedger | None]:
    """Delete what was stored, but for what other rows hold; return what is gone, with the ledgers that know of it."""
    claims = {location: cast("BoundLedger | None", file.custody.claim) for location, file in fresh.items()}
    own = {location for location, file in fresh.items() if file.has_own_path}
    held: set[Location] = own
    intents: Intents = {}
    try:
        try:
            with translate_outages():
                held, intents = await condemn_own(session, own, is_inner=is_inner)
        except (FilestoreError, SQLAlchemyError) as error:
            # Whether a row has taken one meanwhile is not known: an audit finds those that none has.
            ROWS_UNKNOWN.tell(error, objects=[path for _, path in own])
        gone = await discard({location: file for location, file in fresh.items() if location not in held})
    finally:
        # Whoever adds the row again must never meet the old object, deleted or about to be.
        for file in fresh.values():
            file.undo()
    return {location: intents.get(location) or claims[location] for location in gone}


async def abandon(session: AnySession, delivery: Delivery) -> None:
    """End a delivery: what it stored for rows that will never be written is deleted, with its intents."""
    fresh = delivery.end()

    async def undo() -> None:
        gone = await _undo(delivery.session, fresh, is_inner=delivery.session.in_transaction())

        def leave_to_end(plain: Session) -> bool:
            if is_open := innermost_transaction(plain) is not None:
                current_journal(plain).forgettable.update(gone)
            return is_open

        # It may hold the lock of SQLite's one writer: intents are forgotten once it has ended.
        if not (delivery.session.in_transaction() and await run_in_session(session, leave_to_end)):
            await forget(gone)

    try:
        if fresh:
            await finish(undo(), patience=PATIENCE)
    finally:
        disown(delivery, delivery.files)


# -- COMMITs ---------------------------------------------------------------------------------------------


def note_commit(connection: Connection, *details: object) -> None:
    """Count a COMMIT that is sent over a connection."""
    if sent := sent_over.get(connection):
        sent.commits += 1


def note_refusal(context: ExceptionContext) -> None:
    """Count a COMMIT that a database answered with an error."""
    sent = sent_over.get(context.connection) if context.connection is not None else None
    # Without an exception of SQLAlchemy's it is none of the driver's: a timeout, a cancellation, an interrupt.
    is_answer = context.sqlalchemy_exception is not None and not context.is_disconnect
    if sent and is_answer and context.statement is None:
        sent.refused = min(sent.refused + 1, sent.commits)
