"""Read what a form of an admin asks for the files of a column: which come, and which go."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from sqlalchemy import inspect
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.orm.column.attributes import FileAttribute, file_attributes
from fastapi_filestore.web.problems import problem_of
from fastapi_filestore.web.serving.downloads import download

LACKING = "Choose a file: this can't be without one."
EVERY_FILE = frozenset({"on", "true"})
"""Values of a ticked box that names no file."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """The change that a form asks for: files to add, and those that go, by id.

    One without either keeps what is there, as a form does whose input was left empty.
    """

    uploads: tuple[UploadFile, ...] = ()
    removed: frozenset[str] = frozenset()
    present: Sequence[Mapping[str, str]] = ()
    """Files of the row, as a page shows them: with `key` and `filename`."""

    @classmethod
    def read(cls, uploads: Iterable[object], removed: Iterable[object]) -> Self:
        """Read it from what came for a column: files, empty ones where none was chosen, and ticked boxes."""
        files = (upload for upload in uploads if isinstance(upload, UploadFile))
        return cls(
            tuple(upload for upload in files if upload.filename or upload.size),
            frozenset(key for key in removed if isinstance(key, str)),
        )

    def __bool__(self) -> bool:
        """Tell whether anything changes."""
        return bool(self.uploads or self.removed)

    def kept(self, files: Sequence[FileObject]) -> list[FileObject]:
        """Return those files of a row that stay in a list."""
        return [] if self.removed & EVERY_FILE else [file for file in files if id_of(file) not in self.removed]

    def value(self, attribute: FileAttribute, kept: Sequence[FileObject]) -> list[FileObject] | FileObject | None:
        """Return what an attribute holds after the change: new files stand behind those of a list, or replace one."""
        files = [*kept, *map(FileObject.of, self.uploads)]
        return files if attribute.type.multiple else files[-1] if files else None


def id_of(file: FileObject) -> str:
    """Return what a page calls a stored file by: it tells neither the backend nor the path."""
    return sha256(f"{file.backend}\0{file.path}".encode()).hexdigest()[:22]


def attributes_of(model: type) -> dict[str, FileAttribute]:
    """Return the attributes of a model that hold files, by name."""
    return {attribute.name: attribute for attribute in file_attributes(inspect(model))}


def files_in(value: object) -> list[FileObject]:
    """Return the files that an attribute holds: none, one or a list of them."""
    return [value] if isinstance(value, FileObject) else [*value] if isinstance(value, list) else []


async def send_file(request: Request, row: object, name: str, key: str) -> Response:
    """Answer with a file of a row, as the router does.

    Raises:
        HTTPException: There is none, 404, or it can't be sent, as `problem_of` says.
    """
    files = files_in(getattr(row, name)) if row is not None and name in attributes_of(type(row)) else []
    found = [file for file in files if id_of(file) == key]
    if not found:
        raise HTTPException(404, "There is no such file.")
    try:
        return await download(request, found[0])
    except FilestoreError as error:
        raise problem_of(error) from error
