"""Check before a COMMIT that a stored file belongs to one row, and goes with the last place that holds it.

What a transaction generated itself is believed: nobody else knows it. For every other path that a row comes to hold,
and for every path of somebody else's form that one ceases to hold, the rows are asked under the lock that other
transactions take for it, too. The store is asked before, for no lock is held during a store call.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress

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
    BindArguments,
    ConnectionUse,
    await_in_session,
    has_room,
    run_on_engine,
    writing_bind,
    writing_connection,
)
from fastapi_filestore.orm.unit_of_work.entries import settle_ledgers
from fastapi_filestore.orm.unit_of_work.journal import Journal
from fastapi_filestore.orm.unit_of_work.state import current_journal, innermost_transaction, state_of, whole_journal
from fastapi_filestore.orm.unit_of_work.transfer import Intents
from fastapi_filestore.storage.paths import is_generated

Files = Mapping[Location, FileObject]


def settle(session: Session) -> None:
    """Check everything that the open transactions of a session did to files, as if it were to be committed now.

    Raises:
        SharedFileError: A file would be in two places.
        StaleFileError: A row would hold another transaction's garbage.
        IntentLostError: A sweeper took an upload's intent.
    """
    journals = state_of(session).journals
    if not journals:
        return
    if innermost_transaction(session) in journals:
        _settle_sharing(session, whole_journal(session))
    settle_ledgers(session)


def _settle_sharing(session: Session, journal: Journal) -> None:
    """Refuse a file that would be in two places, and spare one that another row holds as well."""
    for location, file in journal.fresh.items():
        if journal.references[location] > 1:
            raise SharedFileError(file.filename)
    # The files that a place comes to hold, none ceases to, and whose paths somebody else may know.
    gained = {
        location: file
        for location, file in journal.files.items()
        if journal.references[location] > 0
        and (location not in journal.fresh or journal.fresh[location].has_own_path)
        and not (location in journal.settled and location in journal.regained)  # as its intent knew, no row had it
    }
    lost = journal.unreferenced_files()
    # SQL that triggers saw may have put files into other rows before they were lost; else chance named the others.
    if lost and not any(
        ledger.misses_copies(writing_bind(session, mapper).dialect)
        for mapper in journal.mappers
        if (ledger := ledger_of_class(mapper)) is not None
    ):
        lost = {location: file for location, file in lost.items() if not is_generated(location[1])}
    if not (gained or lost):
        return
    if gained:
        _refuse_gains(session, journal, gained)
        await_in_session(_refuse_missing(gained.values()))
    connections = {writing_connection(session, mapper): mapper for mapper in journal.mappers}
    for connection, mapper in connections.items():
        lock(connection, [*gained, *lost], table_of(mapper))
    held = _refuse_gains(session, journal, gained, also=lost)
    current_journal(session).spared = set(held)
    for location in held:  # by other rows: its deletion is taken back
        loser = journal.lost.get(location)
        ledger = None if loser is None else ledger_of_class(loser)
        if loser is not None and ledger is not None and (ledger.triggers or journal.intended.get(location) is not None):
            ledger.forget(writing_connection(session, loser), [location])
            current_journal(session).intended[location] = None


async def _refuse_missing(gained: Iterable[FileObject]) -> None:
    """Ask the store for the bytes of files: no lock is held yet."""
    for file in gained:
        try:
            await file.backend_in_use().head(str(file.path))  # one that others have just deleted is no fault
        except (ObjectNotFoundError, InvalidKeyError):
            raise StaleFileError(file.filename) from None


def _refuse_gains(
    session: Session, journal: Journal, gained: Files, *, also: Collection[Location] = ()
) -> set[Location]:
    """Refuse what is another row's, or garbage, as of now; return what rows hold of the others that are asked for."""
    # The tables that may hold a file of the transaction, in whichever database of the session they are.
    own = {mapper.local_table.metadata for mapper in journal.mappers if isinstance(mapper.local_table, Table)}
    databases: dict[Connection, list[Table]] = defaultdict(list)
    for table, arguments, _ in _databases(session, tables_with_files(*own)):
        databases[session.connection(bind_arguments=arguments)].append(table)
    # The rows first, then the ledger, then the store: whoever lets a path go commits its intent with that, and forgets
    # the intent when the object is gone.
    places = Counter[Location]()
    for connection, tables in databases.items():
        places += places_holding(connection, tables, [*gained, *also])
    if shared := next((location for location in gained if places[location] > 1), None):
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


async def condemn_own(session: Session, own: Collection[Location], *, is_inner: bool) -> tuple[set[Location], Intents]:
    """Ask the rows for what a transaction stored at paths of its own, which others may know, when it is rolled back.

    Returns what rows of other transactions hold by now, and the ledgers that keep them from taking the others.
    """
    held, intents = set[Location](), dict[Location, BoundLedger | None]()
    engines: dict[Engine, list[Table]] = defaultdict(list)
    for table, _, bind in _databases(session, tables_with_files()) if own else ():
        if has_room(bind.engine):
            engines[bind.engine].append(table)
    for engine, tables in engines.items():

        def ask(connection: Connection, tables: list[Table] = tables) -> tuple[set[Location], list[Ledger]]:
            # One that goes on may be SQLite's only writer, beside which no ledger is written, or use the path again.
            ledgers = [] if is_inner else ledgers_in(connection, tables)
            return condemn(connection, ledgers, own, lambda: set(places_holding(connection, tables, own))), ledgers

        taken, ledgers = await run_on_engine(engine, ask, ConnectionUse.NEW if is_inner else ConnectionUse.FROM_POOL)
        held |= taken
        intents |= {location: BoundLedger(ledger, engine) for ledger in ledgers for location in own}
    return held, {location: bound for location, bound in intents.items() if location not in held}


def _databases(session: Session, tables: Iterable[Table]) -> Iterator[tuple[Table, BindArguments, Engine | Connection]]:
    """Yield the tables that a session knows a database for, what tells where it writes their rows, and through what."""
    for table in tables:
        arguments: BindArguments = {"mapper": mapper_of_table(table), "clause": update(table)}
        with suppress(UnboundExecutionError):
            yield table, arguments, session.get_bind(**arguments)
