"""A flush: which rows change which files, in memory and in the database."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import Table
from sqlalchemy.orm import InstanceState, Mapper, Session, UOWTransaction
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
from fastapi_filestore.orm.column.table_rows import described
from fastapi_filestore.orm.sessions import writing_bind
from fastapi_filestore.orm.unit_of_work.changes import adopt, watch_files
from fastapi_filestore.orm.unit_of_work.entries import Change, enter_changes, settle_intents, store_files
from fastapi_filestore.orm.unit_of_work.readings import note_written, refuse_stale_lists
from fastapi_filestore.orm.unit_of_work.state import Flush, Rows, note_stored, state_of

Identity = tuple[Any, ...]
Switched = Mapping[InstanceState[Any], InstanceState[Any]]
"""New rows, each with the deleted one whose key and place it has."""

NOTHING_SWITCHED: Switched = MappingProxyType({})


def is_flushing(session: Session) -> bool:
    """Tell whether a flush of a session is under way, from `before_flush` to `after_flush_postexec`."""
    return cast("bool", cast("Any", session)._flushing)  # noqa: SLF001 - there is no other way to know


def forget_flush(session: Session) -> None:
    """Forget what was entered for the last flush of a session, which may have failed."""
    state_of(session).flush = None


def refuse_rows_in_flush(session: Session, mapper: Mapper[Any], identities: Collection[Identity]) -> None:
    """Refuse to let a listener's bulk statement change rows whose changes the flush under way has entered.

    Raises:
        UnsupportedStatementError: One of the rows is changed or deleted by the flush, too.
    """
    flush = state_of(session).flush
    for state in flush.was if flush is not None and is_flushing(session) else ():
        identity = state.identity or state.mapper.primary_key_from_instance(state.obj())
        if state.mapper.base_mapper is mapper.base_mapper and tuple(identity) in identities:
            raise UnsupportedStatementError(
                f"A bulk statement of a listener would change or delete a {state.class_.__name__} that the flush under "
                "way changes or deletes itself, and which of the two comes last is not known: execute it in "
                "before_flush or after_flush, or change the row's attributes there."
            )


def prepare_flush(session: Session, context: UOWTransaction) -> None:
    """Store the files of changed rows, and journal what is replaced and deleted."""
    new = filed(session.new)
    changed = {state: held for state in [*new, *filed(session.dirty)] if (held := _new_files(state))}
    # Of new rows with the keys of deleted ones, SQLAlchemy updates these rows, and writes what is set alone.
    switched = {state: row for state in new if (row := _replaced(session, context, state)) is not None}
    replaced = set(switched.values())
    gone = [state for state in map(instance_state, session.deleted) if has_file_columns(state.mapper)]
    deleted = [state for state in gone if state not in replaced]
    _refuse_twins(session, [*changed, *deleted])
    if changed:
        store_files(session, _by_mapper(changed))
        for state, held in changed.items():
            for attribute, files in held.items():
                watch_files(state, attribute.name, files)
    flush = Flush(context, _in_database(session, [*changed, *deleted], switched), deleted=set(deleted))
    # Rows of several tables may have been added again as one after the other was asked: what is found is locked.
    in_part = [row for row in deleted if row in flush.was and set(file_attributes(row.mapper)) - flush.was[row].keys()]
    flush.was |= _in_database(session, in_part, NOTHING_SWITCHED)
    state_of(session).flush = flush
    refuse_stale_lists(changed, flush.was)
    after = {state: flush.was.get(state, {}) | held for state, held in changed.items()}
    _enter_again(session, flush, after | {state: {} for state in deleted})


def _refuse_twins(session: Session, states: Sequence[InstanceState[Any]]) -> None:
    """Refuse rows of two classes which are one row of a table: which of the two writes last is not known."""
    if len({state.mapper.base_mapper for state in states}) < 2:  # noqa: PLR2004 - two of them
        return
    seen: dict[tuple[object, ...], InstanceState[Any]] = {}
    for state in states:
        for table in state.mapper.tables:
            if not isinstance(table, Table) or state.identity is None:
                continue
            place = writing_bind(session, state.mapper), *described(table), *state.identity
            twin = seen.setdefault(place, state)
            if twin.mapper.base_mapper is not state.mapper.base_mapper:
                raise UnsupportedStatementError(
                    f"A {twin.class_.__name__} and a {state.class_.__name__} are the same row of {table}, and both "
                    "change or go in one flush: change it by one of the two, or flush in between."
                )


def _enter_again(session: Session, flush: Flush, after: Rows) -> None:
    """Journal what rows come to hold, in place of what was entered of them before."""
    changes: list[tuple[InstanceState[Any], Sequence[FileObject], Sequence[FileObject]]] = []
    for state, new in after.items():
        old = flush.holds.get(state, flush.was.get(state, {}))
        changes += [
            (state, old.get(attribute, []), new.get(attribute, []))
            for attribute in old | new
            if old.get(attribute) is not new.get(attribute)
        ]
        flush.holds[state] = new
    _enter(session, changes)


def enter_deleted(session: Session, state: InstanceState[Any]) -> None:
    """Journal a row that nobody knew to be deleted before the flush, as an orphan; look again for one that was gone."""
    flush = _flush_of(session)
    if state not in flush.deleted:
        flush.deleted.add(state)
        if state not in flush.was:
            flush.was |= _in_database(session, [state], NOTHING_SWITCHED)
        _enter_again(session, flush, {state: {}})
    else:
        look_again(session, state)


def look_again(session: Session, state: InstanceState[Any]) -> None:
    """Journal what a row holds that was gone when the flush looked, if another transaction has added it again since.

    This comes just before the row is written. It is gone still, as a rule, and SQLAlchemy tells of that.
    """
    flush = state_of(session).flush
    if flush is None or state in flush.was or state not in flush.holds:
        return
    if all(column.column.table not in state.mapper.tables for column in file_columns(state.mapper)):
        return  # only heirs' tables have a place for a file, and there it was not to be seen
    if held := _in_database(session, [state], NOTHING_SWITCHED).get(state):
        planned = {} if state in flush.deleted else flush.holds[state]
        flush.was[state] = held
        refuse_stale_lists({state: planned}, flush.was)
        replaced = [attribute for attribute in held if state in flush.deleted or attribute in planned]
        _enter(session, [(state, held[attribute], []) for attribute in replaced])
        flush.holds[state] = {} if state in flush.deleted else held | planned


def enter_switched(session: Session, state: InstanceState[Any]) -> None:
    """Journal a new row whose key, another row's, was not known before the flush, and is that of a row it replaces."""
    flush = _flush_of(session)
    replaced = _replaced(session, flush.context, state)
    if replaced is None or state in flush.was:
        return
    if replaced not in flush.was:
        flush.was |= _in_database(session, [replaced], NOTHING_SWITCHED)
    flush.deleted.add(replaced)
    # SQLAlchemy updates the row with what is set alone; whatever was planned for the other one is not written.
    held = flush.was.get(replaced, {})
    _enter_again(session, flush, {replaced: {}, state: held | flush.holds.get(state, {})})
    flush.was[state] = held


