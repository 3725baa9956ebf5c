"""Read a form whose files come in several fields, each for a column of its own."""

from collections import Counter
from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from fastapi import Request

from fastapi_filestore.errors import FilePlace, MissingFileError, TooManyFilesError
from fastapi_filestore.intake.folders import folder_of
from fastapi_filestore.intake.forms.multipart import FormReader
from fastapi_filestore.intake.forms.part_head import PartHead
from fastapi_filestore.intake.rules import FileRules
from fastapi_filestore.intake.upload import NO_FIELDS, Upload, Uploads
from fastapi_filestore.web.header_fields import MULTIPART, announced_size, media_type
from fastapi_filestore.web.receiving.uploads import UploadPolicy, fields_alone, file_as_body, form_reader, has_no_file

FILES_AT_ONCE: Final = 100
"""Files of a list in one form, where its column sets no limit to them."""


@dataclass(frozen=True, slots=True)
class FileField:
    """A field of a form that takes files: by these rules, so many at most, and one at least if it `is_needed`."""

    rules: FileRules
    most: int = 1
    is_needed: bool = False


async def receive_form(request: Request, policy: UploadPolicy, fields: Mapping[str, FileField]) -> Uploads:
    """Return the files of a request, which say by `field` what they are for; nothing is read before they are iterated.

    A body that is no form is the file of the policy's field.

    Raises:
        UnsupportedUploadError: The body is neither a form nor a file, or compressed.
        MalformedUploadError: It has no boundary.
        MissingFileError: It is no form, and another field needs a file.
        InvalidFieldsError: It is no form, and a field is needed.
    """
    declared = media_type(request.headers)
    if declared == MULTIPART:
        most = {name: field.most for name, field in fields.items()}
        reader = form_reader(request, policy, announced_size(request.headers), fields=most)
        return Uploads(_files_in(reader, policy, fields), fields=reader.fields, validate=policy.validate)
    if not any(field.is_needed for field in fields.values()) or not declared:
        texts = await fields_alone(request, policy)
        if texts is not None:
            _require_files(fields, (), texts)
            return Uploads(_no_files(), fields=texts, validate=policy.validate)
    upload = file_as_body(request, policy, declared)
    upload.field = policy.field
    upload.place = FilePlace(policy.field, upload.filename, 0 if fields[policy.field].most > 1 else None)
    _require_files(fields, {policy.field}, NO_FIELDS)
    await policy.admit(upload)

    async def the_file() -> AsyncGenerator[Upload, None]:
        yield upload

    return Uploads(the_file(), fields=NO_FIELDS, validate=policy.validate)


async def _no_files() -> AsyncGenerator[Upload, None]:
    for upload in list[Upload]():
        yield upload


async def _files_in(
    reader: FormReader, policy: UploadPolicy, fields: Mapping[str, FileField]
) -> AsyncGenerator[Upload, None]:
    counts = Counter[str]()
    while (head := await reader.next_file()) is not None:
        field = fields.get(head.name)
        if field is None:
            raise MissingFileError(*fields, found_in=head.name, place=head.place)
        counts[head.name] += 1
        if counts[head.name] > field.most:
            raise TooManyFilesError(limit=field.most, actual=counts[head.name], field=head.name, place=head.place)
        yield await replace(policy, rules=field.rules).admit(
            _upload(head, reader, field, keeps_folders=policy.keeps_folders)
        )
    _require_files(fields, counts.keys(), reader.fields)


def _upload(head: PartHead, reader: FormReader, field: FileField, *, keeps_folders: bool) -> Upload:
    chunks, filename = reader.file_chunks(), head.filename or ""
    return Upload(
        chunks if field.rules.max_size is None else field.rules.limit_chunks(chunks),
        filename=filename,
        content_type=head.content_type,
        fields=reader.fields,
        rules=field.rules,
        field=head.name,
        place=head.place,
        # A field would be of no one file.
        find_folder=partial(folder_of, filename, NO_FIELDS) if keeps_folders else None,
    )


def _require_files(fields: Mapping[str, FileField], found: Collection[str], texts: Mapping[str, str]) -> None:
    """Raise `MissingFileError` for a field that has text in the place of a file, or that lacks the one it needs."""
    for name, field in fields.items():
        if name not in found and (field.is_needed or not has_no_file(texts, name)):
            raise MissingFileError(name, has_text=bool(texts.get(name)))
