"""Before a COMMIT: a stored file belongs to one row, and goes with the last place that holds it.

What a transaction generated itself is believed: nobody else knows it. For every other path that a row comes to hold,
and for every path of somebody else's form that one ceases to hold, the rows are asked under the lock that other
transactions take for it, too. The store is asked before, for no lock is held during a store call.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, Table, update
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.orm import Session

from fastapi_filestore.errors import InvalidKeyError, ObjectNotFoundError, SharedFileError, StaleFileError
from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.orm.column.attributes import mapper_of_table
from fastapi_filestore.orm.column.table_rows import table_of
from fastapi_filestore.orm.holders.holders import condemn, ledgers_in, lock, places_holding, tables_with_files
from fastapi_filestore.orm.ledger.ledger import BoundLedger, Ledger, ledger_of_class
from fastapi_filestore.orm.sessions import (
    ConnectionUse,
    await_in_session,
    has_room,
    run_on_engine,
    writing_bind,
    writing_connection,
)
from fastapi_filestore.orm.unit_of_work.entries import settle_ledgers
from fastapi_filestore.orm.unit_of_work.journal import Journal
from fastapi_filestore.orm.unit_of_work.state import current_journal, open_journal, state_of, whole_journal
from fastapi_filestore.storage.paths import is_generated

Files = Mapping[Location, FileObject]
Intents = Mapping[Location, BoundLedger | None]


def settle_sharing(session: Session) -> None:
    """Refuse a file that would be in two places, and spare one that another row holds as well.

    Raises:
        SharedFileError: Another row holds a file that a row comes to hold, or two rows of the transaction would.
        StaleFileError: A file that a row comes to hold is another transaction's garbage.
    """
    if open_journal(session) is None:
        return
    journal = whole_journal(session)
    for at, file in journal.fresh.items():
        if journal.references[at] > 1:
            raise SharedFileError(file.filename)
    # The files that a place comes to hold, none ceases to, and whose paths somebody else may know.
    gained = {
        at: file
        for at, file in journal.files.items()
        if journal.references[at] > 0 and (at not in journal.fresh or journal.fresh[at].has_own_path)
    }
    lost = _lost(session, journal)
    if gained:
        _refuse_gains(session, journal, gained)
        await_in_session(_refuse_missing(gained.values()))
    if gained or lost:
        connections = {writing_connection(session, mapper): mapper for mapper in journal.mappers}
        for connection, mapper in connections.items():
            lock(connection, [*gained, *lost], table_of(mapper))
        held = _refuse_gains(session, journal, gained, also=lost)
        current_journal(session).spared = set(held)
        for at in held:  # by other rows: its deletion is taken back
            loser = journal.lost.get(at)
            ledger = None if loser is None else ledger_of_class(loser)
            if loser is not None and ledger is not None and (ledger.triggers or journal.intended.get(at) is not None):
                ledger.forget(writing_connection(session, loser), [at])
                current_journal(session).intended[at] = None


def _lost(session: Session, journal: Journal) -> Files:
    """Return the files that no place of the transaction holds any more, and others may.

    Chance did not name them, or SQL that triggers saw may have put them into other rows before they were lost.
    """
    lost = journal.unreferenced_files()
    if lost and any(
        (ledger := ledger_of_class(mapper)) is not None and ledger.misses_copies(writing_bind(session, mapper).dialect)
        for mapper in journal.mappers
    ):
        return lost
    return {at: file for at, file in lost.items() if not is_generated(at[1])}


def _refuse_gains(
    session: Session, journal: Journal, gained: Files, *, also: Collection[Location] = ()
) -> set[Location]:
    """Refuse what is another row's, or garbage, as of now; return what rows hold of the others that are asked for."""
    # The rows first, then the ledger, then the store: whoever lets a path go commits its intent with that, and forgets
    # the intent when the object is gone.
    databases, places = _connections(session), Counter[Location]()
    for connection, tables in databases.items():
        places += places_holding(connection, tables, [*gained, *also])
    if shared := next((at for at in gained if places[at] > 1), None):
        raise SharedFileError(gained[shared].filename)
    # What a row of the transaction lost was no garbage before: a trigger took it for some, as it does.
    strange = gained.keys() - journal.intended.keys() - journal.lost.keys()
    written = {writing_connection(session, mapper) for mapper in journal.mappers}
    for connection, tables in databases.items() if strange else ():
        for ledger in ledgers_in(connection, tables):
            known = ledger.known(connection, strange)
            if connection in written and ledger.keep_deleted:
                known -= ledger.take_back(connection, known)  # of another base: that of the row itself was asked before
            if known:
                raise StaleFileError(gained[known.pop()].filename)
    return places.keys() & set(also)


