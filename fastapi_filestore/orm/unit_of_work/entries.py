"""Complete bytes before rows are written, settle intents, and enter replaced files with the deletions that follow."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from fastapi_filestore.errors import IntentLostError, PendingContentError, StaleFileError
from fastapi_filestore.file_object import FileObject, FileState, Location
from fastapi_filestore.orm.column.attributes import keeper_of
from fastapi_filestore.orm.holders.holders import places_holding, tables_with_files
from fastapi_filestore.orm.ledger.ledger import bound_ledger, deletion_ledger, ledger_of_class
from fastapi_filestore.orm.ledger.reservations import drop_reservations
from fastapi_filestore.orm.mapped_types import AnyMapper
from fastapi_filestore.orm.sessions import ConnectionUse, await_in_session, run_on_engine, writing_connection
from fastapi_filestore.orm.unit_of_work.journal import Files, Journal, by_location
from fastapi_filestore.orm.unit_of_work.ownership import disown, own
from fastapi_filestore.orm.unit_of_work.read_only import SNAPSHOTS
from fastapi_filestore.orm.unit_of_work.savepoints import note_entered
from fastapi_filestore.orm.unit_of_work.state import current_journal, note_stored, state_of, whole_journal
from fastapi_filestore.orm.unit_of_work.transfer import Claimed, store
from fastapi_filestore.storage.paths import is_once_path, is_upload_path

FilesByClass: TypeAlias = Mapping[AnyMapper, Sequence[FileObject]]
"""Files that rows are to hold, by the classes of these rows."""
Change: TypeAlias = tuple[Sequence[FileObject], Sequence[FileObject]]
"""The files of one place in a row before and after."""


def begin_journal(session: Session) -> Journal:
    """Return the journal of the innermost transaction, beginning one where a flush would."""
    if not session.in_transaction():
        session.begin()
    return current_journal(session)


def store_bytes(session: Session, files: FilesByClass) -> None:
    """Store the pending files that rows are to hold."""
    begin_journal(session)
    claimed = [(file, bound_ledger(session, mapper)) for mapper, of_class in files.items() for file in of_class]
    untaken, is_pending = list[FileObject](), False
    for file, _ in claimed:
        file.refuse_unreadable()
        file.refuse_upload()
        if file.state is FileState.GONE:
            raise PendingContentError(f"{file.filename!r} can't be written to a row: {file.state.value}.")
        is_pending = is_pending or not file.is_checked
        if file.custody.fresh or not file.is_stored:
            untaken.append(file)
    own(session, untaken)
    try:
        if is_pending:
            await_in_session(store(claimed, use=partial(room_beside, session, claimed)))
    finally:
        note_stored(session, [file for file, _ in claimed if file.is_stored])
        disown(session, [file for file, _ in claimed if not (file.is_stored and file.custody.fresh)])


def room_beside(session: Session, claimed: Iterable[Claimed]) -> ConnectionUse:
    """Return where there is room for a transaction of the ledger's own beside the one that a session may be in."""
    if not state_of(session).is_connected:
        return ConnectionUse.FROM_POOL
    # SQLite has one writer: another transaction might wait for this one for ever.
    sqlite = any(access is not None and access.engine.dialect.name == "sqlite" for _, access in claimed)
    return ConnectionUse.FORBIDDEN if sqlite else ConnectionUse.NEW


def settle_intents(session: Session, files: FilesByClass) -> None:
    """Remove the upload intents of files that rows come to hold; `IntentLostError` if a sweeper was faster."""
    for mapper, of_class in files.items():
        settled = whole_journal(session).settled
        claims = Files()
        for file in of_class:
            if file.custody.claim is not None and file.location not in settled:
                claims[file.location] = file
            elif not file.custody.fresh and is_once_path(file.location[1]) and file.location not in settled:
                _settle_adopted(session, mapper, file.location)
        if not claims:
            continue
        access, first = bound_ledger(session, mapper), next(iter(claims.values()))
        if access is None or any(file.custody.claim != access for file in claims.values()):
            raise PendingContentError(
                f"{first.filename!r} was stored for another database, whose ledger would delete it: make a new "
                "FileObject for this one."
            )
        connection = writing_connection(session, mapper)
        if unseen := access.ledger.settle(connection, claims):
            if not _sees_no_commits(connection):
                drop_reservations(access)
                raise IntentLostError(first.filename)
            current_journal(session).owed.update(dict.fromkeys(unseen, access))
        current_journal(session).settled |= claims.keys()


def _settle_adopted(session: Session, mapper: AnyMapper, location: Location) -> None:
    """Remove the upload intent of what a client stored where a row takes it; of what a row holds there is none.

    Whether a sweeper was faster, the ledger is asked when the row is entered.
    """
    if (ledger := ledger_of_class(mapper)) is None:
        return
    connection, journal = writing_connection(session, mapper), current_journal(session)
    if not ledger.settle(connection, [location]):
        # No row held it, as long as there was an intent.
        journal.settled.add(location)
        journal.regained.add(location)
        return
    access = bound_ledger(session, mapper)
    if access is not None and _sees_no_commits(connection):
        known = partial(access.ledger.known, locations=[location])
        if await_in_session(run_on_engine(access.engine, known, ConnectionUse.NEW)):
            journal.owed[location] = access


def _sees_no_commits(connection: Connection) -> bool:
    """Tell whether a transaction sees nothing that was committed since it began, such as the intents of its uploads.

    A snapshot of PostgreSQL's does not. Elsewhere a statement that removes rows sees the newest ones.
    """
    return connection.dialect.name == "postgresql" and connection.get_isolation_level() in SNAPSHOTS


