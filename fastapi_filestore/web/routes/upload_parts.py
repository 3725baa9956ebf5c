"""Add the routes of uploads that clients store in parts, straight in the bucket, as @uppy/aws-s3 asks for them.

They are below `…/uploads/s3`, which is where that looks with its option `companionEndpoint` (before: `endpoint`). The
`uploadId` that it is told is the id of the upload, as is the last part of what it reports as `uploadURL`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field

from fastapi_filestore.errors import InvalidFieldsError, SigningUnavailableError, UploadNotFoundError
from fastapi_filestore.intake.names import FALLBACK_NAME, MEDIA_TYPE
from fastapi_filestore.orm.uploads.tables import UploadRow
from fastapi_filestore.service import FileService
from fastapi_filestore.storage.client_parts import LARGEST_PUT, MOST_PARTS, size_of_parts
from fastapi_filestore.uploads.completion import complete_beside
from fastapi_filestore.uploads.open_uploads import OpenUploads
from fastapi_filestore.uploads.parts import (
    MOST_SIGNED,
    begin_by_form,
    begin_in_parts,
    check_parts,
    list_parts,
    sign_parts,
)
from fastapi_filestore.uploads.targets import Announced
from fastapi_filestore.web.paths import path_above
from fastapi_filestore.web.receiving.bodies import json_body
from fastapi_filestore.web.receiving.form_fields import validate_json
from fastapi_filestore.web.routes.claims import RouterUploads
from fastapi_filestore.web.routes.openapi.problems import problems
from fastapi_filestore.web.routes.resource import Resource

ModelT = TypeVar("ModelT")
Provider = Callable[..., FileService[ModelT]]

PLACE: Final = "/uploads/s3/multipart"
LONGEST_LIST: Final = 2**20
"""Bytes of a body that names all parts of an upload: 10,000 of them are less."""
Number = Annotated[int, Path(ge=1, le=MOST_PARTS)]


class PartsPlan(BaseModel):
    """How a client stores a file in parts: GET `url`/1, `url`/2, … tells where each is to be sent by PUT."""

    url: str = Field(description="What has come is told here; below it, where each part is to be stored.")
    size: int = Field(description="Bytes of each part but the last one.")
    count: int | None = Field(description="How many there are; null if nobody has said how long the file is.")


class DirectParts(BaseModel):
    """Where a client stores a file by itself that one request can't hold."""

    parts: PartsPlan


class PartURL(BaseModel):
    """Where one part is to be stored, by PUT."""

    url: str
    expires_at: datetime
    expires: int = Field(description="Seconds from now.")


class Part(BaseModel):
    """A part that is stored, as S3 calls what it tells of it."""

    number: int = Field(serialization_alias="PartNumber")
    size: int = Field(serialization_alias="Size")
    etag: str = Field(serialization_alias="ETag")


class NamedPart(BaseModel):
    """A part that a client says it has stored."""

    number: int = Field(alias="PartNumber", ge=1, le=MOST_PARTS)
    etag: str = Field(alias="ETag", min_length=1, max_length=255)


class NamedParts(BaseModel):
    """All parts that a client has stored."""

    parts: list[NamedPart] = Field(max_length=MOST_PARTS)


class AskedFile(BaseModel):
    """A file as Uppy announces it."""

    filename: str = Field(default="", max_length=1024)
    type: str | None = Field(default=None, max_length=255, pattern=f"^$|{MEDIA_TYPE}")
    metadata: dict[str, Any] | None = None

    def announced(self) -> Announced:
        """Return what is announced."""
        return Announced(self.filename or FALLBACK_NAME, self.type or "application/octet-stream")


class AskedForm(AskedFile, extra="allow"):
    """A file as Uppy announces it in a query, where `metadata[name]` is a parameter of its own."""

    field: str | None = Field(default=None, alias="metadata[field]")


class Batch(BaseModel, extra="forbid"):
    """Some parts whose URLs are asked for at once, with commas between their numbers."""

    numbers: str = Field(alias="partNumbers", pattern=r"^[1-9][0-9]{0,4}(,[1-9][0-9]{0,4})*$", max_length=600)
    key: str | None = None


