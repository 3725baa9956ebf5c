"""Honour the application's own signed URLs, for stores that can't presign: local disk and memory."""

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.errors import (
    InvalidSignatureError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnsupportedUploadError,
)
from fastapi_filestore.events import SIGNED_URL_EXPIRED, SIGNED_URL_REFUSED
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.digests import DigestingStream, client_digests, misstored
from fastapi_filestore.intake.forms.limits import FormLimits
from fastapi_filestore.intake.names import FALLBACK_NAME, FALLBACK_TYPE
from fastapi_filestore.intake.types.media_types import is_same
from fastapi_filestore.storage.paths import can_be_held, is_upload_path
from fastapi_filestore.storage.registry import StorageRegistry
from fastapi_filestore.storage.signing import Method, SignedClaims
from fastapi_filestore.web.header_fields import joined_fields
from fastapi_filestore.web.paths import SIGNED_PATH, SIGNED_ROUTE
from fastapi_filestore.web.preconditions import is_conditional, require_file_state
from fastapi_filestore.web.problems import ProblemRoute
from fastapi_filestore.web.receiving.bodies import limited_body, without_app_limit
from fastapi_filestore.web.receiving.uploads import refuse_fragments
from fastapi_filestore.web.routes.openapi.answers import FILE_RESPONSES, HEAD_RESPONSES, STORED
from fastapi_filestore.web.routes.openapi.bodies import raw_request
from fastapi_filestore.web.routes.openapi.parameters import OF_DOWNLOADS, OF_REPLACEMENTS
from fastapi_filestore.web.routes.openapi.problems import OF_STORES, head_problems, problems
from fastapi_filestore.web.routes.operations import named
from fastapi_filestore.web.routes.resource import Download
from fastapi_filestore.web.serving.headers import shown_tag

SIGNED_URL = f"{SIGNED_PATH}?sig="
"""A signed URL is this and a token: what traces requests, as FastAPI does, hides a `sig` in the query, and no path."""

SIGNED_TAG = "signed urls"

_PROBLEMS = (InvalidSignatureError, ObjectNotFoundError, ObjectExistsError, *OF_STORES)

Token = Annotated[str, Query(alias="sig", description="The token of the signed URL.")]


def signed_router(
    registry: StorageRegistry,
    limits: Callable[[], FormLimits],
    download: Download,
    route_class: type[ProblemRoute] = ProblemRoute,
) -> APIRouter:
    """Build the route: GET and HEAD stream the object that a token names, PUT stores it, once."""
    router = APIRouter(route_class=route_class, tags=[SIGNED_TAG], **without_app_limit())

    async def signed_download(request: Request, token: Token = "") -> Response:
        return await download(request, await _stored_file(registry, _claims(registry, token, method="GET")))

    router.get(
        SIGNED_PATH,
        name=SIGNED_ROUTE,
        generate_unique_id_function=named("download_by_url", SIGNED_TAG, SIGNED_PATH),
        description="The URL is that of one object, until it expires.",
        response_class=Response,
        summary="Download with a signed URL",
        responses={**FILE_RESPONSES, **problems(403, 404, 412, 416, 422, examples=_PROBLEMS)},
        openapi_extra=OF_DOWNLOADS,
    )(signed_download)
    router.head(
        SIGNED_PATH,
        name=f"{SIGNED_ROUTE}_head",
        generate_unique_id_function=named("read_headers_by_url", SIGNED_TAG, SIGNED_PATH),
        description="They are those of the download, whose bytes are not read.",
        response_class=Response,
        summary="Read the headers of a signed download",
        responses={**HEAD_RESPONSES, **head_problems(403, 404, 412, 422)},
        openapi_extra=OF_DOWNLOADS,
    )(signed_download)

    @router.put(
        SIGNED_PATH,
        status_code=201,
        generate_unique_id_function=named("upload_by_url", SIGNED_TAG, SIGNED_PATH),
        description="The URL stores one object, once; a row takes it afterwards.",
        response_class=Response,
        summary="Store the body with a signed URL",
        responses={201: STORED, **problems(400, 403, 408, 409, 411, 412, 413, 415, 422, 507, examples=_PROBLEMS)},
        openapi_extra={**raw_request(), **OF_REPLACEMENTS},
    )
    async def signed_upload(request: Request, token: Token = "") -> Response:
        return await _store(registry, request, _claims(registry, token, method="PUT"), limits())

    return router


async def _store(registry: StorageRegistry, request: Request, claims: SignedClaims, limits: FormLimits) -> Response:
    """Store the body of a request at the path that a token names, once."""
    declared = request.headers.get("content-type", "")
    if claims.content_type and not is_same(declared, claims.content_type):
        raise UnsupportedUploadError(declared, [claims.content_type])
    headers = joined_fields(request.headers)
    refuse_fragments(headers)
    size = limits.file_size if claims.max_size is None else min(limits.file_size, claims.max_size)
    body = DigestingStream(limited_body(request, size, pace=limits.pace), expected=client_digests(headers))
    await _require_state(registry, request, claims)
    backend = registry.get_backend(claims.backend)
    try:
        info = await backend.put(claims.path, body, content_type=claims.content_type, if_absent=True)
    except ObjectExistsError:
        await _require_state(registry, request, claims)  # another client was faster
        raise
    if info.size != body.size:
        with suppress(Exception):  # of the two failures, the first one is told
            await finish(backend.delete(claims.path))
        raise misstored(backend, body, info, filename=claims.filename or claims.path)
    tag = shown_tag(f'"{info.etag.strip(chr(34))}"', info.path) if info.etag else None
    return Response(status_code=201, headers={"ETag": tag} if tag else None)


def _claims(registry: StorageRegistry, token: str, *, method: Method) -> SignedClaims:
    """Return what a token allows; log why if it allows nothing, of which the client hears one and the same word."""
    try:
        return _verify(registry, token, method=method)
    except InvalidSignatureError as error:
        if error.reason == "expired":
            SIGNED_URL_EXPIRED.tell(reason=error.reason)
        else:
            SIGNED_URL_REFUSED.tell(reason=error.reason)
        raise


def _verify(registry: StorageRegistry, token: str, *, method: Method) -> SignedClaims:
    if registry.signer is None:
        raise InvalidSignatureError("no-signing-keys")
    if not token:
        raise InvalidSignatureError("no-token")
    claims = registry.signer.verify(token, method=method)
    # It was right once: backends go, and another version may have signed what this one would not.
    if claims.backend not in registry:
        raise InvalidSignatureError("unknown-backend")
    if not can_be_held(claims.path) or (method == "PUT" and not is_upload_path(claims.path)):
        raise InvalidSignatureError("impossible-path")
    return claims


async def _require_state(registry: StorageRegistry, request: Request, claims: SignedClaims) -> None:
    """Raise `PreconditionFailedError` if a request asks for another state than that of the object, or of none."""
    if not is_conditional(request):
        return
    try:
        require_file_state(request, await _stored_file(registry, claims))
    except ObjectNotFoundError:
        require_file_state(request, None)


async def _stored_file(registry: StorageRegistry, claims: SignedClaims) -> FileObject:
    file = FileObject(
        claims.backend,
        claims.filename or FALLBACK_NAME,
        content_type=claims.content_type or FALLBACK_TYPE,
        path=claims.path,
        registry=registry,
    )
    return await file.look_async()
