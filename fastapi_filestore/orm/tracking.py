"""Changes in place: of a list of files, and of a file's metadata."""

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

from sqlalchemy.orm import InstanceState
from sqlalchemy.orm.attributes import flag_modified

from fastapi_filestore.file_object import FileObject


def watch_metadata(state: InstanceState[Any], name: str, files: list[FileObject]) -> None:
    """Make a change of the metadata of these files a change of the row's attribute."""
    for file in files:
        file.metadata.watch((id(state), name), _flagging(state, name))


def _flagging(state: InstanceState[Any], name: str) -> Callable[[], None]:
    return partial(_flag, ref(state), name)


def _flag(state: "ref[InstanceState[Any]]", name: str) -> None:
    alive = state()
    row = None if alive is None else alive.obj()
    if alive is not None and row is not None and name in alive.dict:
        flag_modified(row, name)