async def begin_direct_parts(
    own: OpenUploads, field: str, announced: Announced, *, base: str, expires_in: int
) -> tuple[UploadRow, DirectParts] | None:
    """Begin an upload in parts, and tell a client how; None where the store has none."""
    try:
        row = await begin_in_parts(own, field, announced, expires_in=expires_in)
    except SigningUnavailableError:
        return None
    size = size_of_parts(announced.size)
    count = None if announced.size is None else max(1, -(-announced.size // size))
    return row, DirectParts(parts=PartsPlan(url=f"{base}/s3/multipart/{row.id}", size=size, count=count))


def needs_parts(size: int | None) -> bool:
    """Tell whether a file is too long for one request to a store that has parts."""
    return size is not None and size > LARGEST_PUT


def own_uploads(
    uploads: RouterUploads, request: Request, service: FileService[ModelT], upload: str, key: str | None
) -> OpenUploads:
    """Return the uploads that are a request's own; what it says is the key of one can only be its id."""
    if key not in {None, upload}:
        raise UploadNotFoundError(upload)
    return uploads.of(request, service)


def add_parts(
    router: APIRouter, resource: Resource[ModelT], uploads: RouterUploads, provider: Provider[ModelT]
) -> None:
    """Add the routes of parts to the router of a model: where they are to be stored, and which are."""
    options: dict[str, Any] = {"dependencies": uploads.dependencies}

    async def sign_all(own: OpenUploads, upload: str, numbers: Sequence[int]) -> dict[int, PartURL]:
        seconds = resource.url_seconds()
        urls = await sign_parts(own, upload, numbers, expires_in=seconds)
        return {
            number: PartURL(url=signed.url, expires_at=signed.expires_at, expires=seconds)
            for number, signed in urls.items()
        }

    @router.get(
        f"{PLACE}/{{upload}}",
        response_model=list[Part],
        name=f"{resource.name}_list_parts",
        summary="List the parts of an upload that are stored",
        responses=problems(404, 422),
        **options,
    )
    async def list_stored(
        request: Request,
        upload: str,
        service: Annotated[FileService[ModelT], Depends(provider)],
        key: str | None = None,
    ) -> object:
        async with service.unit_of_work():
            return await list_parts(own_uploads(uploads, request, service, upload, key), upload)

    @router.get(f"{PLACE}/{{upload}}/batch", include_in_schema=False, **options)
    async def sign_several(
        request: Request,
        upload: str,
        batch: Annotated[Batch, Query()],
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> dict[str, dict[str, str]]:
        numbers = sorted({int(number) for number in batch.numbers.split(",")})
        if len(numbers) > MOST_SIGNED or numbers[-1] > MOST_PARTS:
            message = f"At most {MOST_SIGNED} parts of {MOST_PARTS:,} are signed at once"
            raise InvalidFieldsError([{"loc": ("query", "partNumbers"), "msg": message, "type": "too_many"}])
        async with service.unit_of_work():
            urls = await sign_all(own_uploads(uploads, request, service, upload, batch.key), upload, numbers)
        return {"presignedUrls": {str(number): part.url for number, part in urls.items()}}

    @router.get(
        f"{PLACE}/{{upload}}/{{number}}",
        response_model=PartURL,
        name=f"{resource.name}_sign_part",
        summary="Ask where a part of an upload is to be stored",
        responses=problems(404, 409, 413, 422),
        **options,
    )
    async def sign(
        request: Request,
        upload: str,
        number: Number,
        service: Annotated[FileService[ModelT], Depends(provider)],
        key: str | None = None,
    ) -> object:
        async with service.unit_of_work():
            return (await sign_all(own_uploads(uploads, request, service, upload, key), upload, [number]))[number]


def add_uppy(router: APIRouter, resource: Resource[ModelT], uploads: RouterUploads, provider: Provider[ModelT]) -> None:
    """Add the routes by which @uppy/aws-s3 begins and ends uploads, and stores small files."""
    options: dict[str, Any] = {"dependencies": uploads.dependencies, "include_in_schema": False}

    @router.get("/uploads/s3/params", **options)
    async def begin_form(
        request: Request,
        asked: Annotated[AskedForm, Query()],
        service: Annotated[FileService[ModelT], Depends(provider)],
    ) -> dict[str, object]:
        field = uploads.field(asked.field, default=resource.attribute.name)
        async with service.unit_of_work():
            own, seconds = uploads.of(request, service), resource.url_seconds()
            _, form = await begin_by_form(own, field, asked.announced(), expires_in=seconds)
        return {"method": "POST", "url": form.url, "fields": form.fields, "expires": seconds}

    @router.post(PLACE, **options)
    async def begin(request: Request, service: Annotated[FileService[ModelT], Depends(provider)]) -> dict[str, str]:
        limits = resource.limits()
        async with service.unit_of_work():
            body = await json_body(request, limits.json_body_size, pace=limits.pace)
            asked = validate_json(AskedFile, body, limits=limits)
            named = (asked.metadata or {}).get("field")
            field = uploads.field(None if named is None else str(named), default=resource.attribute.name)
            own, seconds = uploads.of(request, service), resource.url_seconds()
            row = await begin_in_parts(own, field, asked.announced(), expires_in=seconds)
            return {"key": row.id, "uploadId": row.id}

    @router.post(f"{PLACE}/{{upload}}/complete", **options)
    async def complete(
        request: Request,
        upload: str,
        service: Annotated[FileService[ModelT], Depends(provider)],
        key: str | None = None,
    ) -> dict[str, str]:
        limits = resource.limits()
        async with service.unit_of_work():
            own = own_uploads(uploads, request, service, upload, key)
            body = await json_body(request, LONGEST_LIST, pace=limits.pace)
            long = replace(limits, field_size=LONGEST_LIST, json_values=LONGEST_LIST)
            named = validate_json(NamedParts, body, limits=long)
            await check_parts(own, upload, {part.number: part.etag for part in named.parts})
            await complete_beside(own, [upload])
        return {"location": f"{path_above(request.scope, 4)}/{upload}", "key": upload}

    @router.delete(f"{PLACE}/{{upload}}", **options)
    async def abort(
        request: Request,
        upload: str,
        service: Annotated[FileService[ModelT], Depends(provider)],
        key: str | None = None,
    ) -> dict[str, str]:
        async with service.unit_of_work(), service.turn():
            await own_uploads(uploads, request, service, upload, key).end(upload)
            await service.commit()
        return {}
