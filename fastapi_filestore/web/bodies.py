"""A request's body as it comes, never past its limit."""

from collections.abc import AsyncGenerator, Mapping

from fastapi import Request
from starlette.requests import ClientDisconnect

from fastapi_filestore.errors import MalformedUploadError, UnsupportedUploadError, UploadTooLargeError


def check_media_type(headers: Mapping[str, str], expected: str) -> None:
    """Raise `UnsupportedUploadError` unless a body is declared to be of the expected type."""
    declared = headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != expected:
        raise UnsupportedUploadError(declared, [expected])


async def limited_body(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a body.

    Raises:
        UploadTooLargeError: It is, or says it is, longer than `limit` bytes.
        MalformedUploadError: The client went away before its end.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise UploadTooLargeError("request body", limit=limit, actual=int(length))
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received > limit:
                raise UploadTooLargeError("request body", limit=limit)
            yield chunk
    except ClientDisconnect:
        raise MalformedUploadError("The connection was closed before the body's end.") from None
