"""Read a request's body as an `Upload`: a form with files, or a file itself; no further than the first file's head."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from fastapi import Request
from pydantic import BaseModel

from fastapi_filestore.errors import (
    InvalidFieldsError,
    MalformedUploadError,
    MissingFileError,
    UnsupportedUploadError,
    UploadError,
    UploadTooLargeError,
)
from fastapi_filestore.intake.digests import DigestingStream, client_digests
from fastapi_filestore.intake.folders import folder_of
from fastapi_filestore.intake.forms.chunks import REMEDY, chunk_error
from fastapi_filestore.intake.forms.limits import FormLimits
from fastapi_filestore.intake.forms.multipart import FormReader
from fastapi_filestore.intake.forms.part_head import PartHead
from fastapi_filestore.intake.header_parameters import extended_name, plain_name, read_parameters
from fastapi_filestore.intake.nameless import Replaced, name_of_body
from fastapi_filestore.intake.rules import NO_RULES, FileRules
from fastapi_filestore.intake.types.media_types import is_unspecific
from fastapi_filestore.intake.upload import NO_FIELDS, Upload, Uploads
from fastapi_filestore.storage.budget import upload_memory
from fastapi_filestore.storage.content import WORTHWHILE, join_chunks
from fastapi_filestore.web.header_fields import (
    JSON,
    MULTIPART,
    announced_size,
    joined_fields,
    media_type,
    refuse_codings,
)
from fastapi_filestore.web.receiving.bodies import limited_body
from fastapi_filestore.web.receiving.form_fields import is_json_object
from fastapi_filestore.web.receiving.urlencoded import URLENCODED, urlencoded_fields

Validate = Callable[[Mapping[str, str]], BaseModel]

"""A form that can't hold a file; curl and old browsers send it where a file was meant."""

ENVELOPE = (
    '--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="a"\r\n'
    "Content-Type: application/octet-stream\r\n\r\n\r\n--{boundary}--\r\n"
)
"""What is around the one file of a form, at least."""

PATIENCE: Final = 0.1
"""Seconds that the beginning of a form is waited for which is refused: only to say how large its file is."""


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    """Says what a route takes: files by these rules in this field, so much of everything, and right fields.

    `validate` makes values of the fields, or raises; it knows those of the names in `known`, and `switches` are those
    that are true or false. JSON `is_fields`, and no file, where there are any to set. The folder that a client had a
    file in is kept if it `keeps_folders`; a file without a name may have that of the one that is `replaced`.
    """

    field: str
    limits: FormLimits
    validate: Validate | None = None
    rules: FileRules = NO_RULES
    known: frozenset[str] = frozenset()
    is_fields: bool = False
    switches: frozenset[str] = frozenset()
    needs_file: bool = True
    keeps_folders: bool = False
    replaced: Replaced | None = None

    async def admit(self, upload: Upload) -> Upload:
        """Return an upload that is not refused for what is declared of it, or for its first bytes if they matter."""
        if self.rules.content_types or self.rules.validators:
            needs_head = self.rules.needs_head(upload)
            try:
                if not (needs_head and is_unspecific(upload.known_type)):
                    self.rules.check_declared(upload)
                if needs_head:
                    await upload.examine()
            except UploadError as error:
                error.locate(upload.place)
                raise
        return upload


async def receive_upload(request: Request, policy: UploadPolicy) -> Upload:
    """Do what `receive_upload_or_fields` does; a form without a file is a `MissingFileError`."""
    found = await receive_upload_or_fields(request, policy)
    assert isinstance(found, Upload), "its policy needs a file"
    return found


