"""The unit of work: bytes are complete before their row is written, and go when no committed row points to them.

It listens to SQLAlchemy's `Session` class, so it works with any session, however and whenever it was made.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, event, inspect
from sqlalchemy.orm import InstanceState, Mapper, Session, SessionTransaction, UOWTransaction

from fastapi_filestore.errors import PendingContentError
from fastapi_filestore.file_object import FileObject, FileState
from fastapi_filestore.orm.bookkeeping import (
    Book,
    close_book,
    current_book,
    enclosing_book,
    is_booked,
    open_book,
)
from fastapi_filestore.orm.bridge import await_in_session
from fastapi_filestore.orm.file_attributes import Held, file_attributes, stored_files
from fastapi_filestore.orm.transfer import discard, store

_BOOKED_DELETES = "fastapi_filestore.booked_deletes"

# -- flush: bytes, then the row ----------------------------------------------------------------------


@event.listens_for(Session, "before_flush")
def _store_before_rows(session: Session, context: UOWTransaction, instances: object) -> None:
    changed, deleted = _changed(session), _deleted(session)
    if not (changed or deleted):
        return
    if not session.in_transaction():
        session.begin()
    book = current_book(session)
    _store(book, [file for held in changed.values() for file in _all(held)])
    old = _in_database(session, [*changed, *deleted])
    for state, new in changed.items():
        replaced = old.get(state, {})
        book.replace([file for name in new for file in replaced.get(name, ())], _all(new))
    for state in deleted:
        book.replace(_all(old.get(state, {})), ())
    session.info[_BOOKED_DELETES] = set(deleted)


def _all(held: Held) -> list[FileObject]:
    return [file for files in held.values() for file in files]


def _changed(session: Session) -> dict[InstanceState[Any], Held]:
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


def _store(book: Book, files: list[FileObject]) -> None:
    book.store(file for file in files if file.is_stored)
    gone = next((file for file in files if file.state is FileState.GONE), None)
    if gone is not None:
        raise PendingContentError(f"{gone.filename!r} can't be written to a row: {gone.state.value}.")
    waiting = [file for file in files if not file.is_stored]
    try:
        if waiting:
            await_in_session(store(waiting))
    finally:
        book.store(file for file in waiting if file.is_stored)


def _in_database(session: Session, states: list[InstanceState[Any]]) -> dict[InstanceState[Any], Held]:
    by_mapper: dict[Mapper[Any], dict[Any, InstanceState[Any]]] = defaultdict(dict)
    for state in states:
        if state.identity is not None:
            by_mapper[state.mapper][tuple(state.identity)] = state
    return {
        rows[identity]: held
        for mapper, rows in by_mapper.items()
        for identity, held in stored_files(session, mapper, list(rows)).items()
    }


@event.listens_for(Mapper, "before_delete")
def _book_cascaded_delete(mapper: Mapper[Any], connection: Connection, row: object) -> None:
    # An orphan found during the flush was not in session.deleted before it.
    state = inspect(row)
    session = state.session
    if session is None or not file_attributes(mapper) or state in session.info.get(_BOOKED_DELETES, ()):
        return
    current_book(session).replace(_all(_in_database(session, [state]).get(state, {})), ())


# -- the end of a transaction: bytes follow rows -------------------------------------------------------


@event.listens_for(Session, "after_commit")
def _mark_committed(session: Session) -> None:
    # Fires for a released savepoint, too: what follows is decided when the transaction ends.
    if book := open_book(session):
        book.committed = True


@event.listens_for(Session, "after_transaction_end")
def _honour_end(session: Session, transaction: SessionTransaction) -> None:
    book = close_book(session, transaction)
    if book is None:
        return
    if book.committed and transaction.nested:
        enclosing_book(session, transaction).absorb(book)
    elif book.committed:
        _drop(book.unreferenced())
        for file in book.kept():
            file.settle()
    else:
        _drop(list(book.fresh.values()))


def _drop(files: list[FileObject]) -> None:
    if files:
        await_in_session(discard(files))
    for file in files:
        file.undo()


def unbooked(session: Session, files: Iterable[FileObject]) -> list[FileObject]:
    """Return the stored files that no transaction of the session will delete if it is rolled back."""
    return [file for file in files if file.fresh and not is_booked(session, file)]
