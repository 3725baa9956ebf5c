"""Changes that no attribute event tells of: in place, and by what writes to a row's dictionary itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakValueDictionary, ref

from sqlalchemy.orm import InstanceState, Session
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.orm.identity import IdentityMap

from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.file_object.metadata import Metadata, Repeat
from fastapi_filestore.orm.file_attributes import FileAttribute, file_attributes
from fastapi_filestore.orm.stored_object import FileList

_EDITS = "fastapi_filestore.edits"
"""What changed in files whose rows are to be loaded for it, in the session's info."""

Home: TypeAlias = tuple["ref[Session]", "ref[IdentityMap]"]
"""A session, and the rows that it knows until it is closed; both weakly, for a file may outlive them."""

_astray: "WeakValueDictionary[int, Metadata]" = WeakValueDictionary()
"""Metadata of files that changed while the rows which were known to hold them were in no session.

`Session.merge(row, load=False)` puts a file into another row, and tells nobody.
"""


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a file whose row, or its attribute, has to be loaded again."""

    row: tuple[Any, ...]
    rows: "ref[IdentityMap]"
    name: str
    place: Location
    repeat: Repeat

    def apply(self, session: Session) -> None:
        """Repeat the change on the row's file, if the row still holds it and was not forgotten by the session."""
        model, identity, token = self.row
        if self.rows() is not session.identity_map:
            return
        with session.no_autoflush:
            row = session.get(model, identity, identity_token=token)
            held = None if row is None else getattr(row, self.name)
        for file in _files_in(held):
            if file.is_stored and file.location == self.place:
                self.repeat(file)


@dataclass(slots=True, eq=False)
class FileWatcher:
    """Makes a change in place of one file a change of a row's attribute."""

    state: InstanceState[Any]
    name: str
    place: Location | None
    home: Home | None

    def __call__(self, metadata: Metadata, repeat: Repeat) -> None:
        """Flag the row's attribute, or remember the change until the row is loaded again."""
        row = self.state.obj()
        if row is None or self.name not in self.state.dict:
            self._remember(repeat)
            return
        if self.state.session is None:
            _astray[id(metadata)] = metadata
        for file in _files_in(self.state.dict[self.name]):
            if file.metadata is metadata:
                flag_modified(row, self.name)
            elif file.is_stored and file.location == self.place:
                repeat(file)  # the row was loaded again since: this is the same file, as it is now

    def _remember(self, repeat: Repeat) -> None:
        if self.home is None or self.state.key is None or self.place is None:
            return
        session, rows = self.home[0](), self.home[1]
        # A session that was closed since knows the row no more.
        if session is not None and rows() is session.identity_map:
            edits: list[Edit] = session.info.setdefault(_EDITS, [])
            edits.append(Edit(self.state.key, rows, self.name, self.place, repeat))


def _files_in(held: Any) -> Iterable[FileObject]:
    return () if held is None else held if isinstance(held, list) else (held,)


def watch_files(state: InstanceState[Any], name: str, files: Iterable[FileObject]) -> None:
    """Make a change of the name, type or metadata of these files a change of the row's attribute."""
    session = state.session
    home = None if session is None else (ref(session), ref(session.identity_map))
    for file in files:
        file.metadata.watch((id(state), name), FileWatcher(state, name, file.destination, home))


def watch_row(state: InstanceState[Any]) -> None:
    """Watch the files that a row holds in memory."""
    for attribute in file_attributes(state.mapper):
        if (value := state.dict.get(attribute.name)) is not None:
            if isinstance(value, FileList):
                value.belong(state, attribute.name)
            files = attribute.type.files(value)
            watch_files(state, attribute.name, files)
            for file in files:
                if file.unreadable is not None and state.key is not None:
                    place = (str(attribute.column.table), str(attribute.column.key), tuple(state.key[1]))
                    file.unreadable.place = place


def watch_added(state: InstanceState[Any]) -> None:
    """Watch the files of a row that comes into a session, and see what changed in them while nobody watched."""
    for attribute in file_attributes(state.mapper):
        if any(file.metadata.is_unseen for file in _files_in(state.dict.get(attribute.name))):
            flag_modified(state.obj(), attribute.name)
    watch_row(state)


def watch_assigned(state: InstanceState[Any], value: object, old: object, initiator: Any) -> None:
    """Watch what a row is given; of a new row that is done when it is written."""
    if isinstance(old, FileList) and old is not value:
        old.let_go()
    if isinstance(value, FileList):
        value.is_held = True
    if state.key is not None and isinstance(value, FileObject | FileList):
        watch_files(state, initiator.key, _files_in(value))


def adopt(state: InstanceState[Any], attribute: FileAttribute) -> None:
    """Turn a value that was put into a row as it was given, as SQLModel does, into what the column holds."""
    given = state.dict[attribute.name]
    value = attribute.type.coerce(given)
    if value is not given:
        state.dict[attribute.name] = value
        if isinstance(value, FileList):
            value.belong(state, attribute.name)


def find_edits(session: Session) -> None:
    """Make what changed in files out of sight of their rows a change of these rows, before they are written."""
    for edit in session.info.pop(_EDITS, ()):
        edit.apply(session)
    if _astray:
        for state in session.identity_map.all_states():
            _flag_astray(state)


def _flag_astray(state: InstanceState[Any]) -> None:
    for attribute in file_attributes(state.mapper):
        for file in _files_in(state.dict.get(attribute.name)):
            if _astray.get(id(file.metadata)) is file.metadata and (row := state.obj()) is not None:
                del _astray[id(file.metadata)]
                flag_modified(row, attribute.name)


def forget_edits(session: Session) -> None:
    """Forget what was changed in a transaction that has ended."""
    session.info.pop(_EDITS, None)