async def receive_upload_or_fields(request: Request, policy: UploadPolicy) -> Upload | Mapping[str, str] | None:
    """Read a request up to its file, and its first bytes if rules judge them; any other body is the file itself.

    Where the policy needs no file, a form without one is its fields, as is no body at all; a body of JSON is None, and
    still to be read.

    Raises:
        UnsupportedUploadError: The body is neither a form nor a file, or compressed, or the file is of another type.
        UploadError: A validator refuses the file.
        MalformedUploadError: It claims to be a form.
        UploadTooLargeError, TooManyFilesError: A limit is passed.
        MissingFileError: The first file is not in the field, or there is none.
        InvalidFieldsError: A body that is no form has none of the fields that are needed.
    """
    declared = media_type(request.headers)
    if declared != MULTIPART:
        if declared == JSON and not policy.needs_file:
            return None
        if not policy.needs_file and (fields := await fields_alone(request, policy)) is not None:
            if not has_no_file(fields, policy.field):
                raise MissingFileError(policy.field, has_text=True)
            return fields
        return await policy.admit(file_as_body(request, policy, declared))
    announced = announced_size(request.headers)
    if announced is not None and announced > policy.limits.body_size and "expect" not in request.headers:
        raise await _too_large_file(request, policy, announced)
    reader = form_reader(request, policy, announced)
    head = await reader.next_file()
    if head is None and "upload-length" in request.headers:  # the chunks would follow in requests of their own
        raise chunk_error(REMEDY)
    if head is None and not policy.needs_file and has_no_file(reader.fields, policy.field):
        return reader.fields
    filename = _filename_in(head, reader, policy.field)
    upload = Upload(
        reader.file_chunks(is_last=True),
        filename=filename,
        content_type=head.content_type if head else None,
        fields=reader.fields,
        validate=policy.validate,
        rules=policy.rules,
        longest=reader.left,
        find_folder=partial(folder_of, filename, reader.fields) if policy.keeps_folders else None,
    )
    return await policy.admit(upload)


async def fields_alone(request: Request, policy: UploadPolicy) -> Mapping[str, str] | None:
    """Read a body that can hold no file: a form of text, or nothing at all; None if it is another one."""
    declared = media_type(request.headers)
    if declared == URLENCODED:
        return await urlencoded_fields(request, policy.limits)
    return NO_FIELDS if not declared and announced_size(request.headers) == 0 else None


def file_as_body(request: Request, policy: UploadPolicy, declared: str) -> Upload:
    """Return the upload of a body that is the file itself."""
    if declared == JSON and policy.is_fields:  # meant for the fields, not for a file
        raise UnsupportedUploadError(declared, [MULTIPART])
    if declared.startswith("multipart/") or declared == URLENCODED:
        expected = [MULTIPART]
        with suppress(InvalidFieldsError):  # a file alone will do where no other field is needed
            if policy.validate is not None:
                policy.validate(NO_FIELDS)
            expected += policy.rules.content_types or ["*/*"]
        alone = " or, of a body that is the file itself, its own Content-Type, such as application/octet-stream"
        raise UnsupportedUploadError(
            declared,
            expected,
            sentence=f"A body with Content-Type: {declared} holds no file that can be read: set the Content-Type: "
            f"{MULTIPART} of a form with the file{alone if len(expected) > 1 else ''}.",
        )
    headers = joined_fields(request.headers)
    refuse_fragments(headers)
    if policy.validate is not None:  # before a gigabyte is read for nothing
        try:
            policy.validate(NO_FIELDS)
        except InvalidFieldsError:
            if not declared:  # whatever it is, it is not what would do
                raise UnsupportedUploadError(declared, [MULTIPART]) from None
            raise
    content_type = request.headers.get("content-type") or None  # whoever says nothing, as curl -T, has bytes
    named = name_in_disposition(request.headers.get("content-disposition", ""))
    filename = named or name_of_body(content_type, policy.replaced)
    return Upload(
        join_chunks(limited_body(request, policy.limits.file_size, pace=policy.limits.pace), WORTHWHILE),
        filename=filename,
        content_type=content_type,
        validate=policy.validate,
        rules=policy.rules,
        digests=client_digests(headers),
        longest=announced_size(request.headers),
        find_folder=partial(folder_of, filename, NO_FIELDS) if policy.keeps_folders else None,
    )


def name_in_disposition(header: str) -> str:
    """Return the name of a body that is a file, if any; `filename*` comes first, not as in a form (RFC 6266, 4.3)."""
    _, parameters = read_parameters(header)
    name = extended_name(parameters.get("filename*", ""))
    return name or plain_name(parameters.get("filename", ""))


def refuse_fragments(headers: Mapping[str, str]) -> None:
    """Refuse a body that is not the file's own bytes, or not all of them."""
    refuse_codings(headers)
    if "content-range" in headers:  # RFC 9110, section 14.5
        raise MalformedUploadError("A part of a file can't be stored: send all of it, without Content-Range.")


