"""Before rows are written: bytes complete, intents settled, replaced files entered with the deletions that follow."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy.orm import Mapper, Session

from fastapi_filestore.errors import IntentLostError, PendingContentError, StaleFileError
from fastapi_filestore.file_object import FileObject, FileState, Location
from fastapi_filestore.orm.column.attributes import keeper_of
from fastapi_filestore.orm.holders.holders import places_holding, tables_with_files
from fastapi_filestore.orm.ledger.ledger import BoundLedger, bound_ledger, deletion_ledger, ledger_of_class
from fastapi_filestore.orm.ledger.reservations import drop_reservations
from fastapi_filestore.orm.sessions import ConnectionUse, await_in_session, run_on_engine, writing_connection
from fastapi_filestore.orm.unit_of_work.journal import Journal
from fastapi_filestore.orm.unit_of_work.ownership import disown, own
from fastapi_filestore.orm.unit_of_work.read_only import SNAPSHOTS, is_connected
from fastapi_filestore.orm.unit_of_work.savepoints import note_entered
from fastapi_filestore.orm.unit_of_work.state import current_journal, note_stored, whole_journal
from fastapi_filestore.orm.unit_of_work.transfer import Claimed, store
from fastapi_filestore.storage.paths import is_upload_path

Change = tuple[Sequence[FileObject], Sequence[FileObject]]
"""The files of one place in a row before and after."""
Entered = tuple[Mapper[Any], set[Location], dict[Location, FileObject]]
"""A class whose changes are entered, what its rows held or hold, and what they hold that they did not."""


def begin_journal(session: Session) -> Journal:
    """Return the journal of the innermost transaction, beginning one where a flush would."""
    if not session.in_transaction():
        session.begin()
    return current_journal(session)


def store_files(session: Session, files: Mapping[Mapper[Any], Sequence[FileObject]]) -> None:
    """Store the pending files that rows are to hold, and settle the intents of all of them."""
    store_bytes(session, files)
    for mapper, some in files.items():
        settle_intents(session, mapper, some)


def store_bytes(session: Session, files: Mapping[Mapper[Any], Sequence[FileObject]]) -> None:
    """Store the pending files that rows are to hold."""
    begin_journal(session)
    claimed = [(file, bound_ledger(session, mapper)) for mapper, some in files.items() for file in some]
    for file, _ in claimed:
        file.refuse_unreadable()
        file.refuse_upload()
    gone = next((file for file, _ in claimed if file.state is FileState.GONE), None)
    if gone is not None:
        raise PendingContentError(f"{gone.filename!r} can't be written to a row: {gone.state.value}.")
    own(session, [file for file, _ in claimed if file.custody.fresh or not file.is_stored])
    try:
        if not all(file.is_checked for file, _ in claimed):
            await_in_session(store(claimed, room=partial(room_beside, session, claimed)))
    finally:
        note_stored(session, [file for file, _ in claimed if file.is_stored])
        disown(session, [file for file, _ in claimed if not (file.is_stored and file.custody.fresh)])


def room_beside(session: Session, claimed: Iterable[Claimed]) -> ConnectionUse:
    """Return where there is room for a transaction of the ledger's own beside the one that a session may be in."""
    if not is_connected(session):
        return ConnectionUse.FROM_POOL
    # SQLite has one writer: another transaction might wait for this one for ever.
    sqlite = any(access is not None and access.engine.dialect.name == "sqlite" for _, access in claimed)
    return ConnectionUse.FORBIDDEN if sqlite else ConnectionUse.NEW


def settle_intents(session: Session, mapper: Mapper[Any], files: Iterable[FileObject]) -> None:
    """Remove the upload intents of files that rows come to hold; `IntentLostError` if a sweeper was faster."""
    settled = whole_journal(session).settled
    claims = {file.location: file for file in files if file.custody.claim is not None and file.location not in settled}
    if not claims:
        return
    access, some = bound_ledger(session, mapper), next(iter(claims.values()))
    if access is None or any(file.custody.claim != access for file in claims.values()):
        raise PendingContentError(
            f"{some.filename!r} was stored for another database, whose ledger would delete it: make a new FileObject "
            "for this one."
        )
    connection = writing_connection(session, mapper)
    if unseen := access.ledger.settle(connection, claims):
        # A snapshot of PostgreSQL's sees nothing that was committed since it began, such as the intents of its uploads.
        # Elsewhere a statement that removes rows sees the newest ones.
        if not (connection.dialect.name == "postgresql" and connection.get_isolation_level() in SNAPSHOTS):
            drop_reservations(access)
            raise IntentLostError(some.filename)
        current_journal(session).owed.update(dict.fromkeys(unseen, access))
    current_journal(session).settled |= claims.keys()


def renew_owed(session: Session) -> None:
    """Keep sweepers, before the commit, from what the transaction could not settle: its intents go when it has ended.

    Raises:
        IntentLostError: A sweeper was faster.
    """
    journal = whole_journal(session)
    for access in dict.fromkeys(journal.owed.values()):
        owed = {at: journal.fresh[at] for at, other in journal.owed.items() if other == access}
        renew = partial(access.ledger.renew, locations=owed)
        if await_in_session(run_on_engine(access.engine, renew, ConnectionUse.NEW)) < len(owed):
            drop_reservations(access)
            raise IntentLostError(next(iter(owed.values())).filename)


