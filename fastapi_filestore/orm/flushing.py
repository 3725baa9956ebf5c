"""A flush: which rows change which files, in memory and in the database."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState, Mapper, Session

from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.booking import Change, book_changes, store_files
from fastapi_filestore.orm.file_attributes import Held, file_attributes, stored_files
from fastapi_filestore.orm.tracking import watch_metadata

States = Sequence[InstanceState[Any]]
Rows = dict[InstanceState[Any], Held]


def prepare_flush(session: Session) -> set[InstanceState[Any]]:
    """Store the files of changed rows, book what is replaced and deleted, and return the rows that are deleted."""
    changed, deleted = _changed(session), _deleted(session)
    _watch(changed)
    if changed:
        store_files(session, _by_mapper(changed))
    book_rows(session, changed, deleted)
    return set(deleted)


def book_rows(session: Session, changed: Rows, deleted: States) -> None:
    """Book what rows come to hold and cease to hold; what they held is what the database says, not the memory."""
    changes: dict[Mapper[Any], list[Change]] = defaultdict(list)
    in_database = _in_database(session, [*changed, *deleted])
    for state in [*changed, *deleted]:
        old, new = in_database.get(state, {}), changed.get(state, {})
        changes[state.mapper] += [(old.get(name, []), new.get(name, [])) for name in new or old]
    for mapper, some in changes.items():
        book_changes(session, mapper, some)


def _changed(session: Session) -> Rows:
    changes = {state: _new_files(state) for state in _states(session.new | session.dirty)}
    return {state: held for state, held in changes.items() if held}


def _new_files(state: InstanceState[Any]) -> Held:
    return {
        attribute.name: attribute.files(state.obj())
        for attribute in file_attributes(state.mapper)
        if attribute.name in state.dict and (state.key is None or state.attrs[attribute.name].history.has_changes())
    }


def _deleted(session: Session) -> list[InstanceState[Any]]:
    return [state for state in _states(session.deleted) if file_attributes(state.mapper)]


def _states(rows: Any) -> Iterator[InstanceState[Any]]:
    return (inspect(row) for row in rows)


def _watch(changed: Rows) -> None:
    for state, held in changed.items():
        for name, files in held.items():
            watch_metadata(state, name, files)


def _by_mapper(changed: Rows) -> dict[Mapper[Any], list[FileObject]]:
    files: dict[Mapper[Any], list[FileObject]] = defaultdict(list)
    for state, held in changed.items():
        files[state.mapper] += [file for some in held.values() for file in some]
    return files


def _in_database(session: Session, states: States) -> Rows:
    by_mapper: dict[Mapper[Any], dict[Any, InstanceState[Any]]] = defaultdict(dict)
    for state in states:
        if state.identity is not None:
            by_mapper[state.mapper][tuple(state.identity)] = state
    return {
        rows[identity]: held
        for mapper, rows in by_mapper.items()
        for identity, held in stored_files(session, mapper, list(rows)).items()
    }