def enter_late_changes(session: Session) -> None:
    """Journal what mapper events changed while rows were written; only what a row held then is not known for sure."""
    state = state_of(session)
    flush, state.flush = state.flush or Flush(), None
    late = {
        row: after
        for row in [*filed(session.new), *filed(session.dirty)]
        if row not in flush.deleted and (after := _late_files(flush, row)) is not None
    }
    if late:
        files = _by_mapper(late)
        note_stored(session, [file for some in files.values() for file in some if file.is_stored])
        _refuse_unwritten(session, late)
        for mapper, some in files.items():
            settle_intents(session, mapper, some)
        _enter_again(session, flush, late)
    note_written(session, filed([*session.new, *session.dirty]))


def _late_files(flush: Flush, state: InstanceState[Any]) -> HeldFiles | None:
    """Return what a row holds once it is written, if that is not what was entered."""
    written = _new_files(state)
    if state not in flush.holds:
        # Nobody saw it but the row itself.
        deleted = {attribute: state.attrs[attribute.name].history.deleted for attribute in written}
        flush.was[state] = {
            attribute: attribute.type.held_files(old[0]) if old else [] for attribute, old in deleted.items()
        }
    after, entered = flush.was.get(state, {}) | written, flush.holds.get(state, flush.was.get(state, {}))
    return after if any(_places(after.get(at)) != _places(entered.get(at)) for at in after | entered) else None


