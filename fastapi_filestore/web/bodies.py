"""A request's body as it comes, never past its limit."""

from collections.abc import AsyncGenerator, Mapping

from fastapi import Request
from starlette.types import Scope

from fastapi_filestore.errors import (
    ClientDisconnectedError,
    LengthRequiredError,
    UnsupportedUploadError,
    UploadTooLargeError,
)

MULTIPART = "multipart/form-data"
JSON = "application/json"
UNREAD = "fastapi_filestore.unread"
"""Set in the scope of a request while its body is to be read here and is not read to its end."""


def media_type(headers: Mapping[str, str]) -> str:
    """Return the type that a body is declared to be of, in lower case and without parameters; empty for none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def announced_size(headers: Mapping[str, str]) -> int | None:
    """Return the bytes that a body is announced to have, if it is."""
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


def has_body(scope: Scope) -> bool:
    """Tell whether a request has a body (RFC 9112, section 6); newer versions of HTTP need no header to say so."""
    names = {name for name, _ in scope["headers"]}
    return not scope["http_version"].startswith("1") or not names.isdisjoint({b"content-length", b"transfer-encoding"})


async def limited_body(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a body.

    Raises:
        UploadTooLargeError: It is, or says it is, longer than `limit` bytes.
        LengthRequiredError: There is none.
        ClientDisconnectedError: The client went away before its end.
    """
    request.scope[UNREAD] = True
    if not has_body(request.scope):
        raise LengthRequiredError
    announced = announced_size(request.headers)
    if announced is not None and announced > limit:
        raise UploadTooLargeError("request body", limit=limit, actual=announced)
    received, more = 0, True
    while more:
        # Not Request.stream, which holds each chunk until the next one is asked for.
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        # Before anybody looks at it: whoever refuses the last chunk has nothing left to read.
        more = request.scope[UNREAD] = message.get("more_body", False)
        received += len(message.get("body", b""))
        if received > limit:
            raise UploadTooLargeError("request body", limit=limit)
        if message.get("body"):
            yield message.pop("body")


async def json_body(request: Request, limit: int) -> bytes:
    """Read fields that come as JSON, unparsed; `UnsupportedUploadError` if the body is declared as something else."""
    declared = media_type(request.headers)
    if declared != JSON:
        raise UnsupportedUploadError(declared, [JSON])
    return b"".join([chunk async for chunk in limited_body(request, limit)])
