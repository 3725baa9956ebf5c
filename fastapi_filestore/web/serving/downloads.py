"""Answer with a stored file: conditions, ranges, and the bytes as the store streams them, never whole in memory."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from secrets import token_hex

from fastapi import Request, Response

from fastapi_filestore.errors import PreconditionFailedError, RangeNotSatisfiableError, StorageError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.storage.backend import ObjectInfo, ObjectStream
from fastapi_filestore.web.header_fields import joined_fields
from fastapi_filestore.web.paths import name_request
from fastapi_filestore.web.serving.conditions import Outcome, evaluate, range_applies
from fastapi_filestore.web.serving.headers import file_headers, validators_of
from fastapi_filestore.web.serving.options import PRIVATELY, DownloadOptions
from fastapi_filestore.web.serving.ranges import ByteRange, requested_ranges
from fastapi_filestore.web.serving.redirects import response_elsewhere
from fastapi_filestore.web.serving.streaming import StreamedResponse

ABOUT_BYTES = {"Content-Type", "Content-Disposition", "Repr-Digest"}
"""Headers that a 304 leaves out: they describe bytes that it does not send (RFC 9110, section 15.4.5)."""


async def download(request: Request, file: FileObject, options: DownloadOptions = PRIVATELY) -> Response:
    """Return the response to GET or HEAD: the file, ranges of it, where it is, or that it has not changed.

    Conditions are decided here, whichever way the bytes go. So is HEAD: a URL that the store signs is good for GET
    alone.

    Raises:
        PreconditionFailedError: If-Match or If-Unmodified-Since names another state.
        RangeNotSatisfiableError: Every range begins after the end.
        ObjectNotFoundError: The store has lost the bytes.
        StorageError: The store has other bytes, or can't be asked.
    """
    name_request(request.scope)
    fields, validators = joined_fields(request.headers), validators_of(file)
    headers = file_headers(file, options, validators)
    outcome = evaluate(fields, validators)
    if outcome is Outcome.PRECONDITION_FAILED:
        raise PreconditionFailedError("The file is not in the state that the request names.")
    if outcome is Outcome.NOT_MODIFIED:
        kept = {name: value for name, value in headers.items() if name not in ABOUT_BYTES}
        return Response(status_code=outcome.value, headers=kept)
    if request.method == "HEAD":
        return Response(headers=headers | {"Content-Length": str(agreed_size(file, await file.head_async()))})
    ranges: Sequence[ByteRange] = ()
    if range_applies(fields, validators):  # not every store heeds If-Range, and would send the rest of another file
        elsewhere = await response_elsewhere(request, file, options, headers)
        if elsewhere is not None:
            return elsewhere
        if (header := fields.get("range")) is not None:
            size = file.size if file.size is not None else (await file.head_async()).size
            ranges = requested_ranges(header, size)
    stream = await open_agreed(file, ranges[0] if ranges else None)
    if not ranges:
        return StreamedResponse(stream, size=stream.info.size, headers=headers)
    if len(ranges) > 1:
        return _several_ranges(file, stream, ranges, headers)
    headers["Content-Range"] = ranges[0].content_range(stream.info.size)
    return StreamedResponse(stream, size=ranges[0].size, status_code=206, headers=headers)


def _several_ranges(
    file: FileObject, first: ObjectStream, ranges: Sequence[ByteRange], headers: Mapping[str, str]
) -> Response:
    """Return the response whose body has a part for each range (RFC 9110, section 14.6); the first one is open."""
    boundary = token_hex(16)
    about = f"\r\n--{boundary}\r\nContent-Type: {headers['Content-Type']}\r\nContent-Range: "
    heads = [f"{about}{byte_range.content_range(first.info.size)}\r\n\r\n".encode() for byte_range in ranges]
    end = f"\r\n--{boundary}--\r\n".encode()

    async def send_parts() -> AsyncGenerator[bytes, None]:
        for position, (byte_range, head) in enumerate(zip(ranges, heads, strict=True)):
            yield head
            stream = first if position == 0 else await open_agreed(file, byte_range)
            async with aclosing(stream):
                async for chunk in stream:
                    yield chunk
        yield end

    size = sum(map(len, heads)) + sum(byte_range.size for byte_range in ranges) + len(end)
    headers = {**headers, "Content-Type": f"multipart/byteranges; boundary={boundary}"}
    return StreamedResponse(send_parts(), size=size, status_code=206, headers=headers)


async def open_agreed(file: FileObject, byte_range: ByteRange | None = None) -> ObjectStream:
    """Open a file, or a range of it, whose row and store agree on its size; `StorageError` if they do not."""
    try:
        stream = await (
            file.open_async(start=byte_range.start, end=byte_range.end) if byte_range else file.open_async()
        )
    except RangeNotSatisfiableError:  # which what the row says of the size would not have let through
        raise _damage_of(file) from None
    try:
        agreed_size(file, stream.info)
    except StorageError:
        await stream.aclose()
        raise
    return stream


def agreed_size(file: FileObject, info: ObjectInfo) -> int:
    """Return the size that row and store agree on; anything else must not look whole."""
    if file.size is not None and info.size != file.size:
        raise _damage_of(file)
    return info.size


def _damage_of(file: FileObject) -> StorageError:
    return StorageError(
        f"The object {file.path!a} of backend {file.backend!r} has not the {file.size:,} bytes that its row says: "
        "run an audit, restore it.",
        backend=file.backend,
        path=file.path,
    )
