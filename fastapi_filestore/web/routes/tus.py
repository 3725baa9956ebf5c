"""Speak tus 1.0 with clients whose uploads survive lost connections: https://tus.io/protocols/resumable-upload.

What has come of a request that ends early is kept, and the client asks where to go on.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Final, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

from fastapi import APIRouter, Depends, Request, Response
from starlette.types import Message

from fastapi_filestore.errors import (
    DigestMismatchError,
    FilestoreError,
    UnsupportedUploadError,
    UploadPartError,
    UploadTooLargeError,
)
from fastapi_filestore.intake.names import FALLBACK_NAME
from fastapi_filestore.intake.types.media_types import likely_type
from fastapi_filestore.orm.uploads.leases import Lease
from fastapi_filestore.service import FileService
from fastapi_filestore.uploads.segments import Appending
from fastapi_filestore.uploads.targets import Announced
from fastapi_filestore.web import tus_fields as fields
from fastapi_filestore.web.header_fields import announced_size, media_type
from fastapi_filestore.web.paths import path_above
from fastapi_filestore.web.problems import METHOD_NOT_ALLOWED, Kind, Problem, problem_of
from fastapi_filestore.web.receiving.bodies import limited_body
from fastapi_filestore.web.routes.claims import RouterUploads
from fastapi_filestore.web.routes.resource import Resource

ModelT = TypeVar("ModelT")
Provider = Callable[..., FileService[ModelT]]

HEADERS: Final[Mapping[str, str]] = {"Tus-Resumable": fields.VERSION, "Cache-Control": "no-store"}
"""What every answer to such a client has."""


PREFIX: Final = re.compile(r"(?:/[\w.~%-]+)*", re.ASCII)
"""What may be before the path of the application, as a proxy has it."""


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
                "Tus-Max-Size": str(uploads.largest()),
                "Tus-Checksum-Algorithm": ",".join(fields.ALGORITHMS),
            },
        )

    @router.api_route(
        path, methods=["HEAD", "PATCH", "POST", "PUT"], include_in_schema=False, dependencies=uploads.dependencies
    )
    async def serve(
        request: Request, upload: str, service: Annotated[FileService[ModelT], Depends(provider)]
    ) -> Response:
        """Do what the method says, or the header in its place, for clients that can't send each method."""
        with telling_version():
            method = request.headers.get("x-http-method-override", request.method).upper()
            answer = ANSWERS.get(method)
            if answer is not None or "tus-resumable" in request.headers:
                require_tus(request)
            if answer is None:
                detail = f"There is no {method[:40]!a} for an upload; there is {', '.join(ANSWERS)}."
                raise Problem(METHOD_NOT_ALLOWED, detail, {}, {"Allow": "DELETE, GET, HEAD, PATCH"})
            async with service.unit_of_work():
                return await answer(request, upload, resource, uploads, service)


@contextmanager
def telling_version() -> Iterator[None]:
    """Let each problem of a block have the headers that every answer to a client of tus has."""
    try:
        yield
    except (FilestoreError, Problem) as error:
        problem = error if isinstance(error, Problem) else problem_of(error)
        problem.headers = {**(problem.headers or {}), **HEADERS}
        raise problem from error


def require_tus(request: Request) -> None:
    """Raise a problem for a client that does not speak this version of tus."""
    if not is_spoken(request):
        raise _version_problem("nothing")


async def ask(
    request: Request, identity: str, resource: Resource[ModelT], uploads: RouterUploads, service: FileService[ModelT]
) -> Response:
    """Tell how far an upload is (section HEAD)."""
    row = await uploads.of(request, service).find(identity)
    headers = {**HEADERS, "Upload-Offset": str(row.received), "Upload-Expires": fields.write_expires(row.expires)}
    headers |= {"Upload-Defer-Length": "1"} if row.size is None else {"Upload-Length": str(row.size)}
    if row.metadata_received:
        headers["Upload-Metadata"] = row.metadata_received
    if row.concat is not None:
        headers["Upload-Concat"] = row.concat
    return Response(status_code=200, headers=headers)


async def end(
    request: Request, identity: str, resource: Resource[ModelT], uploads: RouterUploads, service: FileService[ModelT]
) -> Response:
    """End an upload (section Termination)."""
    async with service.turn():
        await uploads.of(request, service).end(identity)
        await service.commit()
    return Response(status_code=204, headers=HEADERS)


