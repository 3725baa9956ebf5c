"""Find out in a flush which rows change which files, in memory and in the database, and enter it in the journal."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias, cast

from sqlalchemy import Table
from sqlalchemy.orm import Session, UOWTransaction
from sqlalchemy.orm.attributes import instance_state

from fastapi_filestore.errors import UnsupportedStatementError
from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.orm.column.attributes import (
    HeldFiles,
    columns_in_database,
    file_attributes,
    file_columns,
    has_file_columns,
    stored_files,
)
from fastapi_filestore.orm.column.stored_object import FileList
from fastapi_filestore.orm.column.table_rows import lock_family, table_identity, table_of
from fastapi_filestore.orm.mapped_types import AnyMapper, RowState
from fastapi_filestore.orm.sessions import writing_bind
from fastapi_filestore.orm.unit_of_work.changes import watch_files
from fastapi_filestore.orm.unit_of_work.entries import Change, enter_changes, settle_intents, store_bytes
from fastapi_filestore.orm.unit_of_work.readings import note_written, refuse_stale_lists
from fastapi_filestore.orm.unit_of_work.state import Flush, Rows, note_stored, state_of

Identity: TypeAlias = tuple[object, ...]
"""The primary key of a row."""
Switched: TypeAlias = Mapping[RowState, RowState]
"""New rows, each with the deleted one whose key and place it has."""


def is_flushing(session: Session) -> bool:
    """Tell whether a flush of a session is under way, from `before_flush` to `after_flush_postexec`."""
    return cast("bool", cast("Any", session)._flushing)  # noqa: SLF001 - there is no other way to know


def refuse_rows_in_flush(session: Session, mapper: AnyMapper, identities: Collection[Identity]) -> None:
    """Refuse to let a listener's bulk statement change rows whose changes the flush under way has entered.

    Raises:
        UnsupportedStatementError: One of the rows is changed or deleted by the flush, too.
    """
    flush = state_of(session).flush
    for state in flush.was if is_flushing(session) else ():
        identity = state.identity or state.mapper.primary_key_from_instance(state.obj())
        if state.mapper.base_mapper is mapper.base_mapper and tuple(identity) in identities:
            raise UnsupportedStatementError(
                f"A bulk statement of a listener would change or delete a {state.class_.__name__} that the flush under "
                "way changes or deletes itself, and which of the two comes last is not known: execute it in "
                "before_flush or after_flush, or change the row's attributes there."
            )


def prepare_flush(session: Session, context: UOWTransaction) -> None:
    """Store the files of changed rows, and journal what is replaced and deleted."""
    new = states_with_files(session.new)
    changed: Rows = {}
    for state in [*new, *states_with_files(session.dirty)]:
        if held := _new_files(state):
            changed[state] = held
    # Of new rows with the keys of deleted ones, SQLAlchemy updates these rows, and writes what is set alone.
    switched: dict[RowState, RowState] = {}
    for state in new:
        if (row := _replaced_row(session, context, state)) is not None:
            switched[state] = row
    replaced, gone = set(switched.values()), map(instance_state, session.deleted)
    deleted = [state for state in gone if state not in replaced and has_file_columns(state.mapper)]
    touched = [*changed, *deleted]
    if len(touched) > 1:
        _refuse_twins(session, touched)
    if changed:
        files = _files_by_class(changed)
        store_bytes(session, files)
        settle_intents(session, files)
        for state, held in changed.items():
            for attribute, held_files in held.items():
                watch_files(state, attribute.name, held_files)
    flush = Flush(context, _in_database(session, touched, switched), deleted=set(deleted))
    if deleted:
        # Rows of several tables may have been added again as one after the other was asked: what is found is locked.
        found = [state for state in deleted if state in flush.was]
        in_part = [state for state in found if set(file_attributes(state.mapper)) - flush.was[state].keys()]
        flush.was |= _in_database(session, in_part)
    state_of(session).flush = flush
    refuse_stale_lists(changed, flush.was)
    after = {state: flush.was.get(state, {}) | held for state, held in changed.items()}
    _enter(session, flush, after | dict.fromkeys(deleted, HeldFiles()))


def _refuse_twins(session: Session, states: Sequence[RowState]) -> None:
    """Refuse rows of two classes which are one row of a table: which of the two writes last is not known."""
    if len({state.mapper.base_mapper for state in states}) < 2:  # noqa: PLR2004 - two of them
        return
    rows: dict[Identity, RowState] = {}
    for state in states:
        for table in state.mapper.tables:
            if not isinstance(table, Table) or state.identity is None:
                continue
            place = writing_bind(session, state.mapper), *table_identity(table), *state.identity
            twin = rows.setdefault(place, state)
            if twin.mapper.base_mapper is not state.mapper.base_mapper:
                raise UnsupportedStatementError(
                    f"A {twin.class_.__name__} and a {state.class_.__name__} are the same row of {table}, and both "
                    "change or go in one flush: change it by one of the two, or flush in between."
                )


def _enter(session: Session, flush: Flush, after: Rows) -> None:
    """Journal what rows come to hold, in place of what was entered of them before."""
    changes: dict[AnyMapper, list[Change]] = defaultdict(list)
    for state, new in after.items():
        old = flush.holds.get(state, flush.was.get(state, {}))
        for attribute in old | new:
            if old.get(attribute) is not new.get(attribute):
                changes[state.mapper].append((old.get(attribute, []), new.get(attribute, [])))
        flush.holds[state] = new
    enter_changes(session, changes)


def enter_deleted(session: Session, state: RowState) -> None:
    """Journal a row that nobody knew to be deleted before the flush, as an orphan; look again for one that was gone."""
    flush = state_of(session).flush
    if state not in flush.deleted:
        flush.deleted.add(state)
        if state not in flush.was:
            flush.was |= _in_database(session, [state])
        _enter(session, flush, {state: {}})
    else:
        look_again(session, state)


def look_again(session: Session, state: RowState) -> None:
    """Journal what a row holds that was gone when the flush looked, if another transaction has added it again since.

    This comes just before the row is written. It is gone still, as a rule, and SQLAlchemy tells of that.
    """
    flush = state_of(session).flush
    if state in flush.was or state not in flush.holds:
        return
    if all(column.column.table not in state.mapper.tables for column in file_columns(state.mapper)):
        return  # only heirs' tables have a place for a file, and there it was not to be seen
    if held := _in_database(session, [state]).get(state):
        planned = {} if state in flush.deleted else flush.holds[state]
        flush.was[state] = held
        refuse_stale_lists({state: planned}, flush.was)
        if replaced := [files for attribute, files in held.items() if state in flush.deleted or attribute in planned]:
            enter_changes(session, {state.mapper: [(files, []) for files in replaced]})
        flush.holds[state] = {} if state in flush.deleted else held | planned


def enter_switched(session: Session, state: RowState) -> None:
    """Journal a new row whose key, another row's, was not known before the flush, and is that of a row it replaces."""
    flush = state_of(session).flush
    replaced = _replaced_row(session, flush.context, state)
    if replaced is None or state in flush.was:
        return
    if replaced not in flush.was:
        flush.was |= _in_database(session, [replaced])
    flush.deleted.add(replaced)
    # SQLAlchemy updates the row with what is set alone; whatever was planned for the other one is not written.
    held = flush.was.get(replaced, {})
    _enter(session, flush, {replaced: {}, state: held | flush.holds.get(state, {})})
    flush.was[state] = held


