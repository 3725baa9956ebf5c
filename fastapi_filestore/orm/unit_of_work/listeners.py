"""The unit of work: bytes are complete before their row is written, and go when no committed row points to them.

It listens to SQLAlchemy's `Session` class, so it works with any session, however and whenever it was made.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Result, event
from sqlalchemy.orm import (
    InstanceState,
    Mapper,
    ORMExecuteState,
    Session,
    SessionTransaction,
    SessionTransactionOrigin,
    UOWTransaction,
)
from sqlalchemy.orm.attributes import instance_state

import fastapi_filestore.orm.holders.path_index  # noqa: F401 - listens to columns and indexes
from fastapi_filestore.errors import UnsupportedStatementError
from fastapi_filestore.orm.column.attributes import file_attributes, has_file_columns, note_mapper
from fastapi_filestore.orm.unit_of_work.changes import (
    end_edits,
    find_edits,
    hand_edits_over,
    watch_added,
    watch_assigned,
    watch_row,
)
from fastapi_filestore.orm.unit_of_work.end import (
    honour_end,
    honour_unended,
    mark_committed,
    watch_commits,
)
from fastapi_filestore.orm.unit_of_work.flush import (
    enter_deleted,
    enter_late_changes,
    enter_switched,
    look_again,
    prepare_flush,
    states_with_files,
)
from fastapi_filestore.orm.unit_of_work.mappings import watch_or_refuse
from fastapi_filestore.orm.unit_of_work.read_only import watch_statements
from fastapi_filestore.orm.unit_of_work.readings import forget_rolled_back, forget_written, note_read
from fastapi_filestore.orm.unit_of_work.savepoints import watch_savepoints
from fastapi_filestore.orm.unit_of_work.session_loops import note_loop
from fastapi_filestore.orm.unit_of_work.sharing import settle, settle_late_changes
from fastapi_filestore.orm.unit_of_work.state import Flush, root_of, state_of
from fastapi_filestore.orm.unit_of_work.statements import track_bulk


@event.listens_for(Session, "after_begin")
def _note_connection(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    state, root = state_of(session), root_of(transaction)
    if transaction is root:
        note_loop(state, connection)
        watch_statements(state, connection)
    honour_unended(session)
    watch_commits(state, root, connection)
    watch_savepoints(session, state, transaction, connection)


@event.listens_for(Session, "before_flush")
def _begin_flush(session: Session, context: UOWTransaction, instances: object) -> None:
    # What is entered for a flush is all that changed; whose row is not written now may never be.
    if instances is not None and states_with_files([*session.new, *session.dirty, *session.deleted]):
        raise UnsupportedStatementError("flush(objects) would write some of the rows that hold files: flush() all.")
    honour_unended(session)
    find_edits(session)
    state = state_of(session)
    state.flush, state.begun = Flush(), context


@event.listens_for(Session, "after_transaction_create")
def _store_before_rows(session: Session, transaction: SessionTransaction) -> None:
    # A flush begins this one when all that listens to its beginning has had its say, and may have changed rows.
    state = state_of(session)
    if transaction.origin is SessionTransactionOrigin.SUBTRANSACTION and (context := state.begun) is not None:
        state.begun = None
        prepare_flush(session, context)


@event.listens_for(Session, "after_flush")
def _check_after_rows(session: Session, context: UOWTransaction) -> None:
    enter_late_changes(session)
    settle_late_changes(session)


@event.listens_for(Mapper, "before_insert")
def _enter_switched_row(mapper: Mapper[Any], connection: Connection, row: object) -> None:
    state = instance_state(row)
    if state.session is not None and file_attributes(mapper):
        enter_switched(state.session, state)


@event.listens_for(Mapper, "before_delete")
def _enter_cascaded_delete(mapper: Mapper[Any], connection: Connection, row: object) -> None:
    # An orphan found during the flush was not in session.deleted before it.
    state = instance_state(row)
    session = state.session
    if session is not None and has_file_columns(mapper):
        enter_deleted(session, state)


@event.listens_for(Mapper, "before_update")
def _look_again(mapper: Mapper[Any], connection: Connection, row: object) -> None:
    state = instance_state(row)
    if state.session is not None and file_attributes(mapper):
        look_again(state.session, state)


@event.listens_for(Session, "do_orm_execute")
def _track_bulk(state: ORMExecuteState) -> Result[Any] | None:
    return track_bulk(state)


@event.listens_for(Mapper, "mapper_configured")
def _watch_rows(mapper: Mapper[Any], class_: type) -> None:
    watch_or_refuse(mapper, class_)
    if file_attributes(mapper):
        note_mapper(mapper)
        for moment in ("load", "refresh"):
            event.listen(class_, moment, _watch_row, raw=True)
        event.listen(class_, "_sa_event_merge_wo_load", _watch_merged, raw=True)  # as SQLAlchemy's own `Mutable` does
        for attribute in file_attributes(mapper):
            event.listen(getattr(class_, attribute.name), "set", watch_assigned, raw=True)


def _watch_row(state: InstanceState[Any], context: object, names: Iterable[str] | None = None) -> None:
    watch_row(state)
    note_read(state, names)


def _watch_merged(state: InstanceState[Any], context: object) -> None:
    watch_row(state)


@event.listens_for(Session, "detached_to_persistent")
def _watch_added(session: Session, row: object) -> None:
    state = instance_state(row)
    if file_attributes(state.mapper):
        watch_added(state)


@event.listens_for(Session, "before_commit")
def _check_sharing(session: Session) -> None:
    find_edits(session)
    # Fires for a savepoint, too, where a file may still be on its way from one row to another.
    if session.get_nested_transaction() is None:
        session.flush()
        settle(session)
        state_of(session).is_committing = True  # what others who listen change till then is settled once more


@event.listens_for(Session, "after_commit")
def _mark_committed(session: Session) -> None:
    if session.get_nested_transaction() is None:
        state_of(session).written = []  # it is in the database now
    hand_edits_over(session)
    mark_committed(session)


@event.listens_for(Session, "after_soft_rollback")
def _forget_rolled_back(session: Session, previous: SessionTransaction) -> None:
    forget_rolled_back(session, state_of(session))


@event.listens_for(Session, "after_transaction_end")
def _honour_end(session: Session, transaction: SessionTransaction) -> None:
    state, is_root = state_of(session), transaction.parent is None
    if is_root:
        state.sent, state.is_committing = None, False
        forget_written(state)
    honour_end(session, transaction)
    end_edits(state, transaction)
    if is_root:
        state.savepoints = None
    if state.commits is not None and state.commits.transaction is transaction:
        state.commits = None  # that of an end which was cut short is remembered beyond the next transaction