def enter_changes(session: Session, changes: Mapping[AnyMapper, Sequence[Change]]) -> None:
    """Journal what rows come to hold and cease to hold, by their classes, and intend the deletions that follow."""
    entered = list[tuple[AnyMapper, set[Location], Files]]()
    for mapper, of_class in changes.items():
        keeper = keeper_of(session, mapper)
        entered.append((keeper, *_enter_class(session, keeper, of_class)))
    # When all are entered: what moves from a row of one class to one of another is no garbage.
    for keeper, touched, gained in entered:
        _intend_deletions(session, keeper, touched, gained)


def _enter_class(session: Session, mapper: AnyMapper, changes: Sequence[Change]) -> tuple[set[Location], Files]:
    """Journal the changes of one class; return what its rows held or hold, and what they hold that they did not."""
    journal = begin_journal(session)
    note_entered(session, mapper)
    journal.mappers.add(mapper)
    places = [(by_location(before), by_location(after)) for before, after in changes]
    # What the database holds of this transaction's files, and nobody entered, came into a row in a way unknown here.
    whole, unseen = whole_journal(session), Files()
    for held, _ in places:
        for location, file in held.items():
            if (location in whole.fresh or location in whole.regained) and whole.holders(location) <= 0:
                unseen[location] = file
    journal.replace({}, unseen)
    touched, gained = set[Location](), Files()
    for held, holds in places:
        journal.replace(held, holds)
        journal.lost.update(dict.fromkeys(held.keys() - holds, mapper))
        touched |= held.keys() | holds.keys()
        for location, file in holds.items():
            if location not in held:
                gained[location] = file
    # Of what rows have copies of now, where clients stored it, none is held by a row: it goes after the commit.
    for file in gained.values():
        upload = file.promoted_from
        if upload is not None and upload not in journal.files:
            left = FileObject(file.backend, file.filename, path=upload[1], registry=file.registry)
            journal.replace({upload: left}, {})
            touched.add(upload)
    return touched, gained


def _intend_deletions(session: Session, mapper: AnyMapper, touched: set[Location], gained: Files) -> None:
    """Write the deletion intents of what no row holds any more, and refuse to let rows hold what is garbage already."""
    if (access := deletion_ledger(session, mapper)) is None:
        return
    # At once, since a trigger may take the intent back; at the commit again, for other sessions may commit till then.
    ledger, journal, whole = access.ledger, current_journal(session), whole_journal(session)
    connection = writing_connection(session, mapper)
    # A path that was generated is new; one that was given may be of an object that is still to be deleted.
    given = {location for location in gained if location not in whole.fresh or whole.fresh[location].has_own_path}
    strange = given - whole.intended.keys()
    if strange and (known := ledger.known(connection, strange)):
        kept = ledger.take_back(connection, known) if ledger.keep_deleted else set[Location]()
        # What a row lost in this transaction was no garbage before: a trigger took it for some, as it does.
        if stale := known - kept - whole.lost.keys():
            raise StaleFileError(gained[stale.pop()].filename)
        # One that moves was in a row that had come back.
        journal.regained |= {location for location in kept if whole.references[location] > 0}
        whole = whole_journal(session)
    intended, doomed, uploads = set[Location](), set[Location](), set[Location]()
    for location in touched:
        if whole.intended.get(location) is not None:
            intended.add(location)
        if whole.holders(location) <= 0:
            doomed.add(location)
            if is_upload_path(location[1]):
                uploads.add(location)
    # Where clients store by upload URLs, the ledger may know of it already, also if they do it once more later.
    expected = ledger.known(connection, uploads) if uploads else uploads
    # What it owes is in the ledger already, where the transaction can't see it: whoever sweeps that finds no row.
    if new := doomed - intended - whole.owed.keys() - expected:
        # What this transaction stored itself is in no row that could come back.
        kept = new - whole.fresh.keys() - uploads if ledger.keep_deleted else set[Location]()
        ledger.keep(connection, kept)
        ledger.intend(connection, new - kept)
        journal.intended.update(dict.fromkeys(new, access))
    if spared := intended - doomed:
        ledger.forget(connection, spared)
        journal.intended.update(dict.fromkeys(spared))


def settle_ledgers(session: Session) -> None:
    """Bring the ledgers in step, before the commit, with everything that the open transactions of a session did.

    Raises:
        IntentLostError: A sweeper was faster.
    """
    whole = whole_journal(session)
    # Triggers see the row that lost a file, not its new place: what they intended for one that moved is taken back.
    for location, mapper in whole.lost.items():
        if whole.holders(location) <= 0:
            continue
        ledger, connection = ledger_of_class(mapper), writing_connection(session, mapper)
        if ledger is None or not ledger.triggers or not ledger.known(connection, [location]):
            continue
        # A row is asked for, since raw SQL may have taken it out of its new place in the same transaction.
        if places_holding(connection, tables_with_files(ledger.table.metadata), [location]):
            ledger.forget(connection, [location])
    # From now on no row may have what is not to be kept.
    purged = whole.to_purge() if whole.purges or whole.purged else ()
    for location, mapper in whole.lost.items() if purged else ():
        access = whole.intended.get(location)
        if access is not None and access.ledger.keep_deleted and location in purged:
            access.ledger.purge(writing_connection(session, mapper), [location])
    # What the transaction could not settle is kept from sweepers: these intents go when it has ended.
    for access in dict.fromkeys(whole.owed.values()):
        written = whole.files | whole.fresh
        owed = {location: written[location] for location, other in whole.owed.items() if other == access}
        renew = partial(access.ledger.renew, locations=owed)
        if await_in_session(run_on_engine(access.engine, renew, ConnectionUse.NEW)) < len(owed):
            drop_reservations(access)
            raise IntentLostError(next(iter(owed.values())).filename)