def enter_late_changes(session: Session) -> None:
    """Journal what mapper events changed while rows were written; only what a row held then is not known for sure."""
    state = state_of(session)
    flush, state.flush = state.flush, Flush()
    rows, late = states_with_files([*session.new, *session.dirty]), Rows()
    for row in rows:
        if row not in flush.deleted and (after := _late_files(flush, row)) is not None:
            late[row] = after
    if late:
        by_class = _files_by_class(late)
        note_stored(session, [file for files in by_class.values() for file in files if file.is_stored])
        _refuse_unwritten(session, late)
        settle_intents(session, by_class)
        _enter(session, flush, late)
    note_written(session, rows)


def _late_files(flush: Flush, state: RowState) -> HeldFiles | None:
    """Return what a row holds once it is written, if that is not what was entered."""
    written = _new_files(state)
    if state not in flush.holds:
        # Nobody saw it but the row itself.
        held = flush.was[state] = {}
        for attribute in written:
            old = state.attrs[attribute.name].history.deleted
            held[attribute] = attribute.type.held_files(old[0]) if old else []
    before = flush.was.get(state, {})
    after, entered = before | written, flush.holds.get(state, before)
    for attribute in after | entered:
        if _places(after.get(attribute)) != _places(entered.get(attribute)):
            return after
    return None


def _places(files: Sequence[FileObject] | None) -> list[Location | None]:
    return [None if file.path is None else file.location for file in files or ()]