async def begin(
    request: Request, resource: Resource[ModelT], uploads: RouterUploads, service: FileService[ModelT]
) -> Response:
    """Begin an upload, and take what the request has of its bytes (sections Creation and Creation With Upload)."""
    creation = fields.read_creation(header_fields(request))
    named = partial(fields.text_of, creation.fields)
    filename = named("filename", "name") or FALLBACK_NAME
    announced = Announced(
        filename=filename,
        content_type=likely_type(named("filetype", "type", "content_type", "contentType"), filename, None),
        size=creation.length,
        checksum=creation.sha256,
        metadata=creation.metadata,
        concat=creation.concat,
        parts=[part_named(request, url) for url in creation.parts],
    )
    field = uploads.field(named("field"), default=resource.attribute.name)
    async with service.turn():
        row, _ = await uploads.of(request, service).begin(field, announced, expires_in=None)
        identity, expires = row.id, row.expires
        await service.commit()
    place = place_of(request, identity)
    headers = {**HEADERS, "Location": place, "Upload-Expires": fields.write_expires(expires)}
    if media_type(request.headers) == fields.CONTENT_TYPE and not creation.parts:
        answer = await append(request, identity, resource, uploads, service, start=0)
        headers |= {"Upload-Offset": answer.headers["Upload-Offset"]}
    return Response(status_code=201, headers=headers)


def place_of(request: Request, identity: str) -> str:
    """Return the URL of an upload that a request begins, relative to the request's own.

    So it is right below whatever a proxy has before that. To pages of the same host it is the whole path, which the
    server knows then: tus-js-client, given a path for an endpoint, takes what is relative as relative to the page.
    """
    if request.headers.get("origin", "").partition("://")[2] == request.headers.get("host"):
        return f"{path_above(request.scope, 0)}/{identity}"
    return identity if request.scope["path"].endswith("/") else f"uploads/{identity}"


def part_named(request: Request, url: str) -> str:
    """Return the id of the upload that a URL names, of those that are begun where the request is.

    Raises:
        UploadPartError: It is somewhere else.
    """
    here = request.url
    try:
        named = urlsplit(urljoin(str(here), url))
    except ValueError:
        named = urlsplit("")
    above, _, identity = named.path.rpartition("/")
    before = above.removesuffix(here.path.rstrip("/"))
    # A proxy may have another name, and may have left out what it has before the path.
    hosts = {here.netloc, *(host.strip() for host in request.headers.get("x-forwarded-host", "").split(","))}
    if named.netloc not in hosts - {""} or before == above or not PREFIX.fullmatch(before):
        raise UploadPartError(
            f"{url[:80]!a} is no upload that was begun at {here.path}: name its parts as they were told."
        )
    return unquote(identity)


def header_fields(request: Request) -> dict[str, str]:
    """Return the fields of tus by name in lower case; lines of one name are one list (RFC 9110, section 5.3)."""
    names = {name.lower() for name in fields.REQUEST_FIELDS} & set(request.headers.keys())
    return {name: ",".join(request.headers.getlist(name)) for name in names}


async def append(
    request: Request,
    identity: str,
    resource: Resource[ModelT],
    uploads: RouterUploads,
    service: FileService[ModelT],
    *,
    start: int | None = None,
) -> Response:
    """Add the bytes of a request to an upload; `start` is where they belong, if no header says so."""
    if media_type(request.headers) != fields.CONTENT_TYPE:
        raise UnsupportedUploadError(media_type(request.headers), [fields.CONTENT_TYPE])
    given, limits, opened = header_fields(request), resource.limits(), uploads.of(request, service)
    size = None
    if start is None:
        start = fields.read_number("Upload-Offset", given.get("upload-offset", ""))
        if "upload-length" in given:
            size = fields.read_length(given["upload-length"])
    checksum = given.get("upload-checksum")

    def body(lease: Lease) -> AsyncGenerator[bytes, None]:
        field, _ = opened.target_of(lease)
        most = uploads.largest(field)
        if size is not None and size > most:
            raise UploadTooLargeError("file", limit=most, actual=size)
        end = most if lease.size is None else lease.size
        return limited_body(until_wanted(request, lease), max(end - lease.start, 0), pace=limits.pace)

    try:
        received, expires = await Appending(opened, limits.segment).append(
            identity,
            body,
            start=start,
            size=size,
            longest=announced_size(request.headers),
            digests=dict([fields.read_checksum(checksum)]) if checksum is not None else {},
        )
    except DigestMismatchError as error:
        raise Problem(Kind(460, "checksum-mismatch"), str(error), {}, HEADERS) from None
    expiry = fields.write_expires(expires)
    return Response(status_code=204, headers={**HEADERS, "Upload-Offset": str(received), "Upload-Expires": expiry})


ANSWERS: Final[Mapping[str, Callable[..., Awaitable[Response]]]] = {"HEAD": ask, "PATCH": append, "DELETE": end}


def until_wanted(request: Request, lease: Lease) -> Request:
    """Return a request whose client seems to go away once somebody else wants the upload."""

    async def receive() -> Message:
        if lease.is_wanted:
            return {"type": "http.disconnect"}
        waiting = asyncio.timeout(None)  # a task for each message would cost more than all else that is done for it
        try:
            async with waiting:
                lease.interrupt = partial(waiting.reschedule, 0)
                try:
                    return await request.receive()
                finally:
                    lease.interrupt = None
        except TimeoutError:
            if not waiting.expired():
                raise
            return {"type": "http.disconnect"}

    return Request(request.scope, receive)
