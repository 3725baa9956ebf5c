"""A request's body as it comes, never past its limit."""

from collections.abc import AsyncGenerator, Mapping

from fastapi import Request
from starlette.requests import ClientDisconnect

from fastapi_filestore.errors import MalformedUploadError, UnsupportedUploadError, UploadTooLargeError

MULTIPART = "multipart/form-data"
JSON = "application/json"


def media_type(headers: Mapping[str, str]) -> str:
    """Return the type that a body is declared to be of, in lower case and without parameters; empty for none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def announced_size(headers: Mapping[str, str]) -> int | None:
    """Return the bytes that a body is announced to have, if it is."""
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else None


async def limited_body(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a body.

    Raises:
        UploadTooLargeError: It is, or says it is, longer than `limit` bytes.
        MalformedUploadError: The client went away before its end.
    """
    announced = announced_size(request.headers)
    if announced is not None and announced > limit:
        raise UploadTooLargeError("request body", limit=limit, actual=announced)
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received > limit:
                raise UploadTooLargeError("request body", limit=limit)
            yield chunk
    except ClientDisconnect:
        raise MalformedUploadError("The connection was closed before the body's end.") from None


async def json_body(request: Request, limit: int) -> bytes:
    """Read fields that come as JSON, unparsed; `UnsupportedUploadError` if the body is declared as something else."""
    declared = media_type(request.headers)
    if declared != JSON:
        raise UnsupportedUploadError(declared, [JSON])
    return b"".join([chunk async for chunk in limited_body(request, limit)])
