"""Add the routes of uploads that are things of their own: begin one, ask for it, complete it, end it.

A client either stores by itself where the answer says, or sends the bytes here by tus 1.0, from wherever it was cut off
(`tus.py`). A row takes what is complete, by its id (`claims.py`).
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar, cast

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from fastapi_filestore.intake.names import MEDIA_TYPE
from fastapi_filestore.orm.uploads.tables import UploadRow
from fastapi_filestore.service import FileService
from fastapi_filestore.storage.backend import SignedURL
from fastapi_filestore.uploads.completion import complete_beside
from fastapi_filestore.uploads.targets import Announced
from fastapi_filestore.web.paths import path_above
from fastapi_filestore.web.receiving.bodies import json_body
from fastapi_filestore.web.receiving.form_fields import validate_json
from fastapi_filestore.web.routes import tus, upload_parts
from fastapi_filestore.web.routes.claims import RouterUploads, finding_rows
from fastapi_filestore.web.routes.openapi.answers import LOCATION_HEADER
from fastapi_filestore.web.routes.openapi.bodies import json_request
from fastapi_filestore.web.routes.openapi.problems import problems
from fastapi_filestore.web.routes.operations import with_article
from fastapi_filestore.web.routes.resource import Resource
from fastapi_filestore.web.routes.upload_parts import DirectParts, begin_direct_parts, needs_parts

ModelT = TypeVar("ModelT")
Provider = Callable[..., FileService[ModelT]]
State = Literal["open", "assembling", "complete"]


class AnnouncedUpload(BaseModel, extra="forbid"):
    """A file that a client is going to send."""

    filename: str = Field(min_length=1, max_length=1024)
    content_type: str = Field(
        default="application/octet-stream", max_length=255, json_schema_extra={"pattern": MEDIA_TYPE}
    )
    size: int | None = Field(default=None, ge=0, strict=True, description="Bytes.")
    sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-fA-F]{64}$",
        description="The digest of the bytes: a row takes no others.",
    )
    parts: bool = Field(
        default=False, strict=True, description="Whether it is to be stored in parts, as one of above 5 GiB is."
    )
    field: str | None = Field(
        default=None, description="The column that it is for, if there are several; that at `/file` by default."
    )


class DirectUpload(BaseModel):
    """Where a client stores a file by itself: send `method` with `headers` and the bytes to `url`."""

    url: str
    method: Literal["GET", "PUT"]
    headers: dict[str, str]
    expires_at: datetime


class UploadState(BaseModel):
    """An upload: how far it is, and where it goes on."""

    id: str
    url: str
    state: State
    field: str
    filename: str
    content_type: str
    size: int | None
    received: int = Field(description="Bytes that have come by way of the application.")
    expires_at: datetime = Field(description="When it ends, if nothing comes of it until then.")
    direct: DirectUpload | DirectParts | None = Field(
        default=None, description="Null where only the application can store it."
    )


def add_uploads(
    router: APIRouter, resource: Resource[ModelT], uploads: RouterUploads, provider: Provider[ModelT]
) -> None:
    """Add the routes of uploads to the router of a model."""

    @router.post(
        "/uploads",
        status_code=201,
        response_model=UploadState,
        name=f"{resource.name}_begin_upload",
        summary=f"Begin an upload for {with_article(resource.name)}",
        dependencies=uploads.dependencies,
        responses={201: LOCATION_HEADER, **problems(400, 403, 408, 411, 413, 415, 422, 429)},
        openapi_extra=json_request(AnnouncedUpload),
    )
    async def begin(
        request: Request, response: Response, service: Annotated[FileService[ModelT], Depends(provider)]
    ) -> UploadState | Response:
        async with service.unit_of_work():
            if "tus-resumable" in request.headers:
                with tus.telling_version():
                    tus.require_tus(request)
                    return await tus.begin(request, resource, uploads, service)
            answer = await _begin(request, resource, uploads, service)
        response.headers["Location"] = answer.url
        return answer

    _add_existing(router, resource, uploads, provider)
    upload_parts.add_parts(router, resource, uploads, provider)
    upload_parts.add_uppy(router, resource, uploads, provider)
    tus.add_tus(router, resource, uploads, provider)


async def _begin(
    request: Request, resource: Resource[ModelT], uploads: RouterUploads, service: FileService[ModelT]
) -> UploadState:
    """Begin an upload that is announced by JSON, in parts where one request can't store it."""
    limits, base = resource.limits(), path_above(request.scope, 0)
    body = await json_body(request, limits.json_body_size, pace=limits.pace)
    told = validate_json(AnnouncedUpload, body, limits=limits)
    field = uploads.field(told.field, default=resource.attribute.name)
    announced = Announced(told.filename, told.content_type, told.size, told.sha256 and told.sha256.lower())
    own, seconds = uploads.of(request, service), resource.url_seconds()
    if told.parts or needs_parts(told.size):
        begun = await begin_direct_parts(own, field, announced, base=base, expires_in=seconds)
        if begun is not None:
            return show_upload(begun[0], field, base, begun[1])
    async with service.turn():
        row, signed = await own.begin(field, announced, expires_in=seconds)
        answer = show_upload(row, field, base, direct_of(signed))
        await service.commit()
        return answer


