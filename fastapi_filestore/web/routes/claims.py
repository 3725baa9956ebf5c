"""Let rows take uploads by their ids, in the place of files that come with the request."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final
from urllib.parse import unquote

from fastapi import Depends, Request
from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError, create_model
from pydantic_core import PydanticCustomError, from_json
from sqlalchemy import inspect
from starlette.types import Message

from fastapi_filestore.errors import (
    ConfigurationError,
    InvalidFieldsError,
    MissingFileError,
    RowNotFoundError,
    TooManyFilesError,
    UnsupportedUploadError,
    UploadClaimedError,
)
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.forms.limits import FormLimits
from fastapi_filestore.intake.upload import Upload
from fastapi_filestore.orm.column.python_types import python_type
from fastapi_filestore.orm.uploads.tables import UploadTables
from fastapi_filestore.service import FileService
from fastapi_filestore.storage.prefixes import NOTHING_KNOWN, Values
from fastapi_filestore.uploads.claims import Claim, take
from fastapi_filestore.uploads.completion import complete_beside
from fastapi_filestore.uploads.open_uploads import OpenUploads
from fastapi_filestore.uploads.options import UploadOptions
from fastapi_filestore.uploads.placing import placing
from fastapi_filestore.uploads.targets import Target
from fastapi_filestore.web.header_fields import JSON, announced_size, joined_fields, media_type, refuse_codings
from fastapi_filestore.web.receiving.bodies import UNLIMITED, limited_body
from fastapi_filestore.web.receiving.several_fields import FileField, receive_form
from fastapi_filestore.web.receiving.uploads import (
    UploadPolicy,
    file_as_body,
    receive_upload,
    receive_upload_or_fields,
)

UPLOAD: Final = "upload"
"""The field of a form, or of JSON, that names the uploads of a new row."""
MOST: Final = 100
"""Uploads that one request may name."""
LONGEST_CLAIM: Final = 16 * 1024
"""Bytes of JSON that may name uploads: what is longer is a file."""
OWNER: Final = "fastapi_filestore.owner"
"""Has whose uploads are a request's own, in its scope."""
ID: Final = "[A-Za-z0-9_-]{22,64}"


def _split(value: object) -> object:
    """Return the ids of a field: a form has them with commas between, JSON one or a list."""
    if not isinstance(value, str | list):
        raise PydanticCustomError("no_id", "Name an upload by its id, which is a string, or several by a list of ids")
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


Ids = Annotated[
    list[Annotated[str, Field(pattern=f"^{ID}$")]],
    BeforeValidator(_split, json_schema_input_type=str | list[str]),
    Field(max_length=MOST, description="Ids of uploads whose files the row takes."),
]


_IDS = TypeAdapter[list[str]](Ids)


def with_uploads(schema: type[BaseModel]) -> type[BaseModel]:
    """Return the fields of a new row, with the ids of the uploads that it takes.

    Raises:
        ConfigurationError: There is a field of that name already.
    """
    if UPLOAD in schema.model_fields:
        raise ConfigurationError(
            f"{schema.__name__}.{UPLOAD} is the field that names uploads, with uploads= of files.router: call your own "
            "field, or its column, otherwise."
        )
    extended: type[BaseModel] = create_model(schema.__name__, __base__=schema, upload=(Ids, Field(default=[])))
    return extended


@dataclass(frozen=True, slots=True)
class RouterUploads:
    """The uploads of one router: where they are kept, what for, and how many."""

    tables: UploadTables
    options: UploadOptions
    targets: Mapping[str, Target]
    limits: Callable[[], FormLimits]

    @property
    def dependencies(self) -> Sequence[Any]:
        """The dependencies of routes that work with uploads: they note whose a request's own are."""
        if self.options.owner is None:
            return []

        async def note_owner(request: Request, owner: Annotated[Any, Depends(self.options.owner)]) -> None:
            request.scope[OWNER] = owner

        return [Depends(note_owner)]

    def field(self, name: str | None, *, default: str) -> str:
        """Return the column that a client names for an upload; `InvalidFieldsError` if there is none of that name."""
        if name is None:
            return default
        if name not in self.targets:
            message = f"There is no such column of files here; there is {', '.join(self.targets)}"
            raise InvalidFieldsError([{"loc": ("field",), "msg": message, "type": "no_column"}])
        return name

    def largest(self, *fields: str) -> int:
        """Return the most bytes that an upload for one of some columns may have, or for any of all."""
        most = self.limits().file_size
        sizes = (self.targets[field].most_bytes for field in fields or self.targets)
        return max(most if size is None else min(size, most) for size in sizes)

    def of(self, request: Request, service: FileService[Any], *, field: str | None = None) -> OpenUploads:
        """Return the uploads that are a request's own, or those of them that are for one column."""
        most = self.limits().file_size
        targets = {
            name: replace(target, rules=target.rules.with_max_size(most))
            for name, target in self.targets.items()
            if field in {None, name}
        }
        owner = self.options.owner_of(request.scope.get(OWNER), service.defaults)
        return OpenUploads(service, self.tables, targets, limits=self.options.limits(), owner=owner)


