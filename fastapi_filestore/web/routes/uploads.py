"""Add the routes of uploads that are things of their own: begin one, ask for it, append to it, end it.

A client either stores by itself where the answer says, or sends the bytes here by tus 1.0, from wherever it was cut off.
A row takes what is complete, by its id.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field
from starlette.types import Message

from fastapi_filestore.errors import DigestMismatchError, UnsupportedUploadError, UploadTooLargeError
from fastapi_filestore.service import FileService
from fastapi_filestore.storage.backend import SignedURL
from fastapi_filestore.uploads.leases import Lease
from fastapi_filestore.uploads.open_uploads import OpenUploads
from fastapi_filestore.uploads.options import UploadOptions
from fastapi_filestore.uploads.segments import Appending
from fastapi_filestore.uploads.tables import UploadRow, UploadTables
from fastapi_filestore.web import tus_fields as tus
from fastapi_filestore.web.header_fields import media_type
from fastapi_filestore.web.paths import path_above
from fastapi_filestore.web.problems import Kind, Problem
from fastapi_filestore.web.receiving.bodies import json_body, limited_body
from fastapi_filestore.web.receiving.form_fields import validate_json
from fastapi_filestore.web.routes.openapi import json_request, problems
from fastapi_filestore.web.routes.resource import Resource

ModelT = TypeVar("ModelT")
Provider = Callable[..., FileService[ModelT]]
TUS = {"Tus-Resumable": tus.VERSION, "Cache-Control": "no-store"}


class AnnouncedUpload(BaseModel, extra="forbid"):
    """A file that a client is going to store."""

    filename: str = Field(min_length=1, max_length=1024)
    content_type: str = Field(default="application/octet-stream", max_length=255)
    size: int | None = Field(default=None, ge=0, description="Bytes.")
    sha256: str | None = Field(default=None, pattern="^[0-9a-fA-F]{64}$", description="The digest of the bytes.")


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
    state: Literal["open", "assembling", "complete"]
    filename: str
    content_type: str
    size: int | None
    received: int
    expires_at: datetime
    direct: DirectUpload | None = None


@dataclass(frozen=True, slots=True)
class UploadsOfResource:
    """What the routes of uploads of one router share."""

    resource: Resource[Any]
    tables: UploadTables
    options: UploadOptions

    def of(self, service: FileService[Any], owner: object) -> OpenUploads:
        """Return the uploads of an owner; that of the router's own defaults if none was given."""
        if owner is None and (known := {name: value for name, value in service.defaults.items() if value is not None}):
            owner = " ".join(f"{name}={value}" for name, value in sorted(known.items()))
        return OpenUploads(
            service,
            self.resource.attribute,
            self.tables,
            rules=self.resource.rules,
            limits=self.options.limits(),
            owner=None if owner is None else str(owner),
        )

    def show(self, row: UploadRow, base: str, signed: SignedURL | None = None) -> UploadState:
        """Return an upload as a client sees it."""
        direct = None
        if signed is not None:
            direct = DirectUpload(
                url=signed.url, method=signed.method, headers=dict(signed.headers), expires_at=signed.expires_at
            )
        return UploadState(
            id=row.id,
            url=f"{base}/{row.id}",
            state=row.state,
            filename=row.filename,
            content_type=row.content_type,
            size=row.size,
            received=row.received,
            expires_at=datetime.fromtimestamp(row.expires, UTC),
            direct=direct,
        )

    def largest(self) -> int:
        """Return the most bytes of an upload."""
        rules = self.resource.attribute.type.rules
        sizes = (self.resource.rules.max_size, rules.max_size, self.resource.limits().file_size)
        return min(size for size in sizes if size is not None)


def no_owner() -> None:
    """Say that the router's own defaults tell whose an upload is."""


