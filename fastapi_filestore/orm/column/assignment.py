"""Make files of what is given where a file is wanted."""

from collections.abc import Iterable
from inspect import iscoroutinefunction
from typing import Protocol, TypeGuard

from fastapi_filestore.errors import NotAFileError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.names import FALLBACK_NAME
from fastapi_filestore.intake.types.media_types import is_unspecific
from fastapi_filestore.intake.upload import Upload


class UploadLike(Protocol):
    """An upload as FastAPI gives it: named, typed, and read with await."""

    filename: str | None
    content_type: str | None

    async def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        ...

    async def seek(self, offset: int) -> None:
        """Go to a place in the bytes."""
        ...


def as_file(value: object) -> FileObject:
    """Return the file that a value stands for: itself, or a pending one for an upload.

    Raises:
        NotAFileError: It is neither.
    """
    if isinstance(value, FileObject):
        return value
    if isinstance(value, Upload):
        return FileObject(filename=value.filename, content_type=value.known_type, content=value)
    if _is_upload(value):
        declared = None if is_unspecific(value.content_type) else value.content_type
        return FileObject(filename=value.filename or FALLBACK_NAME, content_type=declared, content=value)
    raise NotAFileError(
        f"A file column can't hold a {type(value).__name__}: give it a FileObject (content= takes bytes, a path, "
        "a file or an iterator), an Upload, an UploadFile, or None."
    )


def as_files(value: object) -> list[FileObject]:
    """Return the files that the items of a list or another iterable stand for."""
    if isinstance(value, str | bytes | bytearray | dict | FileObject) or not isinstance(value, Iterable):
        raise NotAFileError(
            f"A column of several files can't hold a {type(value).__name__}: give it a list of FileObjects."
        )
    return [as_file(item) for item in value]


def as_some_files(value: object) -> list[FileObject]:
    """Return the file that a value stands for, or the files of a list or another iterable."""
    is_one = isinstance(value, FileObject | Upload) or _is_upload(value)
    return [as_file(value)] if is_one else as_files(value)


def _is_upload(value: object) -> TypeGuard[UploadLike]:
    return (
        hasattr(value, "filename")
        and hasattr(value, "content_type")
        and iscoroutinefunction(getattr(value, "read", None))
    )