@dataclass(frozen=True, slots=True)
class Arrived:
    """What a request brings for a column: files that are stored, and uploads that it names."""

    files: Sequence[FileObject] = ()
    named: "NamedUploads | None" = None

    async def taken(self, location: str) -> Sequence[FileObject]:
        """Return the files for the row at a URL path, which this transaction writes: no upload has them any more."""
        if self.named is None:
            return self.files
        claim = await self.named.take()
        await claim.note_row(location)
        return [*self.files, *(file for files in claim.files.values() for file in files)]


@dataclass(frozen=True, slots=True)
class NamedUploads:
    """The uploads that a request names, which are complete; a row takes them in the transaction that writes it."""

    uploads: OpenUploads
    identities: Sequence[str]
    placed: Mapping[str, FileObject] = field(default_factory=dict[str, FileObject])

    @asynccontextmanager
    async def placing(
        self, *, identity: object = None, values: Values = NOTHING_KNOWN
    ) -> AsyncIterator["NamedUploads"]:
        """Let those that a column wants in the folder of the row lie there while the block writes it."""
        async with placing(self.uploads, self.identities, identity=identity, values=values) as placed:
            yield replace(self, placed=placed)

    async def take(self) -> Claim:
        """Take their files for the row that is written in this transaction."""
        async with finding_rows(self.uploads.service):
            return await take(self.uploads, self.identities, placed=self.placed)


async def named_uploads(uploads: OpenUploads, identities: Sequence[str]) -> NamedUploads:
    """Judge the uploads that a request names, and make them whole; nothing is taken yet.

    Raises:
        InvalidFieldsError: One is named twice.
        UploadNotFoundError, UploadClaimedError: One is none of the request's own, or belongs to a row already.
        UploadIncompleteError, UploadError: It is not all there, or nothing that the column takes.
    """
    if len(set(identities)) < len(identities):
        raise InvalidFieldsError([{"loc": (UPLOAD,), "msg": "An upload is named twice", "type": "not_unique"}])
    async with finding_rows(uploads.service):
        await complete_beside(uploads, identities)
    return NamedUploads(uploads, identities)


@asynccontextmanager
async def finding_rows(service: FileService[Any]) -> AsyncIterator[None]:
    """Let a block tell which row took an upload before, if it is there still and one of the service's."""
    try:
        yield
    except UploadClaimedError as error:
        if error.location is None:
            raise
        (column,) = inspect(service.model).primary_key
        kind = python_type(inspect(service.model).get_property_by_column(column))
        key = unquote(error.location.rpartition("/")[2])
        try:
            await service.get(TypeAdapter(kind).validate_python(key))
        except RowNotFoundError:
            raise UploadClaimedError(error.location, is_gone=True) from None
        raise


@asynccontextmanager
async def receiving_file(
    request: Request,
    policy: UploadPolicy,
    uploads: RouterUploads | None,
    service: FileService[Any],
    *,
    field: str,
    identity: object,
) -> AsyncIterator[Arrived]:
    """Store the one file of a request, or judge the upload that it names instead, for a row that the block writes.

    The id is in the field `upload` of a form without a file, or in JSON that has nothing else, such as
    `{"upload": "8d4f…"}`: any other JSON is a file.

    Raises:
        MissingFileError: It has neither.
        TooManyFilesError: It names several.
        InvalidFieldsError: What it names is no id.
    """
    found: Upload | Sequence[str]
    found = await receive_upload(request, policy) if uploads is None else await _receive_or_read_ids(request, policy)
    if isinstance(found, Upload):
        async with service.storing(found, field=field, identity=identity) as file:
            yield Arrived([file])
    elif uploads is not None:
        if len(found) > 1:
            raise TooManyFilesError(limit=1, actual=len(found), field=UPLOAD)
        claimed = await named_uploads(uploads.of(request, service, field=field), found)
        async with claimed.placing(identity=identity) as named:
            yield Arrived(named=named)