async def _refuse_missing(gained: Iterable[FileObject]) -> None:
    for file in gained:
        try:
            await file.backend_in_use().head(str(file.path))  # one that others have just deleted is no fault
        except (ObjectNotFoundError, InvalidKeyError):
            raise StaleFileError(file.filename) from None


# -- a rollback ------------------------------------------------------------------------------------------


async def condemn_own(session: Session, own: Collection[Location], *, is_inner: bool) -> tuple[set[Location], Intents]:
    """Ask the rows for what a transaction stored at keys of its own, which others may know, when it is rolled back.

    Returns what rows of other transactions hold by now, and the ledgers that keep them from taking the others.
    """
    held, intents = set[Location](), dict[Location, BoundLedger | None]()
    engines: dict[Engine, list[Table]] = defaultdict(list)
    for table, _, bind in _places(session, tables_with_files()) if own else ():
        if has_room(bind.engine):
            engines[bind.engine].append(table)
    for engine, tables in engines.items():
        # One that goes on may be SQLite's only writer, beside which no ledger is written, or use the key again.
        ask = partial(_condemn, tables=tables, locations=own, is_told=not is_inner)
        taken, ledgers = await run_on_engine(engine, ask, ConnectionUse.NEW if is_inner else ConnectionUse.FROM_POOL)
        held |= taken
        intents |= {at: BoundLedger(ledger, engine) for ledger in ledgers for at in own}
    return held, {at: access for at, access in intents.items() if at not in held}


def _condemn(
    connection: Connection, *, tables: Sequence[Table], locations: Collection[Location], is_told: bool
) -> tuple[set[Location], list[Ledger]]:
    ledgers = ledgers_in(connection, tables) if is_told else []
    held = condemn(connection, ledgers, locations, lambda: set(places_holding(connection, tables, locations)))
    return held, ledgers


# -- where to ask ----------------------------------------------------------------------------------------


def _connections(session: Session) -> Mapping[Connection, list[Table]]:
    """Return the tables that may hold a file of the transaction, in whichever database of the session they are."""
    own = {
        mapper.local_table.metadata
        for mapper in whole_journal(session).mappers
        if isinstance(mapper.local_table, Table)
    }
    found: dict[Connection, list[Table]] = defaultdict(list)
    for table, place, _ in _places(session, tables_with_files(*own)):
        found[session.connection(bind_arguments=place)].append(table)
    return found


def _places(session: Session, tables: Iterable[Table]) -> Iterator[tuple[Table, dict[str, Any], Engine | Connection]]:
    """Yield the tables that a session knows a database for, what tells where it writes their rows, and through what."""
    for table in tables:
        place: dict[str, Any] = {"mapper": mapper_of_table(table), "clause": update(table)}
        with suppress(UnboundExecutionError):
            yield table, place, session.get_bind(**place)


def settle(session: Session) -> None:
    """Check everything that the open transactions of a session did to files, as if it were to be committed now.

    Raises:
        SharedFileError: A file would be in two places.
        StaleFileError: A row would hold another transaction's garbage.
        IntentLostError: A sweeper took an upload's intent.
    """
    if not state_of(session).journals:
        return
    settle_sharing(session)
    settle_ledgers(session)


def settle_late_changes(session: Session) -> None:
    """Settle again if the check before the COMMIT is over: nobody else asks after a change that comes so late."""
    if state_of(session).is_committing:
        settle(session)
