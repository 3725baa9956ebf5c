"""Find changes of files in place before rows are written, also those that no attribute event tells of.

Then nobody held the row any more, or the file came into it by a way that tells nobody.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias
from weakref import ref

from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.orm.attributes import flag_modified, instance_state
from sqlalchemy.orm.identity import IdentityMap

from fastapi_filestore.file_object import FileObject, Location
from fastapi_filestore.file_object.metadata import Metadata, Repeat, unseen
from fastapi_filestore.orm.column.attributes import file_attributes
from fastapi_filestore.orm.column.stored_object import FileList
from fastapi_filestore.orm.mapped_types import RowState
from fastapi_filestore.orm.unit_of_work.state import Edit, SessionState, innermost_transaction, state_of


def files_in(held: object) -> list[FileObject]:
    """Return the files of what an attribute holds: one, several or none."""
    return [file for file in (held if isinstance(held, list) else [held]) if isinstance(file, FileObject)]


def _repeat_edit(session: Session, edit: Edit) -> None:
    """Repeat a change on the row's file, wherever the session has it now; not if it forgot the row meanwhile."""

    def is_changed(file: FileObject) -> bool:
        return file.is_stored and file.location == edit.place

    model, identity, token = edit.row
    edit.applied_in = innermost_transaction(session)
    if edit.rows() is not session.identity_map:
        return
    with session.no_autoflush:
        row = session.get(model, identity, identity_token=token)
        held = None if row is None else getattr(row, edit.name)
    found = [file for file in files_in(held) if is_changed(file)]
    if not found:  # the row has it no more: a row of the session that has it now is meant
        states = map(instance_state, chain(session.new, session.identity_map.values()))
        values = (state.dict.get(attribute.name) for state in states for attribute in file_attributes(state.mapper))
        found = [file for value in values for file in files_in(value) if is_changed(file)]
    for file in found:
        edit.repeat(file)
    if not found:
        edit.applied_in = None


def has_edits(session: Session) -> bool:
    """Tell whether there are changes to be written with the next commit, though no transaction is open."""
    return bool(state_of(session).edits)


def find_edits(session: Session) -> None:
    """Make what changed in files out of sight of their rows a change of these rows, before they are written."""
    edits = state_of(session).edits
    for edit in list(edits):
        if edit.applied_in is not None:
            continue
        known = len(edits)
        _repeat_edit(session, edit)
        del edits[known:]  # what a row that held the file once was told is the same change
    for state in session.identity_map.all_states() if unseen else ():
        for attribute in file_attributes(state.mapper):
            for file in files_in(state.dict.get(attribute.name)):
                if unseen.get(id(file.metadata)) is file.metadata and (row := state.obj()) is not None:
                    del unseen[id(file.metadata)]
                    flag_modified(row, attribute.name)


def hand_edits_over(session: Session) -> None:
    """Give the changes of a savepoint that is being released to the transaction around it."""
    if (released := session.get_nested_transaction()) is not None:
        for edit in state_of(session).edits:
            edit.made_in = released.parent if edit.made_in is released else edit.made_in
            edit.applied_in = released.parent if edit.applied_in is released else edit.applied_in


def end_edits(state: SessionState, ended: SessionTransaction) -> None:
    """Forget what was changed in a transaction that has ended, and repeat later what was written in it alone."""
    if ended.parent is None:
        state.edits = []
    elif edits := state.edits:
        edits[:] = [edit for edit in edits if edit.made_in is not ended]
        for edit in edits:
            edit.applied_in = None if edit.applied_in is ended else edit.applied_in


Home: TypeAlias = tuple["ref[Session]", "ref[IdentityMap]"]
"""A session, and the rows that it knows until it is closed; both weakly, for a file may outlive them."""


@dataclass(slots=True, eq=False)
class FileWatcher:
    """A watcher that makes a change in place of one file a change of a row's attribute."""

    state: RowState
    name: str
    place: Location | None
    home: Home | None

    def __call__(self, metadata: Metadata, repeat: Repeat) -> None:
        """Flag the row's attribute, or remember the change until the row is loaded again."""
        row = self.state.obj()
        if row is None or self.name not in self.state.dict:
            session, rows = (None, None) if self.home is None else (self.home[0](), self.home[1])
            # A session that was closed since knows the row no more.
            if session is None or rows is None or rows() is not session.identity_map:
                return
            if self.state.key is not None and self.place is not None:
                edit = Edit(self.state.key, rows, self.name, self.place, repeat, innermost_transaction(session))
                state_of(session).edits.append(edit)
            return
        if self.state.session is None:
            unseen[id(metadata)] = metadata  # `merge(row, load=False)` may have put it into another row
        for file in files_in(self.state.dict[self.name]):
            if file.metadata is metadata:
                flag_modified(row, self.name)
            elif file.is_stored and file.location == self.place:
                repeat(file)  # the row was loaded again since: this is the same file, as it is now


def watch_files(state: RowState, name: str, files: Iterable[FileObject]) -> None:
    """Make a change of the name, type or metadata of these files a change of the row's attribute."""
    session = state.session
    home = None if session is None else (ref(session), ref(session.identity_map))
    for file in files:
        file.metadata.watch((id(state), name), FileWatcher(state, name, file.destination, home))


def watch_row(state: RowState, context: object = None) -> None:
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


def watch_added(state: RowState) -> None:
    """Watch the files of a row that comes into a session, and see what changed in them while nobody watched."""
    for attribute in file_attributes(state.mapper):
        if any(id(file.metadata) in unseen for file in files_in(state.dict.get(attribute.name))):
            flag_modified(state.obj(), attribute.name)
    watch_row(state)


def watch_assigned(state: RowState, value: object, old: object, initiator: Any) -> None:
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
