"""Remember what lists held when they were read, so that a flush tells whether somebody has changed one since.

A list is changed as a whole: whoever writes one that he read before another transaction's commit would take out what
that one put in. What a list held is noted with its row as it is loaded and as it is written, and with the list itself,
which may travel: into a cache, through pickle, and by `merge` into a row that was loaded later.
"""

from collections.abc import Iterable, Mapping
from functools import cache

from sqlalchemy.orm import Session

from fastapi_filestore.errors import StaleRowError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.file_object.record import to_record
from fastapi_filestore.orm.column.attributes import FileAttribute, HeldFiles, file_attributes
from fastapi_filestore.orm.column.stored_object import FileList, Records
from fastapi_filestore.orm.mapped_types import AnyMapper, RowState
from fastapi_filestore.orm.unit_of_work.state import SessionState, state_of

_READINGS = "fastapi_filestore.readings"
"""What the lists of a row held, by attribute, in the info of its state, which is pickled with the row."""


def note_read(state: RowState, names: Iterable[str] | None = None) -> None:
    """Note what the lists of a row were loaded with; `names` are the attributes that were, all of them if None."""
    if state.key is None:
        return  # a new row that was merged: nothing of it was read
    for attribute in _list_attributes(state.mapper):
        if attribute.name in state.dict and (names is None or attribute.name in names):
            _note(state, attribute, _records(attribute.type.held_files(state.dict[attribute.name])))


def note_locked(state: RowState, attribute: FileAttribute, value: object) -> None:
    """Note what a list is in the database, from where it was read under a lock."""
    _note(state, attribute, _records(attribute.type.held_files(value)))


def forget_read(state: RowState) -> None:
    """Take the lists of a row for ones that nobody has read: they are replaced as a whole."""
    state.info.pop(_READINGS, None)
    for attribute in _list_attributes(state.mapper):
        if isinstance(value := state.dict.get(attribute.name), FileList):
            value.origin = None


def note_written(session: Session, states: Iterable[RowState]) -> None:
    """Note what a flush wrote into the lists of rows: for this session it is what they hold."""
    for state in states:
        for attribute in _list_attributes(state.mapper):
            if attribute.name in state.dict and (
                state.key is None or state.attrs[attribute.name].history.has_changes()
            ):
                _note(state, attribute, _records(attribute.type.held_files(state.dict[attribute.name])))
                state_of(session).written.append(state.dict[attribute.name])


def forget_written(state: SessionState) -> None:
    """Note that what a transaction wrote, and did not commit, is not in the database."""
    for value in state.written:
        if isinstance(value, FileList):
            value.origin = None
    state.written = []


def forget_rolled_back(session: Session, state: SessionState) -> None:
    """Forget what rows held that are to be loaded again after a rollback."""
    forget_written(state)
    for row in session.identity_map.all_states():
        if _list_attributes(row.mapper) and (readings := row.info.get(_READINGS)):
            row.info[_READINGS] = {name: held for name, held in readings.items() if name in row.dict}


def refuse_stale_lists(changed: Mapping[RowState, HeldFiles], in_database: Mapping[RowState, HeldFiles]) -> None:
    """Raise `StaleRowError` if a list that is to be written isn't any more what it was when it was read."""
    for state, held in changed.items():
        now = {} if state.key is None else in_database.get(state, {})
        for attribute in held.keys() & now.keys():
            if not attribute.type.multiple:
                continue
            before: Records | None = state.info.get(_READINGS, {}).get(attribute.name)  # None if it never was read
            value = state.dict.get(attribute.name)
            if isinstance(value, FileList) and value.origin == (state.key, attribute.name):
                before = value.records  # it may have been merged into the row, which was loaded later
            if before is not None and before != _records(now[attribute]):
                raise StaleRowError(state.class_.__name__)


@cache
def _list_attributes(mapper: AnyMapper) -> tuple[FileAttribute, ...]:
    return tuple(attribute for attribute in file_attributes(mapper) if attribute.type.multiple)


def _note(state: RowState, attribute: FileAttribute, records: Records) -> None:
    state.info[_READINGS] = {**state.info.get(_READINGS, {}), attribute.name: records}
    value = state.dict.get(attribute.name)
    if isinstance(value, FileList):
        key = state.key or state.mapper.identity_key_from_instance(state.obj())
        value.records, value.origin = records, (key, attribute.name)


def _records(files: Iterable[FileObject]) -> Records:
    return [to_record(file) for file in files]