def enter_changes(session: Session, changes: Mapping[Mapper[Any], Iterable[Change]]) -> None:
    """Journal what rows come to hold and cease to hold, by their classes, and intend the deletions that follow."""
    entered = [_enter_class(session, keeper_of(session, mapper), list(some)) for mapper, some in changes.items()]
    # When all are entered: what moves from a row of one class to one of another is no garbage.
    for mapper, touched, gained in entered:
        if (access := deletion_ledger(session, mapper)) is not None:
            _refuse_garbage(session, mapper, access, gained)
            _intend_deletions(session, mapper, access, touched)


def _enter_class(session: Session, mapper: Mapper[Any], changes: Sequence[Change]) -> Entered:
    journal = begin_journal(session)
    note_entered(session, mapper)
    journal.mappers.add(mapper)
    touched, gained = set[Location](), dict[Location, FileObject]()
    # What the database holds of this transaction's files, and nobody entered, came into a row in a way unknown here.
    whole = whole_journal(session)
    unseen = {file.location: file for before, _ in changes for file in before if file.location in whole.fresh}
    journal.replace([], [file for at, file in unseen.items() if whole.holders(at) <= 0])
    for before, after in changes:
        journal.replace(before, after)
        held, holds = ({file.location for file in files} for files in (before, after))
        journal.lost.update(dict.fromkeys(held - holds, mapper))
        touched |= held | holds
        gained.update((file.location, file) for file in after if file.location not in held)
    # Of what rows have copies of now, where clients stored it, none is held by a row: it goes after the commit.
    uploads = {
        at: FileObject(file.backend, file.filename, path=at[1], registry=file.registry)
        for file in gained.values()
        if (at := file.promoted_from) is not None and at not in journal.files
    }
    journal.replace(uploads.values(), ())
    return mapper, touched | uploads.keys(), gained


def _refuse_garbage(
    session: Session, mapper: Mapper[Any], access: BoundLedger, gained: Mapping[Location, FileObject]
) -> None:
    # At once, since a trigger may take the intent back; at the commit again, for other sessions may commit till then.
    whole = whole_journal(session)
    # A key that was generated is new; one that was given may be of an object that is still to be deleted.
    strange = {at for at in gained if at not in whole.fresh or whole.fresh[at].has_own_path} - whole.intended.keys()
    connection = writing_connection(session, mapper)
    if strange and (known := access.ledger.known(connection, strange)):
        kept = access.ledger.take_back(connection, known) if access.ledger.keep_deleted else set[Location]()
        # What a row lost in this transaction was no garbage before: a trigger took it for some, as it does.
        if stale := known - kept - whole.lost.keys():
            raise StaleFileError(gained[stale.pop()].filename)
        # One that moves was in a row that had come back.
        current_journal(session).regained |= {at for at in kept if whole.references[at] > 0}


def _intend_deletions(session: Session, mapper: Mapper[Any], access: BoundLedger, locations: set[Location]) -> None:
    journal, whole = current_journal(session), whole_journal(session)
    intended = {at for at in locations if whole.intended.get(at) is not None}
    doomed = {at for at in locations if whole.holders(at) <= 0}
    # Where clients store by upload URLs, the ledger may know of it already, also if they do it once more later.
    uploads = {at for at in doomed if is_upload_path(at[1])}
    expected = access.ledger.known(writing_connection(session, mapper), uploads) if uploads else uploads
    # What it owes is in the ledger already, where the transaction can't see it: whoever sweeps that finds no row.
    if new := doomed - intended - whole.owed.keys() - expected:
        # What this transaction stored itself is in no row that could come back.
        kept = {at for at in new if access.ledger.keep_deleted and at not in whole.fresh and not is_upload_path(at[1])}
        access.ledger.keep(writing_connection(session, mapper), kept)
        access.ledger.intend(writing_connection(session, mapper), new - kept)
        journal.intended.update(dict.fromkeys(new, access))
    if spared := intended - doomed:
        access.ledger.forget(writing_connection(session, mapper), spared)
        journal.intended.update(dict.fromkeys(spared))


def spare_moved_files(session: Session) -> None:
    """Take back what triggers intended for files that moved: they see the row that lost one, not its new place.

    A row is asked for, since raw SQL may have taken it out of its new place in the same transaction.
    """
    for at, mapper in whole_journal(session).moved().items():
        ledger, connection = ledger_of_class(mapper), writing_connection(session, mapper)
        if ledger is None or not ledger.triggers or not ledger.known(connection, [at]):
            continue
        if places_holding(connection, tables_with_files(ledger.table.metadata), [at]):
            ledger.forget(connection, [at])


def purge_files(session: Session) -> None:
    """Let the ledger know, before the commit, of files that are not to be kept: from then on no row may have them."""
    whole = whole_journal(session)
    for at, mapper in whole.lost.items() if whole.purges or whole.purged else ():
        access = whole.intended.get(at)
        if access is not None and access.ledger.keep_deleted and at in whole.to_purge():
            access.ledger.purge(writing_connection(session, mapper), [at])
