"""Changes that no attribute event tells of: in place, and by what writes to a row's dictionary itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import ref

from sqlalchemy.orm import InstanceState, Session
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.orm.identity import IdentityMap

from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.file_object.metadata import Metadata, Repeat, unseen
from fastapi_filestore.orm.edits import Edit, files_in, remember
from fastapi_filestore.orm.file_attributes import FileAttribute, file_attributes
from fastapi_filestore.orm.stored_object import FileList

Home: TypeAlias = tuple["ref[Session]", "ref[IdentityMap]"]
"""A session, and the rows that it knows until it is closed; both weakly, for a file may outlive them."""


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
            unseen[id(metadata)] = metadata  # `merge(row, load=False)` may have put it into another row
        for file in files_in(self.state.dict[self.name]):
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
            remember(session, Edit(self.state.key, rows, self.name, self.place, repeat))


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
        if any(id(file.metadata) in unseen for file in files_in(state.dict.get(attribute.name))):
            flag_modified(state.obj(), attribute.name)
    watch_row(state)


def watch_assigned(state: InstanceState[Any], value: object, old: object, initiator: Any) -> None:
    """Watch what a row is given; of a new row that is done when it is written."""
    if isinstance(old, FileList) and old is not value:
        old.let_go()
    if isinstance(value, FileList):
        value.is_held = True
    if state.key is not None and isinstance(value, FileObject | FileList):
        watch_files(state, initiator.key, files_in(value))
        if value is not old and initiator.key in state.dict and initiator.key in state.committed_state:
            # It may be what was loaded, come back after it changed in place: SQLAlchemy would see no difference.
            flag_modified(state.obj(), initiator.key)


def adopt(state: InstanceState[Any], attribute: FileAttribute) -> None:
    """Turn a value that was put into a row as it was given, as SQLModel does, into what the column holds."""
    given = state.dict[attribute.name]
    value = attribute.type.coerce(given)
    if value is not given:
        state.dict[attribute.name] = value
        if isinstance(value, FileList):
            value.belong(state, attribute.name)
