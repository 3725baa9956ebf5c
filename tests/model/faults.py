"""Faults planted in the library, each of which the model must find: one promise broken, and nothing else."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final
from unittest.mock import patch

from sqlalchemy import Connection, event, select, text
from sqlalchemy.orm import InstanceState, Session, SessionTransaction

from fastapi_filestore import FileObject
from fastapi_filestore.file_object import Location
from fastapi_filestore.orm.column.attributes import file_attributes
from fastapi_filestore.orm.ledger.ledger import Ledger
from fastapi_filestore.orm.sessions import await_in_session, run_in_session
from fastapi_filestore.orm.unit_of_work import end as ending
from fastapi_filestore.orm.unit_of_work import flush as flushing
from fastapi_filestore.orm.unit_of_work import listeners as unit_of_work
from fastapi_filestore.orm.unit_of_work import state as states
from fastapi_filestore.orm.unit_of_work.journal import Journal
from fastapi_filestore.orm.unit_of_work.transfer import discard, forget
from fastapi_filestore.orm.uploads.expiry import end_expired
from fastapi_filestore.orm.uploads.tables import COMPLETE, UploadTables
from fastapi_filestore.service.sweep import sweep as sweeping
from fastapi_filestore.uploads import assembly, claims
from fastapi_filestore.uploads.assembly import become_whole
from fastapi_filestore.uploads.open_uploads import OpenUploads

Fault = Callable[[], AbstractContextManager[object]]


@contextmanager
def inner_rollback_deletes_outer() -> Iterator[None]:
    """A savepoint that is rolled back deletes what the transaction around it stored, if it touched its row."""
    on_transaction_end = ending.on_transaction_end

    def hasty(session: Session, state: states.SessionState, transaction: SessionTransaction) -> None:
        books: Mapping[Any, Journal] = state.journals
        book = books.get(transaction)
        if transaction.nested and book is not None and not book.committed:
            outer = [one.fresh for one in books.values() if one is not book]
            await_in_session(discard({at: fresh[at] for fresh in outer for at in fresh if at in book.files}))
        on_transaction_end(session, state, transaction)

    with patch.object(unit_of_work, "on_transaction_end", hasty):
        yield


@contextmanager
def orphan_is_booked_twice() -> Iterator[None]:
    """A changed row that turns out to be an orphan is booked as deleted with what it held before, once more."""

    def twice(session: Session, state: InstanceState[Any]) -> None:
        states.state_of(session).flush.holds.pop(state, None)
        book_deleted(session, state)

    book_deleted = flushing.enter_deleted
    with patch.object(unit_of_work, "enter_deleted", twice):
        yield


@contextmanager
def deletion_before_commit() -> Iterator[None]:
    """What a flush takes out of the rows is deleted at once, and not after the commit."""

    def too_early(session: Session, *flush: object) -> None:
        whole = states.whole_journal(session)
        await_in_session(
            discard({at: file for at, file in whole.unreferenced_files().items() if at not in whole.fresh})
        )

    event.listen(Session, "after_flush", too_early)
    try:
        yield
    finally:
        event.remove(Session, "after_flush", too_early)


@contextmanager
def old_value_from_memory() -> Iterator[None]:
    """What a row held is what the session remembers of it, and not what the database says."""

    def remembered(session: Session, states: Sequence[InstanceState[Any]], switched: object = None) -> states.Rows:
        return {
            state: {attribute: _remembered(state, attribute.name) for attribute in file_attributes(state.mapper)}
            for state in states
            if state.key is not None
        }

    with patch.object(flushing, "_in_database", remembered):
        yield


def _remembered(state: InstanceState[Any], name: str) -> list[FileObject]:
    value = state.committed_state.get(name, state.dict.get(name))
    files = value if isinstance(value, list) else [value]
    return [file for file in files if isinstance(file, FileObject) and file.is_stored]


@contextmanager
def intent_forgotten_early() -> Iterator[None]:
    """The ledger forgets what is to be deleted before its bytes are gone."""

    async def in_haste(book: Journal, unreferenced: Mapping[Any, FileObject]) -> None:
        await forget({at: book.intended.get(at) for at in unreferenced} | book.forgettable)
        await discard(unreferenced)

    with patch.object(ending, "_clear_away", in_haste):
        yield


@contextmanager
def segments_go_unseen() -> Iterator[None]:
    """The segments of an upload that becomes one object go by SQL that nobody sees, and no intent is written."""

    async def unseen(uploads: OpenUploads, identity: str, *given: Any) -> None:
        def drop(session: Session) -> None:
            session.execute(text("DELETE FROM filestore_segments WHERE upload_id = :id"), {"id": identity})

        await run_in_session(uploads.service.session, drop)
        await become_whole(uploads, identity, *given)

    with patch.object(assembly, "become_whole", unseen):
        yield


@contextmanager
def claim_is_not_noted() -> Iterator[None]:
    """An upload whose file a row took is complete still."""

    async def unnoted(uploads: OpenUploads, identities: Sequence[str]) -> claims.Claim:
        claim = await take(uploads, identities)
        for row, _ in claim.rows.values():
            row.state = COMPLETE
        return claim

    take = claims.take
    with patch.object(claims, "take", unnoted):
        yield


@contextmanager
def expiry_forgets_segments() -> Iterator[None]:
    """An upload whose time is over goes with its segments, whose objects stay."""

    def forgetful(connection: Connection, *, tables: UploadTables, ledger: Ledger, **given: Any) -> int:
        segments = {file.location for file in connection.scalars(select(tables.segments.c.file))}
        purge = ledger.purge

        def purge_the_rest(connection: Connection, locations: Sequence[Location]) -> None:
            purge(connection, [location for location in locations if location not in segments])

        with patch.object(Ledger, "purge", staticmethod(purge_the_rest)):
            return end_expired(connection, tables=tables, ledger=ledger, **given)

    with patch.object(sweeping, "end_expired", forgetful):
        yield


FAULTS: Final[Mapping[str, Fault]] = {
    fault.__name__: fault
    for fault in (
        inner_rollback_deletes_outer,
        orphan_is_booked_twice,
        deletion_before_commit,
        old_value_from_memory,
        intent_forgotten_early,
        segments_go_unseen,
        claim_is_not_noted,
        expiry_forgets_segments,
    )
}
