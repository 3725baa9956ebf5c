"""When a transaction ends, bytes follow rows: deleted after the outermost commit, or undone with a rollback."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import cast

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, SessionTransaction

from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.events import COMMIT_IN_DOUBT, ROWS_UNKNOWN, SAVEPOINT_OF_ONE_CONNECTION, SESSION_NEVER_CLOSED
from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.orm.bookkeeping import (
    Book,
    close_book,
    enclosing_book,
    note_forgettable,
    open_book,
    unended,
)
from fastapi_filestore.orm.bridge import AnySession, await_in_session, plain_session, run_in_session
from fastapi_filestore.orm.commits import is_doubtful, is_inside_another
from fastapi_filestore.orm.ledger import LedgerAccess
from fastapi_filestore.orm.outages import failures_told
from fastapi_filestore.orm.ownership import Delivery, disown
from fastapi_filestore.orm.sharing import Intents, condemn_own
from fastapi_filestore.orm.transfer import discard, forget, known
from fastapi_filestore.storage.cleanup import finish

PATIENCE = 30.0
"""Seconds that a cancelled task waits for a store which does not answer: the sweeper deletes what is left then."""


def mark_committed(session: Session) -> None:
    """Note that the innermost transaction is committed; what follows is decided when it ends."""
    if book := open_book(session):
        book.committed = True


def honour_end(session: Session, transaction: SessionTransaction) -> None:
    """Hand a released savepoint's book to the transaction around it; make bytes follow rows at any other end."""
    book = close_book(session, transaction)
    if book is None:
        return
    if book.committed and transaction.nested:
        enclosing_book(session, transaction).absorb(book)
        return
    try:
        _honour(session, transaction, book)
    finally:
        disown(session, book.fresh.values())


def _honour(session: Session, transaction: SessionTransaction, book: Book) -> None:
    if sys.is_finalizing():
        # Of a session that was never closed. Nothing can be awaited any more: a sweeper or an audit finds the bytes.
        if book.committed:
            _wait_for_another(book)
        else:
            SESSION_NEVER_CLOSED.tell(objects=[path for _, path in book.fresh])
            _leave(book)
    elif book.committed and is_inside_another(session, transaction):
        _wait_for_another(book)
    elif book.committed and book.uncertain:
        SAVEPOINT_OF_ONE_CONNECTION.tell(objects=[path for _, path in book.files])
        _wait_for_another(book)
    elif book.committed:
        _follow_commit(book)
    elif is_doubtful(session, transaction):
        COMMIT_IN_DOUBT.tell(objects=[path for _, path in book.fresh])
        _leave(book)
    elif transaction.nested:
        # Its connection is still the outer transaction's: intents are forgotten once that has ended, too.
        gone = await_in_session(finish(_undo(session, book.fresh, is_inner=True), patience=PATIENCE))
        enclosing_book(session, transaction).forgettable.update(book.forgettable | gone)
    else:
        await_in_session(finish(_follow_rollback(session, book), patience=PATIENCE))


def honour_unended(session: Session) -> None:
    """Make bytes follow the rows of earlier transactions whose end was cut short as they gave their connection back."""
    while stale := unended(session):
        honour_end(session, stale[0])


def _leave(book: Book) -> None:
    """Delete nothing: rows that were perhaps committed point to the bytes. The sweeper knows from the ledger."""
    for file in book.fresh.values():
        file.undo()


def _wait_for_another(book: Book) -> None:
    """Delete nothing: whoever began the connection's transaction may roll it back. An audit finds what is left."""
    for file in book.kept():
        file.settle()


def _follow_commit(book: Book) -> None:
    unreferenced = {at: file for at, file in book.unreferenced().items() if not book.outlasts(at)}
    try:
        if unreferenced or book.forgettable or book.owed:
            await_in_session(finish(_clear_away(book, unreferenced), patience=PATIENCE))
    finally:
        for file in unreferenced.values():
            file.undo()
        for file in book.kept():
            file.settle()


async def _clear_away(book: Book, unreferenced: Mapping[Location, FileObject]) -> None:
    gone = await discard(await _doomed(book, unreferenced))
    owed = {at: access for at, access in book.owed.items() if at in gone or at not in unreferenced}
    await _forget({at: book.intended.get(at) for at in gone} | owed | book.forgettable)


async def _doomed(book: Book, unreferenced: Mapping[Location, FileObject]) -> dict[Location, FileObject]:
    """Return what is to be deleted: not what a trigger saw raw SQL put into another row of the same transaction."""
    watched = {at: access for at, access in book.intended.items() if access is not None and access.ledger.triggers}
    spared = set(watched) - {at for access, some in _by_access(watched) for at in await known(access, some)}
    return {at: file for at, file in unreferenced.items() if at not in spared}


async def _follow_rollback(session: Session, book: Book) -> None:
    await _forget(book.forgettable | await _undo(session, book.fresh, is_inner=False))


async def _undo(
    session: Session, fresh: Mapping[Location, FileObject], *, is_inner: bool
) -> dict[Location, LedgerAccess | None]:
    claims = {at: cast("LedgerAccess | None", file.claim) for at, file in fresh.items()}
    try:
        held, intents = await _condemned(session, fresh, is_inner=is_inner)
        gone = await discard({at: file for at, file in fresh.items() if at not in held})
    finally:
        # Whoever adds the row again must never meet the old object, deleted or about to be.
        for file in fresh.values():
            file.undo()
    return {at: intents.get(at) or claims[at] for at in gone}


async def _condemned(
    session: Session, fresh: Mapping[Location, FileObject], *, is_inner: bool
) -> tuple[set[Location], Intents]:
    own = {at for at, file in fresh.items() if file.has_own_key}
    try:
        with failures_told():
            return await condemn_own(session, own, is_inner=is_inner)
    except (FilestoreError, SQLAlchemyError) as error:
        # Whether a row has taken one meanwhile is not known: an audit finds those that none has.
        ROWS_UNKNOWN.tell(error, objects=[path for _, path in own])
        return own, {}


async def _forget(intents: Intents) -> None:
    for access, locations in _by_access(intents):
        await forget(access, locations)


def _by_access(intents: Intents) -> Iterable[tuple[LedgerAccess, list[Location]]]:
    groups: dict[LedgerAccess, list[Location]] = defaultdict(list)
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
