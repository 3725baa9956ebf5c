"""A multipart form, read after every other dependency has run and never past its limits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from fastapi_filestore.errors import (
    InvalidFieldsError,
    MalformedUploadError,
    MissingFileError,
    TooManyFilesError,
    UnsupportedUploadError,
    UploadTooLargeError,
)
from fastapi_filestore.web.bodies import limited_body

MULTIPART = "multipart/form-data"
ENVELOPE_BYTES = 64 * 1024
"""Room for boundaries and part headers, beside the file and the fields."""


@dataclass(frozen=True, slots=True)
class FormLimits:
    """How much a form may hold: bytes of its file, fields beside it, bytes of each field."""

    file_size: int
    fields: int
    field_size: int

    @property
    def body_size(self) -> int:
        """The bytes of the largest body within the limits."""
        return self.file_size + self.fields * self.field_size + ENVELOPE_BYTES


@dataclass(frozen=True, slots=True)
class FileForm:
    """A form's one file and its other fields."""

    file: UploadFile
    fields: dict[str, str]


@asynccontextmanager
async def file_form(request: Request, *, field: str, limits: FormLimits) -> AsyncIterator[FileForm]:
    """Read a form with one file in the named field; its spool lives as long as the block.

    Raises:
        UnsupportedUploadError: The body is no multipart form.
        MalformedUploadError: It claims to be one.
        UploadTooLargeError, TooManyFilesError: A limit is passed.
        MissingFileError: There is no file in the field.
    """
    form = await _parse(request, limits)
    try:
        yield _checked(form, field=field, limits=limits)
    finally:
        await form.close()


async def _parse(request: Request, limits: FormLimits) -> FormData:
    _check_head(request.headers, limits)
    parser = MultiPartParser(
        request.headers,
        limited_body(request, limits.body_size),
        max_files=2,
        max_fields=limits.fields,
        max_part_size=limits.field_size,
    )
    try:
        return await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise MalformedUploadError(f"The form can't be read: {getattr(error, 'message', error)}") from error


def _check_head(headers: Headers, limits: FormLimits) -> None:
    declared = headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != MULTIPART:
        raise UnsupportedUploadError(declared, [MULTIPART])
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > limits.body_size:
        raise UploadTooLargeError("request body", limit=limits.body_size, actual=int(length))


def _checked(form: FormData, *, field: str, limits: FormLimits) -> FileForm:
    files = [(name, value) for name, value in form.multi_items() if not isinstance(value, str)]
    if len(files) > 1:
        raise TooManyFilesError(limit=1, actual=len(files))
    # A browser sends a file input without a choice as a part without a name.
    if not files or files[0][0] != field or not files[0][1].filename:
        raise MissingFileError(field)
    file = files[0][1]
    if file.size is not None and file.size > limits.file_size:
        raise UploadTooLargeError("file", limit=limits.file_size, actual=file.size)
    return FileForm(file, _fields(form))


def _fields(form: FormData) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            if name in fields:
                raise InvalidFieldsError([{"loc": (name,), "msg": "The field is sent twice", "type": "duplicate"}])
            fields[name] = value
    return fields