def add_uploads(
    router: APIRouter,
    resource: Resource[ModelT],
    provider: Provider[ModelT],
    tables: UploadTables,
    options: UploadOptions,
) -> None:
    """Add the routes of uploads to the router of a model."""
    shared = UploadsOfResource(resource, tables, options)
    owned = Annotated[Any, Depends(options.owner or no_owner)]
    served = Annotated[FileService[Any], Depends(provider)]

    @router.options("/uploads", include_in_schema=False)
    @router.options("/uploads/{upload}", include_in_schema=False)
    async def describe() -> Response:
        return Response(
            status_code=204,
            headers={
                **TUS,
                "Tus-Version": tus.VERSION,
                "Tus-Extension": ",".join(tus.EXTENSIONS),
                "Tus-Max-Size": str(shared.largest()),
                "Tus-Checksum-Algorithm": ",".join(tus.ALGORITHMS),
            },
        )

    @router.post(
        "/uploads",
        status_code=201,
        response_model=UploadState,
        name=f"{resource.name}_begin_upload",
        summary=f"Begin an upload for a {resource.name}",
        responses=problems(400, 403, 411, 413, 415, 422),
        openapi_extra=json_request(AnnouncedUpload),
    )
    async def begin(request: Request, response: Response, service: served, owner: owned) -> Any:
        base = path_above(request.scope, 0)
        if "tus-resumable" in request.headers:
            return await _begin_by_tus(request, service, shared, owner, base)
        limits = resource.limits()
        body = await json_body(request, limits.json_body_size, pace=limits.pace)
        announced = validate_json(AnnouncedUpload, body, limits=limits)
        async with service.unit_of_work():
            row, signed = await shared.of(service, owner).begin(
                filename=announced.filename,
                content_type=announced.content_type,
                size=announced.size,
                checksum=announced.sha256 and announced.sha256.lower(),
                expires_in=resource.url_seconds(),
            )
            answer = shared.show(row, base, signed)
        response.headers["Location"] = answer.url
        return answer

    @router.get(
        "/uploads/{upload}",
        response_model=UploadState,
        name=f"{resource.name}_read_upload",
        summary="Ask how far an upload is",
        responses=problems(404),
    )
    async def read(request: Request, upload: str, service: served, owner: owned) -> Any:
        async with service.unit_of_work():
            return shared.show(await shared.of(service, owner).find(upload), path_above(request.scope, 1))

    @router.head("/uploads/{upload}", include_in_schema=False)
    async def ask(request: Request, upload: str, service: served, owner: owned) -> Response:
        require_version(request)
        async with service.unit_of_work():
            row = await shared.of(service, owner).find(upload)
            headers = {**TUS, "Upload-Offset": str(row.received), "Upload-Expires": tus.write_expires(row.expires)}
            headers |= {"Upload-Defer-Length": "1"} if row.size is None else {"Upload-Length": str(row.size)}
            if row.metadata_received:
                headers["Upload-Metadata"] = row.metadata_received
        return Response(status_code=200, headers=headers)

    @router.patch("/uploads/{upload}", include_in_schema=False)
    async def append(request: Request, upload: str, service: served, owner: owned) -> Response:
        require_version(request)
        return await _append(request, upload, service, shared, owner)

    @router.delete(
        "/uploads/{upload}",
        status_code=204,
        name=f"{resource.name}_end_upload",
        summary="End an upload, and delete what has come of it",
        responses=problems(404),
    )
    async def end(request: Request, response: Response, upload: str, service: served, owner: owned) -> None:
        if "tus-resumable" in request.headers:
            require_version(request)
            response.headers.update(TUS)
        async with service.unit_of_work():
            await shared.of(service, owner).end(upload)

    @router.post(
        "/uploads/{upload}/complete",
        response_model=UploadState,
        name=f"{resource.name}_complete_upload",
        summary="Judge an upload before a row takes it",
        responses=problems(404, 409, 413, 415, 422),
    )
    async def complete(request: Request, upload: str, service: served, owner: owned) -> Any:
        async with service.unit_of_work():
            return shared.show(await shared.of(service, owner).complete(upload), path_above(request.scope, 2))


def require_version(request: Request) -> None:
    """Raise a problem for a client of another version of tus (section Tus-Resumable)."""
    version = request.headers.get("tus-resumable", "")
    if version != tus.VERSION:
        kind = Kind(412, "tus-version")
        headers = {**TUS, "Tus-Version": tus.VERSION}
        raise Problem(kind, f"This is tus {tus.VERSION}, and not {version[:40]!a}: send Tus-Resumable.", {}, headers)


async def _begin_by_tus(
    request: Request, service: FileService[Any], shared: UploadsOfResource, owner: object, base: str
) -> Response:
    require_version(request)
    creation = tus.read_creation(request.headers)
    if creation.length is not None and creation.length > shared.largest():
        raise UploadTooLargeError("file", limit=shared.largest(), actual=creation.length)
    kind = tus.text_of(creation.fields, "filetype", "type", "content_type", "contentType")
    async with service.unit_of_work():
        row, _ = await shared.of(service, owner).begin(
            filename=tus.text_of(creation.fields, "filename", "name") or "file",
            content_type=kind or "application/octet-stream",
            size=creation.length,
            checksum=None,
            metadata=creation.metadata,
            expires_in=None,
        )
        identity, expires = row.id, row.expires
    headers = {**TUS, "Location": f"{base}/{identity}", "Upload-Expires": tus.write_expires(expires)}
    if media_type(request.headers) == tus.CONTENT_TYPE:
        answer = await _append(request, identity, service, shared, owner, start=0)
        headers = {**dict(answer.headers), **headers}
    return Response(status_code=201, headers=headers)


async def _append(
    request: Request,
    identity: str,
    service: FileService[Any],
    shared: UploadsOfResource,
    owner: object,
    *,
    start: int | None = None,
) -> Response:
    if media_type(request.headers) != tus.CONTENT_TYPE:
        raise UnsupportedUploadError(media_type(request.headers), [tus.CONTENT_TYPE])
    if start is None:
        start = tus.read_number("Upload-Offset", request.headers.get("upload-offset", ""))
    checksum = request.headers.get("upload-checksum")
    digests = dict([tus.read_checksum(checksum)]) if checksum is not None else {}
    limits = shared.resource.limits()

    def body(lease: Lease) -> AsyncGenerator[bytes, None]:
        size = shared.largest() if lease.size is None else lease.size
        return limited_body(until_wanted(request, lease), max(size - lease.start, 0), pace=limits.pace)

    async with service.unit_of_work():
        uploads = shared.of(service, owner)
        appending = Appending(
            service, shared.tables, shared.resource.attribute.type.backend, shared.options.lasts.total_seconds()
        )
        try:
            received = await appending.append(identity, body, mine=uploads.mine, start=start, digests=digests)
        except DigestMismatchError as error:
            raise Problem(Kind(460, "checksum-mismatch"), str(error), {}, TUS) from None
    return Response(status_code=204, headers={**TUS, "Upload-Offset": str(received)})


def until_wanted(request: Request, lease: Lease) -> Request:
    """Return a request whose client seems to go away once somebody else wants the upload."""

    async def receive() -> Message:
        reading, wanted = asyncio.ensure_future(request.receive()), asyncio.ensure_future(lease.is_wanted.wait())
        try:
            await asyncio.wait({reading, wanted}, return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else {"type": "http.disconnect"}
        finally:
            reading.cancel()
            wanted.cancel()

    return Request(request.scope, receive)
