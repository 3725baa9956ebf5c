"""A request's body as it comes, never past its limit."""

from collections.abc import AsyncGenerator

from fastapi import Request
from starlette.requests import ClientDisconnect

from fastapi_filestore.errors import MalformedUploadError, UploadTooLargeError


async def limited_body(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a body.

    Raises:
        UploadTooLargeError: It is longer than `limit` bytes.
        MalformedUploadError: The client went away before its end.
    """
    received = 0
    try:
        async for chunk in request.stream():
            received += len(chunk)
            if received > limit:
                raise UploadTooLargeError("request body", limit=limit)
            yield chunk
    except ClientDisconnect:
        raise MalformedUploadError("The connection was closed before the body's end.") from None
