"""The unit of work: bytes are complete before their row is written, and go when no committed row points to them.

It listens to SQLAlchemy's `Session` class, so it works with any session, however and whenever it was made.
"""

from collections.abc import Iterable
from weakref import WeakSet

from sqlalchemy import Connection, Engine, event
from sqlalchemy.orm import Mapper, Session, SessionTransaction, SessionTransactionOrigin, UOWTransaction
from sqlalchemy.orm.attributes import instance_state

import fastapi_filestore.orm.holders.path_index  # noqa: F401 # pyright: ignore[reportUnusedImport] - listens to tables
from fastapi_filestore.errors import UnsupportedStatementError
from fastapi_filestore.events import AUTOCOMMIT
from fastapi_filestore.orm.column.attributes import file_attributes, has_file_columns, note_mapper
from fastapi_filestore.orm.mapped_types import AnyMapper, RowState
from fastapi_filestore.orm.sessions import isolation_of
from fastapi_filestore.orm.unit_of_work.changes import (
    end_edits,
    find_edits,
    hand_edits_over,
    watch_added,
    watch_assigned,
    watch_row,
)
from fastapi_filestore.orm.unit_of_work.end import end_unended, note_commit, note_refusal, on_transaction_end
from fastapi_filestore.orm.unit_of_work.flush import (
    enter_deleted,
    enter_late_changes,
    enter_switched,
    look_again,
    prepare_flush,
    states_with_files,
)
from fastapi_filestore.orm.unit_of_work.mappings import watch_or_refuse
from fastapi_filestore.orm.unit_of_work.read_only import note_statement
from fastapi_filestore.orm.unit_of_work.readings import forget_rolled_back, forget_written, note_read
from fastapi_filestore.orm.unit_of_work.savepoints import note_release, note_rollback, note_savepoint, sessions_over
from fastapi_filestore.orm.unit_of_work.session_loops import note_loop
from fastapi_filestore.orm.unit_of_work.sharing import settle
from fastapi_filestore.orm.unit_of_work.state import Flush, Watch, innermost_transaction, sent_over, state_of
from fastapi_filestore.orm.unit_of_work.statements import track_bulk
from fastapi_filestore.telemetry import COLLECTOR, names

_engines: WeakSet[Engine] = WeakSet()
_without_rollback: WeakSet[Engine] = WeakSet()


@event.listens_for(Session, "after_begin")
def _note_connection(session: Session, transaction: SessionTransaction, connection: Connection) -> None:
    state, engine = state_of(session), connection.engine
    if transaction.parent is None:
        state.is_connected = True
        note_loop(state, connection)
    end_unended(session, state)
    root = transaction
    while root.parent is not None:
        root = root.parent
    if state.watch is None or state.watch.transaction is not root:
        state.watch = Watch(root)
    sent_over[connection] = state.watch.sent
    if transaction.nested:
        state.watch.begun.setdefault(transaction, []).append(connection)
    else:
        state.watch.connections.append(connection)
        sessions_over.setdefault(connection, WeakSet()).add(session)
    if engine not in _engines:
        # From now on, and not as the session commits: whoever owns its connection may, and rows are committed with it.
        _engines.add(engine)
        event.listen(engine, "before_cursor_execute", note_statement)
        event.listen(engine, "commit", note_commit)
        event.listen(engine, "commit_twophase", note_commit)
        event.listen(engine, "handle_error", note_refusal)
        event.listen(engine, "savepoint", note_savepoint)
        event.listen(engine, "rollback_savepoint", note_rollback)
        event.listen(engine, "release_savepoint", note_release)
    # Nothing that is written over such a connection can be rolled back.
    if isolation_of(connection) == "AUTOCOMMIT" and engine not in _without_rollback:
        _without_rollback.add(engine)
        AUTOCOMMIT.tell(engine=repr(engine.url))