def _add_existing(
    router: APIRouter, resource: Resource[ModelT], uploads: RouterUploads, provider: Provider[ModelT]
) -> None:
    """Add the routes of an upload that is begun."""

    @router.get(
        "/uploads/{upload}",
        name=f"{resource.name}_read_upload",
        summary="Ask how far an upload is",
        dependencies=uploads.dependencies,
        responses=problems(404, 422),
    )
    async def read(
        request: Request, upload: str, service: Annotated[FileService[ModelT], Depends(provider)]
    ) -> UploadState:
        async with service.unit_of_work():
            own = uploads.of(request, service)
            row = await own.find(upload)
            return show_upload(row, own.target_of(row)[0], path_above(request.scope, 1))

    @router.delete(
        "/uploads/{upload}",
        status_code=204,
        name=f"{resource.name}_end_upload",
        summary="End an upload, and delete what has come of it",
        dependencies=uploads.dependencies,
        responses=problems(404, 422),
    )
    async def end(
        request: Request, response: Response, upload: str, service: Annotated[FileService[ModelT], Depends(provider)]
    ) -> None:
        response.headers.update(tus.headers_of(request))
        async with service.unit_of_work(), service.turn():
            await uploads.of(request, service).end(upload)
            await service.commit()

    @router.post(
        "/uploads/{upload}/complete",
        name=f"{resource.name}_complete_upload",
        summary="Judge an upload before a row takes it",
        dependencies=uploads.dependencies,
        responses=problems(404, 409, 413, 415, 422),
    )
    async def complete(
        request: Request, upload: str, service: Annotated[FileService[ModelT], Depends(provider)]
    ) -> UploadState:
        async with service.unit_of_work():
            own = uploads.of(request, service)
            async with finding_rows(service):
                await complete_beside(own, [upload])
            row = await own.find(upload)
            return show_upload(row, own.target_of(row)[0], path_above(request.scope, 2))


def direct_of(signed: SignedURL | None) -> DirectUpload | None:
    """Return where a client stores a file by itself, if that could be signed."""
    if signed is None:
        return None
    headers = dict(signed.headers)
    return DirectUpload(url=signed.url, method=signed.method, headers=headers, expires_at=signed.expires_at)


def show_upload(row: UploadRow, field: str, base: str, direct: DirectUpload | DirectParts | None = None) -> UploadState:
    """Return an upload as a client sees it."""
    return UploadState(
        id=row.id,
        url=f"{base}/{row.id}",
        state=cast("State", row.state),
        field=field,
        filename=row.filename,
        content_type=row.content_type,
        size=row.size,
        received=row.received,
        expires_at=datetime.fromtimestamp(row.expires, UTC),
        direct=direct,
    )
