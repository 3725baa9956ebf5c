"""Before a flush writes rows: bytes complete, intents settled, and what is replaced read from the database."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState, Mapper, Session

from fastapi_filestore.errors import IntentLostError, PendingContentError
from fastapi_filestore.file_object import FileObject, FileState, Location
from fastapi_filestore.orm.bookkeeping import current_book, whole_book
from fastapi_filestore.orm.bridge import await_in_session
from fastapi_filestore.orm.file_attributes import Held, file_attributes, stored_files
from fastapi_filestore.orm.ledger import access_of
from fastapi_filestore.orm.tracking import watch_metadata
from fastapi_filestore.orm.transfer import Claimed, store

CONNECTED = "fastapi_filestore.connected"
"""Set in a session's info while its transaction has a connection."""

Rows = dict[InstanceState[Any], Held]


def prepare_flush(session: Session) -> set[InstanceState[Any]]:
    """Store the files of changed rows, book what is replaced and deleted, and return the rows that are deleted."""
    changed, deleted = _changed(session), _deleted(session)
    for state, held in changed.items():
        for name, files in held.items():
            watch_metadata(state, name, files)
    if changed or deleted:
        if not session.in_transaction():
            session.begin()
        _store(session, changed)
        _settle_intents(session, changed)
        book_rows(session, changed, deleted)
    return set(deleted)


def book_rows(session: Session, changed: Rows, deleted: Sequence[InstanceState[Any]]) -> None:
    """Book what rows come to hold and cease to hold, as the database has it, and intend the deletions that follow."""
    book, in_database = current_book(session), _in_database(session, [*changed, *deleted])
    touched: dict[Mapper[Any], set[Location]] = defaultdict(set)
    for state in [*changed, *deleted]:
        old, new = in_database.get(state, {}), changed.get(state, {})
        for name in new or old:
            before, after = old.get(name, []), new.get(name, [])
            book.replace(before, after)
            touched[state.mapper].update(file.location for file in [*before, *after])
    for mapper, locations in touched.items():
        _intend_deletions(session, mapper, locations)


# -- what changes ------------------------------------------------------------------------------------


def _changed(session: Session) -> Rows:
    changes = {state: _new_files(state) for state in _states(session.new | session.dirty)}
    return {state: held for state, held in changes.items() if held}


def _new_files(state: InstanceState[Any]) -> Held:
    return {
        attribute.name: attribute.files(state.obj())
        for attribute in file_attributes(state.mapper)
        if attribute.name in state.dict and state.attrs[attribute.name].history.has_changes()
    }


def _deleted(session: Session) -> list[InstanceState[Any]]:
    return [state for state in _states(session.deleted) if file_attributes(state.mapper)]


def _states(rows: Any) -> Iterator[InstanceState[Any]]:
    return (inspect(row) for row in rows)


def all_files(held: Held) -> list[FileObject]:
    """Return the files of all attributes of a row."""
    return [file for files in held.values() for file in files]


# -- bytes first ---------------------------------------------------------------------------------------


def _store(session: Session, changed: Rows) -> None:
    book, claimed = current_book(session), _claimed(session, changed)
    files = [file for file, _ in claimed]
    gone = next((file for file in files if file.state is FileState.GONE), None)
    if gone is not None:
        raise PendingContentError(f"{gone.filename!r} can't be written to a row: {gone.state.value}.")
    try:
        if not all(file.is_stored for file in files):
            await_in_session(store(claimed, reserve=_has_room(session, claimed)))
    finally:
        book.store(file for file in files if file.is_stored)


def _claimed(session: Session, changed: Rows) -> list[Claimed]:
    return [(file, access_of(session, state.mapper)) for state, held in changed.items() for file in all_files(held)]


def _has_room(session: Session, claimed: Iterable[Claimed]) -> bool:
    # SQLite has one writer: once this session has a connection, another transaction might wait for it for ever.
    sqlite = any(access is not None and access.engine.dialect.name == "sqlite" for _, access in claimed)
    return not (sqlite and session.info.get(CONNECTED))


def _settle_intents(session: Session, changed: Rows) -> None:
    book, settled = current_book(session), whole_book(session).settled
    claims: dict[Mapper[Any], dict[Location, FileObject]] = defaultdict(dict)
    for state, held in changed.items():
        unsettled = [file for file in all_files(held) if file.claim is not None and file.location not in settled]
        claims[state.mapper].update((file.location, file) for file in unsettled)
    for mapper, files in claims.items():
        if files:
            _settle(session, mapper, files)
            book.settled |= files.keys()


def _settle(session: Session, mapper: Mapper[Any], files: dict[Location, FileObject]) -> None:
    access = access_of(session, mapper)
    stranger = next((file for file in files.values() if file.claim != access), None)
    if access is None or stranger is not None:
        raise PendingContentError(
            f"{(stranger or next(iter(files.values()))).filename!r} was stored for another database, whose ledger would "
            "delete it: make a new FileObject for this one."
        )
    if not access.ledger.settle(_connection(session, mapper), files):
        raise IntentLostError(next(iter(files.values())).filename)


def _connection(session: Session, mapper: Mapper[Any]) -> Any:
    return session.connection(bind_arguments={"mapper": mapper})


# -- what is replaced ------------------------------------------------------------------------------------


def _in_database(session: Session, states: list[InstanceState[Any]]) -> Rows:
    by_mapper: dict[Mapper[Any], dict[Any, InstanceState[Any]]] = defaultdict(dict)
    for state in states:
        if state.identity is not None:
            by_mapper[state.mapper][tuple(state.identity)] = state
    return {
        rows[identity]: held
        for mapper, rows in by_mapper.items()
        for identity, held in stored_files(session, mapper, list(rows)).items()
    }


def _intend_deletions(session: Session, mapper: Mapper[Any], locations: set[Location]) -> None:
    access = access_of(session, mapper)
    if access is None:
        return
    book, whole = current_book(session), whole_book(session)
    intended = {at for at in locations if whole.intended.get(at) is not None}
    doomed = {at for at in locations if whole.holders(at) <= 0}
    if new := doomed - intended:
        access.ledger.intend(_connection(session, mapper), new)
        book.intended.update(dict.fromkeys(new, access))
    if spared := intended - doomed:
        access.ledger.forget(_connection(session, mapper), spared)
        book.intended.update(dict.fromkeys(spared))
