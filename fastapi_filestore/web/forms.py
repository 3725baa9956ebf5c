"""Fields and files of a request, read after every other dependency has run and never past their limits."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from fastapi_filestore.errors import (
    InvalidFieldsError,
    MalformedUploadError,
    MissingFileError,
    TooManyFilesError,
    UploadTooLargeError,
)
from fastapi_filestore.web.bodies import check_media_type, limited_body

MULTIPART = "multipart/form-data"
JSON = "application/json"
ENVELOPE_BYTES = 64 * 1024
"""Room for boundaries and part headers, beside the file and the fields."""
FILES_PARSED = 2
"""One more than a form may have: enough to tell that there are several, without a spool for each of a thousand."""


@dataclass(frozen=True, slots=True)
class FormLimits:
    """How much a form may hold: bytes of its file, fields beside it, bytes of each field."""

    file_size: int
    fields: int
    field_size: int

    @property
    def fields_size(self) -> int:
        """The bytes of the most and largest fields within the limits."""
        return self.fields * self.field_size + ENVELOPE_BYTES

    @property
    def body_size(self) -> int:
        """The bytes of the largest body within the limits."""
        return self.file_size + self.fields_size


@dataclass(frozen=True, slots=True)
class FileForm:
    """A form's one file and its other fields."""

    file: UploadFile
    fields: dict[str, str]


async def json_body(request: Request, limits: FormLimits) -> bytes:
    """Read fields that come as JSON, unparsed."""
    check_media_type(request.headers, JSON)
    return b"".join([chunk async for chunk in limited_body(request, limits.fields_size)])


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


class _Parser(MultiPartParser):
    """Starlette's parser, which limits files as well as fields and knows whether it saw the form's end."""

    def __init__(self, request: Request, limits: FormLimits) -> None:
        super().__init__(
            request.headers,
            self._whole(limited_body(request, limits.body_size)),
            max_files=FILES_PARSED,
            max_fields=limits.fields,
            max_part_size=limits.field_size,
        )
        self.limits, self.part_size, self.ended = limits, 0, False

    async def _whole(self, body: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        # Raised from the stream, an error lets the parser close its spools.
        async for chunk in body:
            yield chunk
        if not self.ended:
            raise MalformedUploadError("The form ends before its last boundary.")

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self.part_size = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        try:
            super().on_part_data(data, start, end)
        except MultiPartException:  # its only reason here
            raise UploadTooLargeError("field", limit=self.limits.field_size) from None
        self.part_size += end - start
        if self.part_size > max(self.limits.file_size, self.limits.field_size):
            raise UploadTooLargeError("file", limit=self.limits.file_size)

    def on_end(self) -> None:
        self.ended = True


async def _parse(request: Request, limits: FormLimits) -> FormData:
    check_media_type(request.headers, MULTIPART)
    try:
        return await _Parser(request, limits).parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise TooManyFilesError(limit=1, actual=FILES_PARSED + 1) from None
        raise MalformedUploadError(f"The form can't be read: {error.message}") from error
    except UnicodeError as error:  # of a charset that decodes nothing
        raise MalformedUploadError("The form's charset can't be read: leave it out, and send UTF-8.") from error


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