def _places(files: Sequence[FileObject] | None) -> list[Location | None]:
    return [None if file.path is None else file.location for file in files or ()]


def _refuse_unwritten(session: Session, late: Rows) -> None:
    """Refuse what a listener changed too late: what the database does not say now, SQLAlchemy forgets.

    It writes neither what is set after its row was written, nor a row that was not to be written when another one was.
    """
    rows: dict[Mapper[Any], dict[Identity, InstanceState[Any]]] = defaultdict(dict)
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


def _flush_of(session: Session) -> Flush:
    state = state_of(session)
    state.flush = state.flush or Flush()
    return state.flush


def _enter(
    session: Session, changes: Sequence[tuple[InstanceState[Any], Sequence[FileObject], Sequence[FileObject]]]
) -> None:
    by_mapper: dict[Mapper[Any], list[Change]] = defaultdict(list)
    for state, before, after in changes:
        by_mapper[state.mapper].append((before, after))
    enter_changes(session, by_mapper)


def filed(rows: Iterable[object]) -> list[InstanceState[Any]]:
    """Return those of some rows whose classes have file columns."""
    return [state for state in map(instance_state, rows) if file_attributes(state.mapper)]


def _new_files(state: InstanceState[Any]) -> HeldFiles:
    for attribute in file_attributes(state.mapper):
        if attribute.name in state.dict:
            adopt(state, attribute)
    return {
        attribute: attribute.files(state.obj())
        for attribute in file_attributes(state.mapper)
        if attribute.name in state.dict and (state.key is None or state.attrs[attribute.name].history.has_changes())
    }


def _replaced(session: Session, context: UOWTransaction | None, state: InstanceState[Any]) -> InstanceState[Any] | None:
    if len(session.identity_map) == 0 or context is None:
        return None
    row = session.identity_map.get(state.mapper.identity_key_from_instance(state.obj()))
    if row is None:
        return None
    # A row that is not deleted may leave its key, and go on under another one.
    is_deleted: bool = cast("Any", context).is_deleted(instance_state(row))
    return instance_state(row) if is_deleted else None


def _by_mapper(changed: Rows) -> dict[Mapper[Any], list[FileObject]]:
    files: dict[Mapper[Any], list[FileObject]] = defaultdict(list)
    for state, held in changed.items():
        files[state.mapper] += [file for some in held.values() for file in some]
    return files


def _in_database(session: Session, states: Sequence[InstanceState[Any]], switched: Switched) -> Rows:
    by_mapper: dict[Mapper[Any], dict[Identity, InstanceState[Any]]] = defaultdict(dict)
    for state in states:
        identity = switched.get(state, state).identity
        if identity is not None:
            by_mapper[state.mapper][tuple(identity)] = state
    found: Rows = {}
    for mapper, rows in by_mapper.items():
        for identity, held in _found(session, mapper, list(rows)):
            found[rows[identity]] = held
    return found


def _found(
    session: Session, mapper: Mapper[Any], identities: Sequence[Identity]
) -> Iterator[tuple[Identity, HeldFiles]]:
    columns = columns_in_database(session, mapper)
    found, asked = stored_files(session, mapper, identities, columns), set(identities)
    yield from ((identity, held) for identity, held in found.items() if identity in asked)
    if found.keys() - asked:
        # The database spells keys its own way: with blanks, in capitals. One at a time, none is taken for another.
        for identity in asked - found.keys():
            yield from ((identity, held) for held in stored_files(session, mapper, [identity], columns).values())
