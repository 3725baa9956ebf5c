"""Changes that no attribute event tells of: in place, and by what writes to a row's dictionary itself."""

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

from sqlalchemy.orm import InstanceState
from sqlalchemy.orm.attributes import flag_modified

from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.file_attributes import FileAttribute
from fastapi_filestore.orm.stored_object import FileList


def watch_metadata(state: InstanceState[Any], name: str, files: list[FileObject]) -> None:
    """Make a change of the name, type or metadata of these files a change of the row's attribute."""
    for file in files:
        file.metadata.watch((id(state), name), _flagging(state, name))


def watch_loaded(state: InstanceState[Any], attribute: FileAttribute) -> None:
    """Watch what a row was loaded with."""
    value = state.dict[attribute.name]
    if isinstance(value, FileList):
        value.row = ref(state.obj())
    watch_metadata(state, attribute.name, attribute.type.files(value))


def adopt(state: InstanceState[Any], attribute: FileAttribute) -> None:
    """Turn a value that was put into a row as it was given, as SQLModel does, into what the column holds."""
    given = state.dict[attribute.name]
    value = attribute.type.coerce(given)
    if value is not given:
        state.dict[attribute.name] = value
        if isinstance(value, FileList):
            value.belong(state, attribute.name)


def _flagging(state: InstanceState[Any], name: str) -> Callable[[], None]:
    return partial(_flag, ref(state), name)


def _flag(state: "ref[InstanceState[Any]]", name: str) -> None:
    alive = state()
    row = None if alive is None else alive.obj()
    if alive is not None and row is not None and name in alive.dict:
        flag_modified(row, name)