async def receive_uploads(request: Request, policy: UploadPolicy) -> Uploads:
    """Read a form file by file, as the answer is iterated; nothing is read before.

    Raises:
        UnsupportedUploadError: The body is no form, or compressed.
        MalformedUploadError: It has no boundary.
    """
    if media_type(request.headers) != MULTIPART:
        raise UnsupportedUploadError(media_type(request.headers), [MULTIPART])
    reader = form_reader(request, policy, announced_size(request.headers), fields={policy.field: policy.limits.files})

    async def read_files() -> AsyncGenerator[Upload, None]:
        head = await reader.next_file()
        while True:
            filename = _filename_in(head, reader, policy.field)
            upload = Upload(
                reader.file_chunks(),
                filename=filename,
                content_type=head.content_type if head else None,
                fields=reader.fields,
                rules=policy.rules,
                place=head.place if head else None,
                # A field would be of no one file.
                find_folder=partial(folder_of, filename, NO_FIELDS) if policy.keeps_folders else None,
            )
            yield await policy.admit(upload)
            head = await reader.next_file()
            if head is None:
                return

    return Uploads(read_files(), fields=reader.fields, validate=policy.validate)


def form_reader(
    request: Request,
    policy: UploadPolicy,
    announced: int | None,
    *,
    fields: Mapping[str, int] | None = None,
) -> FormReader:
    """Return what reads a request's form; one that takes several files has `fields`, and how many each takes."""
    headers = joined_fields(request.headers)
    refuse_codings(headers)
    if "content-range" in headers:
        raise chunk_error(REMEDY)
    limits, digests, memory = policy.limits, client_digests(headers), upload_memory.kept()
    content_type = request.headers["content-type"]
    too_large = partial(_form_too_large, policy, content_type, fields=tuple(fields or ()))
    body = limited_body(request, limits.body_size, pace=limits.pace, memory=memory, too_large=too_large)
    if digests:  # of all that is sent, boundaries and fields included (RFC 9530, section 2)
        body = DigestingStream(body, expected=digests).__aiter__()
    return FormReader(
        body,
        content_type=content_type,
        limits=limits,
        memory=memory,
        announced=announced,
        file_field=None if fields and len(fields) > 1 else policy.field,
        lists=None if fields is None else {name for name, most in fields.items() if most > 1},
        known=policy.known,
        switches=policy.switches,
    )


def has_no_file(fields: Mapping[str, str], field: str) -> bool:
    """Tell whether a form means no file for a field, and no text where a file should be."""
    text = fields.get(field, "")
    return not text or is_json_object(text)


def _filename_in(head: PartHead | None, reader: FormReader, field: str) -> str:
    if head is None or not head.filename:
        raise MissingFileError(field, has_text=field in reader.fields)
    if head.name != field:
        raise MissingFileError(field, found_in=head.name, place=head.place)
    return head.filename


async def _too_large_file(request: Request, policy: UploadPolicy, announced: int) -> UploadTooLargeError:
    """Return the error of a form that is announced to be too long, with the size of its file.

    The beginning of the file is hardly waited for: its size is then told from the form's.
    """
    begun = limited_body(request, sys.maxsize, pace=policy.limits.pace)
    content_type = request.headers["content-type"]
    async with aclosing(begun):
        reader = FormReader(
            begun,
            content_type=content_type,
            limits=policy.limits,
            announced=announced,
            file_field=policy.field,
            known=policy.known,
            switches=policy.switches,
        )
        with suppress(TimeoutError, MalformedUploadError):
            async with asyncio.timeout(PATIENCE):
                head = await reader.next_file()
            if head is not None and reader.left is not None:
                return UploadTooLargeError("file", limit=policy.limits.file_size, actual=reader.left, is_about=True)
    return _form_too_large(policy, content_type, announced, policy.limits.body_size)


def _form_too_large(
    policy: UploadPolicy, content_type: str, size: int | None, limit: int, *, fields: Sequence[str] = ()
) -> UploadTooLargeError:
    """Return the error of a form that is too long as a whole: in terms of the limit that somebody has set."""
    limits = policy.limits
    if size is None:  # boundaries and heads without end: the files were within their limit
        return UploadTooLargeError("form", limit=limit)
    _, parameters = read_parameters(content_type)
    around = len(ENVELOPE.format(boundary=parameters.get("boundary", ""), field=policy.field))
    where = f" in the field{'s' if len(fields) > 1 else ''} {' and '.join(map(repr, fields))}" if fields else ""
    return UploadTooLargeError(
        f"form of files{where}" if fields or limits.files > 1 else "file",
        limit=limits.files * limits.file_size,
        actual=size - around,
        is_about=True,
        field=fields[0] if len(fields) == 1 else None,
    )