def _refuse_unwritten(session: Session, late: Rows) -> None:
    """Refuse what a listener changed too late: what the database does not say now, SQLAlchemy forgets.

    It writes neither what is set after its row was written, nor a row that was not to be written when another one was.
    """
    rows: dict[AnyMapper, dict[Identity, RowState]] = defaultdict(dict)
    for state in late:
        rows[state.mapper][tuple(state.mapper.primary_key_from_instance(state.obj()))] = state
    for mapper, states in rows.items():
        for identity, held in stored_files(session, mapper, list(states), file_attributes(mapper)).items():
            after = late[states[identity]] if identity in states else {}
            for attribute in after.keys() & held.keys():
                if _places(after[attribute]) != _places(held[attribute]):
                    raise UnsupportedStatementError(
                        f"{mapper.class_.__name__}.{attribute.name} was set by a listener when its row was written "
                        "already, or was not to be written, or a trigger changed it: the database has another file. "
                        "Set it in before_flush, or in before_insert or before_update of the row itself."
                    )


def states_with_files(rows: Iterable[object]) -> list[RowState]:
    """Return the states of those rows whose classes have file columns."""
    return [state for state in map(instance_state, rows) if file_attributes(state.mapper)]


def _new_files(state: RowState) -> HeldFiles:
    """Return the files that are to be written into a row."""
    present = [attribute for attribute in file_attributes(state.mapper) if attribute.name in state.dict]
    for attribute in present:
        # SQLModel, for one, puts a value into a row as it was given.
        given = state.dict[attribute.name]
        value = attribute.type.coerce(given)
        if value is not given:
            state.dict[attribute.name] = value
            if isinstance(value, FileList):
                value.belong(state, attribute.name)
    row, held = state.obj(), HeldFiles()
    for attribute in present:
        if state.key is None or state.attrs[attribute.name].history.has_changes():
            held[attribute] = attribute.files(row)
    return held


def _replaced_row(session: Session, context: UOWTransaction | None, state: RowState) -> RowState | None:
    """Return the deleted row whose key and place a new one has, if there is one."""
    if len(session.identity_map) == 0 or context is None:
        return None
    row = session.identity_map.get(state.mapper.identity_key_from_instance(state.obj()))
    if row is None:
        return None
    # A row that is not deleted may leave its key, and go on under another one.
    is_deleted: bool = cast("Any", context).is_deleted(instance_state(row))
    return instance_state(row) if is_deleted else None


def _files_by_class(held: Rows) -> dict[AnyMapper, list[FileObject]]:
    """Return the files of rows by the classes of these rows."""
    by_class: dict[AnyMapper, list[FileObject]] = defaultdict(list)
    for state, of_row in held.items():
        for files in of_row.values():
            by_class[state.mapper] += files
    return by_class


def _in_database(session: Session, states: Sequence[RowState], switched: Switched = MappingProxyType({})) -> Rows:
    """Lock rows and return what they hold in the database; of a new row, what the one holds whose place it takes."""
    by_mapper: dict[AnyMapper, dict[Identity, RowState]] = defaultdict(dict)
    for state in states:
        identity = switched.get(state, state).identity
        if identity is not None:
            by_mapper[state.mapper][tuple(identity)] = state
    held: Rows = {}
    for mapper in by_mapper if len(by_mapper) < 2 else _in_order_of_locks(session, by_mapper):  # noqa: PLR2004
        rows, columns = by_mapper[mapper], columns_in_database(session, mapper)
        found = stored_files(session, mapper, list(rows), columns)
        held |= {rows[identity]: files for identity, files in found.items() if identity in rows}
        if found.keys() - rows.keys():
            # The database spells keys its own way: with blanks, in capitals. One at a time, none is taken for another.
            for identity in rows.keys() - found.keys():
                for files in stored_files(session, mapper, [identity], columns).values():
                    held[rows[identity]] = files
    return held


def _in_order_of_locks(session: Session, rows: Mapping[AnyMapper, Collection[Identity]]) -> Iterator[AnyMapper]:
    """Yield classes of rows in an order that is always the same, whichever the session has its rows in.

    Two transactions that lock rows of two classes would wait for each other else. Of those that inherit from one class,
    the rows in its table are locked together before the first one is yielded, as SQLAlchemy would write them.
    """
    families: dict[str, list[AnyMapper]] = defaultdict(list)
    for mapper in sorted(rows, key=lambda mapper: (mapper.class_.__module__, mapper.class_.__qualname__)):
        families[table_of(mapper).fullname].append(mapper)
    for _, family in sorted(families.items()):
        if len(family) > 1:
            lock_family(session, family[0], [identity for mapper in family for identity in rows[mapper]])
        yield from family
