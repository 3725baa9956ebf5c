"""A flush: which rows change which files, in memory and in the database."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sqlalchemy.orm import InstanceState, Mapper, Session
from sqlalchemy.orm.attributes import instance_state

from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.booking import Change, book_changes, booked, store_files
from fastapi_filestore.orm.file_attributes import FileAttribute, Held, file_attributes, stored_files
from fastapi_filestore.orm.tracking import adopt, watch_metadata

Identity = tuple[Any, ...]
Rows = dict[InstanceState[Any], Held]
Switched = Mapping[InstanceState[Any], InstanceState[Any]]
"""New rows, each with the deleted one whose key and place it has."""

NOTHING_SWITCHED: Switched = MappingProxyType({})
_FLUSH = "fastapi_filestore.flush"


@dataclass(slots=True)
class Flush:
    """What was booked for a flush before it wrote: the rows it deletes, and what the others held and come to hold."""

    deleted: set[InstanceState[Any]] = field(default_factory=set)
    old: Rows = field(default_factory=dict)
    new: Rows = field(default_factory=dict)


def prepare_flush(session: Session) -> None:
    """Store the files of changed rows, and book what is replaced and deleted."""
    new = filed(session.new)
    changed, switched = _changed([*new, *filed(session.dirty)]), _switched(session, new)
    replaced = set(switched.values())
    deleted = [state for state in filed(session.deleted) if state not in replaced]
    _watch(changed)
    if changed:
        store_files(session, _by_mapper(changed))
    old = book_rows(session, changed, deleted, switched)
    session.info[_FLUSH] = Flush(set(deleted), old, changed)


def book_rows(
    session: Session, changed: Rows, deleted: Sequence[InstanceState[Any]], switched: Switched = NOTHING_SWITCHED
) -> Rows:
    """Book what rows come to hold and cease to hold; what they held is what the database says, not the memory."""
    in_database = _in_database(session, [*changed, *deleted], switched)
    changes = [(state, in_database.get(state, {}), changed.get(state, {})) for state in [*changed, *deleted]]
    _book(session, [(state, old.get(at, []), new.get(at, [])) for state, old, new in changes for at in new or old])
    return in_database


def book_deleted(session: Session, state: InstanceState[Any]) -> None:
    """Book a row that nobody knew to be deleted before the flush, as an orphan."""
    if state not in _flush_of(session).deleted:
        book_rows(session, {}, [state])


def book_switched(session: Session, state: InstanceState[Any]) -> None:
    """Book a new row whose key, another row's, was not known before the flush, and is that of a row it replaces."""
    flush = _flush_of(session)
    replaced = _replaced(session, state)
    if replaced is None or state in flush.old:
        return
    held = flush.old.get(replaced) or _in_database(session, [replaced], NOTHING_SWITCHED).get(replaced, {})
    new = flush.new.get(state, {})
    flush.old[state] = held
    if replaced in flush.deleted:
        _book(session, [(state, [], files) for attribute, files in held.items() if attribute not in new])
    else:
        _book(session, [(state, files, []) for attribute, files in held.items() if attribute in new])


def book_late_changes(session: Session) -> None:
    """Book what mapper events changed while rows were written; only what a row held then is not known for sure."""
    flush: Flush = session.info.pop(_FLUSH, None) or Flush()
    late = [
        (state, *change)
        for state in [*filed(session.new), *filed(session.dirty)]
        if state not in flush.deleted
        for change in _late_changes(flush, state)
    ]
    if late:
        booked(session).store(file for _, _, files in late for file in files)
        _book(session, late)


def _flush_of(session: Session) -> Flush:
    flush: Flush = session.info.setdefault(_FLUSH, Flush())
    return flush


def _late_changes(flush: Flush, state: InstanceState[Any]) -> Iterator[Change]:
    planned, written = flush.new.get(state, {}), _new_files(state)
    for attribute in planned | written:
        # What is not written stays as it was; what was not planned was seen by nobody but the row itself.
        before = planned[attribute] if attribute in planned else _files_before(state, attribute)
        after = written[attribute] if attribute in written else flush.old.get(state, {}).get(attribute, [])
        if [file.location for file in before] != [file.location for file in after]:
            yield before, after


def _files_before(state: InstanceState[Any], attribute: FileAttribute) -> list[FileObject]:
    before = state.attrs[attribute.name].history.deleted
    return attribute.type.files(before[0]) if before else []


def _book(
    session: Session, changes: Sequence[tuple[InstanceState[Any], Sequence[FileObject], Sequence[FileObject]]]
) -> None:
    by_mapper: dict[Mapper[Any], list[Change]] = defaultdict(list)
    for state, before, after in changes:
        by_mapper[state.mapper].append((before, after))
    for mapper, some in by_mapper.items():
        book_changes(session, mapper, some)


def filed(rows: Iterable[object]) -> list[InstanceState[Any]]:
    """Return those of some rows whose classes have file columns."""
    return [state for state in map(instance_state, rows) if file_attributes(state.mapper)]


def _changed(states: Iterable[InstanceState[Any]]) -> Rows:
    return {state: held for state in states if (held := _new_files(state))}


def _new_files(state: InstanceState[Any]) -> Held:
    for attribute in file_attributes(state.mapper):
        if attribute.name in state.dict:
            adopt(state, attribute)
    return {
        attribute: attribute.files(state.obj())
        for attribute in file_attributes(state.mapper)
        if attribute.name in state.dict and (state.key is None or state.attrs[attribute.name].history.has_changes())
    }


def _switched(session: Session, new: Iterable[InstanceState[Any]]) -> Switched:
    """Find new rows with the keys of deleted ones: SQLAlchemy updates these rows, and writes what is set alone."""
    return {state: replaced for state in new if (replaced := _replaced(session, state)) is not None}


def _replaced(session: Session, state: InstanceState[Any]) -> InstanceState[Any] | None:
    if len(session.identity_map) == 0:
        return None
    row = session.identity_map.get(state.mapper.identity_key_from_instance(state.obj()))
    return None if row is None else instance_state(row)


def _watch(changed: Rows) -> None:
    for state, held in changed.items():
        for attribute, files in held.items():
            watch_metadata(state, attribute.name, files)


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


def _found(session: Session, mapper: Mapper[Any], identities: Sequence[Identity]) -> Iterator[tuple[Identity, Held]]:
    found, asked = stored_files(session, mapper, identities), set(identities)
    yield from ((identity, held) for identity, held in found.items() if identity in asked)
    if found.keys() - asked:
        # The database spells keys its own way: with blanks, in capitals. One at a time, none is taken for another.
        for identity in asked - found.keys():
            yield from ((identity, held) for held in stored_files(session, mapper, [identity]).values())