async def _receive_or_read_ids(request: Request, policy: UploadPolicy) -> Upload | Sequence[str]:
    """Return the one file of a request, or the ids that it has instead."""
    found = await receive_upload_or_fields(request, replace(policy, needs_file=False))
    if isinstance(found, Upload):
        return found
    if found is None:
        named, request = await _ids_in_json(request, policy)
        if named is not None:
            return named
        try:
            return await policy.admit(file_as_body(request, policy, JSON))
        except UnsupportedUploadError as error:
            sentence = (
                f'JSON is a file here, unless it is {{"{UPLOAD}": "…"}} and nothing else, with the id of an upload; of '
                f"files there is taken {' or '.join(error.expected)}."
            )
            raise UnsupportedUploadError(error.actual, error.expected, sentence=sentence) from None
    if not (ids := ids_in(found.get(UPLOAD, ""))):
        raise MissingFileError(policy.field)
    return ids


@asynccontextmanager
async def receiving_files(
    request: Request,
    policy: UploadPolicy,
    uploads: RouterUploads | None,
    service: FileService[Any],
    *,
    field: str,
    taken: FileField,
    identity: object,
) -> AsyncIterator[Arrived]:
    """Store the files of a request, and judge the uploads that it names, for a list of a row that the block writes.

    Raises:
        MissingFileError: It has neither.
        InvalidFieldsError: What it names is no id.
    """
    if uploads is not None and media_type(request.headers) == JSON:
        named_by_json, request = await _ids_in_json(request, policy)
        if named_by_json is not None:
            claimed = await named_uploads(uploads.of(request, service, field=field), named_by_json)
            async with claimed.placing(identity=identity) as named:
                yield Arrived(named=named)
            return
    form = await receive_form(request, policy, {field: replace(taken, is_needed=uploads is None)})
    async with service.storing_form(form, identity=identity) as stored:
        files = stored.get(field, ())
        ids: Sequence[str] = ids_in(form.fields.get(UPLOAD, "")) if uploads is not None else ()
        if not (files or ids):
            raise MissingFileError(field)
        if uploads is None or not ids:
            yield Arrived(files)
            return
        claimed = await named_uploads(uploads.of(request, service, field=field), ids)
        async with claimed.placing(identity=identity) as named:
            yield Arrived(files, named)


def ids_in(value: object) -> Sequence[str]:
    """Return the ids that a field names; none if it is empty.

    Raises:
        InvalidFieldsError: It is no id, or too many.
    """
    try:
        return _IDS.validate_python(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        raise InvalidFieldsError([{**problem, "loc": (UPLOAD, *problem["loc"])} for problem in problems]) from None


async def _ids_in_json(request: Request, policy: UploadPolicy) -> tuple[Sequence[str] | None, Request]:
    """Return the ids that a body of JSON names, if it does nothing else, and a request that has the body still.

    Raises:
        MissingFileError: It names none.
    """
    size, is_whole, body = announced_size(request.headers), True, b""
    if size is not None and size > LONGEST_CLAIM:
        return None, request
    refuse_codings(joined_fields(request.headers))
    async with aclosing(limited_body(request, UNLIMITED, pace=policy.limits.pace)) as chunks:
        async for chunk in chunks:
            body += chunk
            is_whole = len(body) <= LONGEST_CLAIM
            if not is_whole:
                break
    try:
        value = from_json(body) if is_whole else None
    except ValueError:
        value = None
    ids = ids_in(value[UPLOAD]) if isinstance(value, dict) and value.keys() == {UPLOAD} else None
    if ids is not None and not ids:
        raise MissingFileError(policy.field)

    beginning = iter([{"type": "http.request", "body": body, "more_body": not is_whole}])

    async def receive() -> Message:
        return next(beginning, None) or await request.receive()

    return ids, Request(request.scope, receive)
