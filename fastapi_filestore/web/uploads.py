"""A request's body as an `Upload`: a form with one file, or the file itself; read no further than the file's head."""

import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from urllib.parse import unquote

from fastapi import Request
from pydantic import BaseModel

from fastapi_filestore.errors import InvalidFieldsError, MalformedUploadError, MissingFileError, UnsupportedUploadError
from fastapi_filestore.intake.digest import NO_DIGESTS
from fastapi_filestore.intake.limits import FormLimits
from fastapi_filestore.intake.multipart import FormReader
from fastapi_filestore.intake.names import FALLBACK_NAME
from fastapi_filestore.intake.part_head import as_text, read_parameters
from fastapi_filestore.intake.upload import NO_FIELDS, Upload
from fastapi_filestore.storage.content import joined
from fastapi_filestore.web.bodies import JSON, MULTIPART, announced_size, limited_body, media_type

Validate = Callable[[Mapping[str, str]], BaseModel]

URLENCODED = "application/x-www-form-urlencoded"
"""A form that can't hold a file; curl and old browsers send it where a file was meant."""

_EXTENDED = re.compile(r"(utf-8|iso-8859-1)'[^']*'(.*)", re.IGNORECASE | re.DOTALL)  # RFC 8187, section 3.2


async def receive_upload(
    request: Request, *, field: str, limits: FormLimits, validate: Validate | None = None
) -> Upload:
    """Read a request up to the head of its file.

    Args:
        request: The request, its body unread.
        field: The form's field that has the file; a body that is no form is the file itself.
        limits: How much it may hold.
        validate: What the fields must be; it raises from the file's stream if they are not.

    Raises:
        UnsupportedUploadError: The body is neither a form nor of a type that a file can have.
        MalformedUploadError: It claims to be a form.
        UploadTooLargeError, TooManyFilesError: A limit is passed.
        MissingFileError: The first file is not in the field, or there is none.
        InvalidFieldsError: A body that is no form has none of the fields that are needed.
    """
    if media_type(request.headers) == MULTIPART:
        return await _from_form(request, field, limits, validate)
    return _from_body(request, limits, validate)


async def _from_form(request: Request, field: str, limits: FormLimits, validate: Validate | None) -> Upload:
    body = limited_body(request, limits.body_size)
    reader = FormReader(body, content_type=request.headers["content-type"], limits=limits)
    head = await reader.next_file()
    if head is None or head.name != field or not head.filename:
        raise MissingFileError(field)
    return Upload(
        _to_the_end(reader),
        filename=head.filename,
        content_type=head.content_type,
        fields=reader.fields,
        validate=validate,
        longest=announced_size(request.headers),
    )


async def _to_the_end(reader: FormReader) -> AsyncGenerator[bytes, None]:
    async with aclosing(reader.file_chunks()) as chunks:
        async for chunk in chunks:
            yield chunk
    await reader.next_file()  # there is none, but there may be fields, and there must be an end


def _from_body(request: Request, limits: FormLimits, validate: Validate | None) -> Upload:
    declared = media_type(request.headers)
    if not declared or declared.startswith("multipart/") or declared == URLENCODED:
        raise UnsupportedUploadError(declared, [MULTIPART])
    _refuse_fragments(request.headers)
    _check_no_fields(declared, validate)
    return Upload(
        joined(limited_body(request, limits.file_size)),
        filename=_filename(request.headers.get("content-disposition", "")),
        content_type=request.headers["content-type"],
        validate=validate,
        digests=NO_DIGESTS,
        longest=announced_size(request.headers),
    )


def _check_no_fields(declared: str, validate: Validate | None) -> None:
    # Before a gigabyte is read for nothing.
    if validate is None:
        return
    try:
        validate(NO_FIELDS)
    except InvalidFieldsError:
        if declared == JSON:  # meant for the fields, not for a file
            raise UnsupportedUploadError(declared, [MULTIPART]) from None
        raise


def _refuse_fragments(headers: Mapping[str, str]) -> None:
    """Refuse a body that is not the file's own bytes, or not all of them."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise UnsupportedUploadError(f"{media_type(headers)}, encoded as {encoding}", ["it without Content-Encoding"])
    if "content-range" in headers:  # RFC 9110, section 14.5
        raise MalformedUploadError("A part of a file can't be stored: send all of it, without Content-Range.")


def _filename(disposition: str) -> str:
    _, parameters = read_parameters(disposition)
    if extended := _EXTENDED.fullmatch(parameters.get("filename*", "")):
        return unquote(extended[2], encoding=extended[1]) or FALLBACK_NAME
    return as_text(parameters.get("filename", "").encode("latin-1")) or FALLBACK_NAME
