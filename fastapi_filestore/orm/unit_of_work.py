"""The unit of work: bytes are complete before their row is written, and go when no committed row points to them.

It listens to SQLAlchemy's `Session` class, so it works with any session, however and whenever it was made.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Result, event, inspect
from sqlalchemy.orm import InstanceState, Mapper, ORMExecuteState, Session, SessionTransaction, UOWTransaction

from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.booking import CONNECTED, spare_moved_files
from fastapi_filestore.orm.bookkeeping import is_booked
from fastapi_filestore.orm.bulk import track_bulk
from fastapi_filestore.orm.commits import watch_commits
from fastapi_filestore.orm.ending import honour_end, honour_unended, mark_committed, refuse_shared_files
from fastapi_filestore.orm.file_attributes import file_attributes
from fastapi_filestore.orm.flushing import book_rows, prepare_flush
from fastapi_filestore.orm.tracking import watch_metadata

_DELETED = "fastapi_filestore.deleted"


@event.listens_for(Session, "after_begin")
def _note_connection(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    session.info[CONNECTED] = True
    honour_unended(session)
    watch_commits(session, connection)


@event.listens_for(Session, "before_flush")
def _store_before_rows(session: Session, context: UOWTransaction, instances: object) -> None:
    honour_unended(session)
    session.info[_DELETED] = prepare_flush(session)


@event.listens_for(Mapper, "before_delete")
def _book_cascaded_delete(mapper: Mapper[Any], connection: Connection, row: object) -> None:
    # An orphan found during the flush was not in session.deleted before it.
    state = inspect(row)
    session = state.session
    if session is not None and file_attributes(mapper) and state not in session.info[_DELETED]:
        book_rows(session, {}, [state])


@event.listens_for(Session, "do_orm_execute")
def _track_bulk(state: ORMExecuteState) -> Result[Any] | None:
    return track_bulk(state)


@event.listens_for(Mapper, "mapper_configured")
def _watch_rows(mapper: Mapper[Any], class_: type) -> None:
    if file_attributes(mapper):
        event.listen(class_, "load", _watch_loaded, raw=True)
        event.listen(class_, "refresh", _watch_loaded, raw=True)


def _watch_loaded(state: InstanceState[Any], context: object, names: object = None) -> None:
    for attribute in file_attributes(state.mapper):
        if attribute.name in state.dict:
            watch_metadata(state, attribute.name, attribute.type.files(state.dict[attribute.name]))


@event.listens_for(Session, "before_commit")
def _check_sharing(session: Session) -> None:
    # Fires for a savepoint, too, where a file may still be on its way from one row to another.
    if session.get_nested_transaction() is None:
        refuse_shared_files(session)
        spare_moved_files(session)


@event.listens_for(Session, "after_commit")
def _mark_committed(session: Session) -> None:
    mark_committed(session)


@event.listens_for(Session, "after_transaction_end")
def _honour_end(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(CONNECTED, None)
    honour_end(session, transaction)


def unbooked(session: Session, files: Iterable[FileObject]) -> list[FileObject]:
    """Return the stored files that no transaction of the session will delete if it is rolled back."""
    return [file for file in files if file.fresh and not is_booked(session, file)]