@event.listens_for(Session, "before_flush")
def _begin_flush(session: Session, context: UOWTransaction, instances: object) -> None:
    # What is entered for a flush is all that changed; whose row is not written now may never be.
    if instances is not None and states_with_files([*session.new, *session.dirty, *session.deleted]):
        raise UnsupportedStatementError("flush(objects) would write some of the rows that hold files: flush() all.")
    state = state_of(session)
    end_unended(session, state)
    find_edits(session)
    state.flush, state.begun = Flush(), context


@event.listens_for(Session, "after_transaction_create")
def _store_before_rows(session: Session, transaction: SessionTransaction) -> None:
    # A flush begins this one when all that listens to its beginning has had its say, and may have changed rows.
    state = state_of(session)
    if transaction.origin is SessionTransactionOrigin.SUBTRANSACTION and (context := state.begun) is not None:
        state.begun = None
        instruments = COLLECTOR.instruments
        if instruments is None or not states_with_files([*session.new, *session.dirty, *session.deleted]):
            prepare_flush(session, context)
        else:
            with instruments.span(names.FLUSH):
                prepare_flush(session, context)


@event.listens_for(Session, "after_flush")
def _check_after_rows(session: Session, context: UOWTransaction) -> None:
    enter_late_changes(session)
    if state_of(session).is_committing:  # the check before the COMMIT is over
        settle(session)


@event.listens_for(Mapper, "before_insert")
def _enter_switched_row(mapper: AnyMapper, connection: Connection, row: object) -> None:
    state = instance_state(row)
    if state.session is not None and file_attributes(mapper):
        enter_switched(state.session, state)


@event.listens_for(Mapper, "before_delete")
def _enter_cascaded_delete(mapper: AnyMapper, connection: Connection, row: object) -> None:
    # An orphan found during the flush was not in session.deleted before it.
    state = instance_state(row)
    session = state.session
    if session is not None and has_file_columns(mapper):
        enter_deleted(session, state)


@event.listens_for(Mapper, "before_update")
def _look_again(mapper: AnyMapper, connection: Connection, row: object) -> None:
    state = instance_state(row)
    if state.session is not None and file_attributes(mapper):
        look_again(state.session, state)


event.listen(Session, "do_orm_execute", track_bulk)


def _watch_row(state: RowState, context: object, names: Iterable[str] | None = None) -> None:
    watch_row(state)
    note_read(state, names)


@event.listens_for(Mapper, "mapper_configured")
def _watch_rows(mapper: AnyMapper, class_: type) -> None:
    watch_or_refuse(mapper, class_)
    if file_attributes(mapper):
        note_mapper(mapper)
        event.listen(class_, "load", _watch_row, raw=True)
        event.listen(class_, "refresh", _watch_row, raw=True)
        event.listen(class_, "_sa_event_merge_wo_load", watch_row, raw=True)  # as SQLAlchemy's own `Mutable` does
        for attribute in file_attributes(mapper):
            event.listen(getattr(class_, attribute.name), "set", watch_assigned, raw=True)


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
    state = state_of(session)
    if session.get_nested_transaction() is None:
        state.written = []  # it is in the database now
    hand_edits_over(session)
    if journal := state.journals.get(innermost_transaction(session)):
        journal.committed = True  # what follows is decided when the transaction ends


@event.listens_for(Session, "after_soft_rollback")
def _forget_rolled_back(session: Session, previous: SessionTransaction) -> None:
    forget_rolled_back(session, state_of(session))


@event.listens_for(Session, "after_transaction_end")
def _follow_end(session: Session, transaction: SessionTransaction) -> None:
    state = state_of(session)
    if transaction.parent is None:
        state.is_connected = state.is_committing = False
        if state.written:
            forget_written(state)
    on_transaction_end(session, state, transaction)
    end_edits(state, transaction)
    if state.watch is not None and state.watch.transaction is transaction:
        state.watch = None  # that of an end which was cut short is remembered beyond the next transaction
