"""Make files of what is given where a file is wanted."""

from collections.abc import Iterable

from fastapi_filestore.errors import NotAFileError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.upload import Upload, is_upload


def as_files(value: object) -> list[FileObject]:
    """Return the files that the items of a list or another iterable stand for."""
    if isinstance(value, str | bytes | bytearray | dict | FileObject) or not isinstance(value, Iterable):
        raise NotAFileError(
            f"A column of several files can't hold a {type(value).__name__}: give it a list of FileObjects."
        )
    return [FileObject.of(item) for item in value]


def as_some_files(value: object) -> list[FileObject]:
    """Return the file that a value stands for, or the files of a list or another iterable."""
    is_one = isinstance(value, FileObject | Upload) or is_upload(value)
    return [FileObject.of(value)] if is_one else as_files(value)
