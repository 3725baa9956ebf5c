"""Speak tus 1.0 with clients whose uploads survive lost connections: https://tus.io/protocols/resumable-upload.

What has come of a request that ends early is kept, and the client asks where to go on.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from starlette.types import Message

from fastapi_filestore.errors import DigestMismatchError, UnsupportedUploadError, UploadTooLargeError
from fastapi_filestore.intake.names import FALLBACK_NAME
from fastapi_filestore.orm.uploads.leases import Lease
from fastapi_filestore.service import FileService
from fastapi_filestore.uploads.open_uploads import Announced
from fastapi_filestore.uploads.segments import Appending
from fastapi_filestore.web import tus_fields as fields
from fastapi_filestore.web.header_fields import media_type
from fastapi_filestore.web.problems import METHOD_NOT_ALLOWED, Kind, Problem
from fastapi_filestore.web.receiving.bodies import limited_body
from fastapi_filestore.web.routes.claims import RouterUploads
from fastapi_filestore.web.routes.resource import Resource

ModelT = TypeVar("ModelT")
Provider = Callable[..., FileService[ModelT]]

HEADERS: Final[Mapping[str, str]] = {"Tus-Resumable": fields.VERSION, "Cache-Control": "no-store"}
"""What every answer to such a client has."""


def is_spoken(request: Request) -> bool:
    """Tell whether a client speaks tus; one of another version is told so, by a problem."""
    return bool(headers_of(request))


def headers_of(request: Request) -> Mapping[str, str]:
    """Return the headers of an answer: those of tus, if the client speaks it.

    Raises:
        Problem: It speaks another version (section Tus-Resumable).
    """
    version = request.headers.get("tus-resumable")
    if version is None:
        return {}
    if version != fields.VERSION:
        raise _version_problem(ascii(version[:40]))
    return HEADERS


def _version_problem(told: str) -> Problem:
    detail = f"This is tus {fields.VERSION}, and Tus-Resumable says {told}: send Tus-Resumable: {fields.VERSION}."
    return Problem(Kind(412, "tus-version"), detail, {}, {**HEADERS, "Tus-Version": fields.VERSION})


def add_tus(router: APIRouter, resource: Resource[ModelT], uploads: RouterUploads, provider: Provider[ModelT]) -> None:
    """Add the routes that only clients of tus ask: what there is, how far an upload is, and more of its bytes."""
    served = Annotated[FileService[Any], Depends(provider)]
    path = "/uploads/{upload}"

    @router.options("/uploads", include_in_schema=False)
    @router.options(path, include_in_schema=False)
    async def describe() -> Response:
        return Response(
            status_code=204,
            headers={
                **HEADERS,
                "Tus-Version": fields.VERSION,
                "Tus-Extension": ",".join(fields.EXTENSIONS),
                "Tus-Max-Size": str(largest(resource)),
                "Tus-Checksum-Algorithm": ",".join(fields.ALGORITHMS),
            },
        )

    @router.head(path, include_in_schema=False, dependencies=uploads.dependencies)
    async def ask(request: Request, upload: str, service: served) -> Response:
        require_tus(request)
        async with service.unit_of_work():
            row = await uploads.of(request, service).find(upload)
            headers = {
                **HEADERS,
                "Upload-Offset": str(row.received),
                "Upload-Expires": fields.write_expires(row.expires),
            }
            headers |= {"Upload-Defer-Length": "1"} if row.size is None else {"Upload-Length": str(row.size)}
            if row.metadata_received:
                headers["Upload-Metadata"] = row.metadata_received
        return Response(status_code=200, headers=headers)

    @router.patch(path, include_in_schema=False, dependencies=uploads.dependencies)
    async def go_on(request: Request, upload: str, service: served) -> Response:
        require_tus(request)
        async with service.unit_of_work():
            return await append(request, upload, resource, uploads, service)

    @router.post(path, include_in_schema=False, dependencies=uploads.dependencies)
    async def do_otherwise(request: Request, upload: str, service: served) -> Response:
        """Do what the header says, for clients behind proxies that let only GET and POST pass."""
        require_tus(request)
        method = request.headers.get("x-http-method-override", "")
        if method.upper() == "DELETE":
            async with service.unit_of_work(), service.turn():
                await uploads.of(request, service).end(upload)
                await service.commit()
            return Response(status_code=204, headers=HEADERS)
        if method.upper() != "PATCH":
            detail = f"X-HTTP-Method-Override is {method[:40]!a}; there is PATCH and DELETE."
            raise Problem(METHOD_NOT_ALLOWED, detail, {}, {**HEADERS, "Allow": "HEAD, GET, PATCH, DELETE"})
        async with service.unit_of_work():
            return await append(request, upload, resource, uploads, service)


def require_tus(request: Request) -> None:
    """Raise a problem for a client that does not speak this version of tus."""
    if not is_spoken(request):
        raise _version_problem("nothing")


def largest(resource: Resource[ModelT]) -> int:
    """Return the most bytes that an upload of a resource may have."""
    sizes = (resource.rules.max_size, resource.limits().file_size)
    return min(size for size in sizes if size is not None)


async def begin(
    request: Request, resource: Resource[ModelT], uploads: RouterUploads, service: FileService[Any]
) -> Response:
    """Begin an upload, and take what the request has of its bytes (sections Creation and Creation With Upload)."""
    creation = fields.read_creation(request.headers)
    if creation.length is not None and creation.length > largest(resource):
        raise UploadTooLargeError("file", limit=largest(resource), actual=creation.length)
    named = partial(fields.text_of, creation.fields)
    announced = Announced(
        filename=named("filename", "name") or FALLBACK_NAME,
        content_type=named("filetype", "type", "content_type", "contentType") or "application/octet-stream",
        size=creation.length,
        metadata=creation.metadata,
    )
    field = uploads.field(named("field"), default=resource.attribute.name)
    row, _ = await uploads.of(request, service).begin(field, announced, expires_in=None)
    identity, expires = row.id, row.expires
    await service.commit()
    # Relative to what the client asked for, so that it is right below whatever a proxy has before it.
    place = identity if request.scope["path"].endswith("/") else f"uploads/{identity}"
    headers = {**HEADERS, "Location": place, "Upload-Expires": fields.write_expires(expires)}
    if media_type(request.headers) == fields.CONTENT_TYPE:
        answer = await append(request, identity, resource, uploads, service, start=0)
        headers = {**dict(answer.headers), **headers}
    return Response(status_code=201, headers=headers)


async def append(
    request: Request,
    identity: str,
    resource: Resource[ModelT],
    uploads: RouterUploads,
    service: FileService[Any],
    *,
    start: int | None = None,
) -> Response:
    """Add the bytes of a request to an upload; `start` is where they belong, if no header says so."""
    if media_type(request.headers) != fields.CONTENT_TYPE:
        raise UnsupportedUploadError(media_type(request.headers), [fields.CONTENT_TYPE])
    if start is None:
        start = fields.read_number("Upload-Offset", request.headers.get("upload-offset", ""))
    length = request.headers.get("upload-length")
    checksum = request.headers.get("upload-checksum")
    limits = resource.limits()

    def body(lease: Lease) -> AsyncGenerator[bytes, None]:
        size = largest(resource) if lease.size is None else lease.size
        return limited_body(until_wanted(request, lease), max(size - lease.start, 0), pace=limits.pace)

    try:
        received, expires = await Appending(uploads.of(request, service)).append(
            identity,
            body,
            start=start,
            size=None if length is None else fields.read_number("Upload-Length", length),
            digests=dict([fields.read_checksum(checksum)]) if checksum is not None else {},
        )
    except DigestMismatchError as error:
        raise Problem(Kind(460, "checksum-mismatch"), str(error), {}, HEADERS) from None
    expiry = fields.write_expires(expires)
    return Response(status_code=204, headers={**HEADERS, "Upload-Offset": str(received), "Upload-Expires": expiry})


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
