"""A stored file as a response: conditions, ranges, and the bytes as the store streams them, never whole in memory."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from secrets import token_hex

from fastapi import Request, Response

from fastapi_filestore.errors import PreconditionFailedError, RangeNotSatisfiableError, StorageError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.storage.backend import ObjectInfo, ObjectStream
from fastapi_filestore.web.header_fields import joined_fields
from fastapi_filestore.web.request_names import name_request
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
    headers, asked = file_headers(file, options), joined_fields(request.headers)
    if (unchanged := _unchanged(asked, file, headers)) is not None:
        return unchanged
    if request.method == "HEAD":
        return Response(headers=headers | {"Content-Length": str(_size(file, await file.head_async()))})
    # Not every store heeds If-Range, and would send the rest of another file.
    is_current = range_applies(asked, validators_of(file))
    if is_current and (elsewhere := await response_elsewhere(request, file, options, headers)) is not None:
        return elsewhere
    ranges = await _ranges(asked, file)
    if len(ranges) == 1:
        return await _single_range(file, ranges[0], headers)
    return await (_several_ranges(file, ranges, headers) if ranges else _whole(file, headers))


def _unchanged(asked: Mapping[str, str], file: FileObject, headers: Mapping[str, str]) -> Response | None:
    outcome = evaluate(asked, validators_of(file))
    if outcome is Outcome.PRECONDITION_FAILED:
        raise PreconditionFailedError("The file is not in the state that the request names.")
    if outcome is Outcome.PROCEED:
        return None
    kept = {name: value for name, value in headers.items() if name not in ABOUT_BYTES}
    return Response(status_code=outcome.value, headers=kept)


async def _ranges(headers: Mapping[str, str], file: FileObject) -> Sequence[ByteRange]:
    asked = headers.get("range")
    if asked is None or not range_applies(headers, validators_of(file)):
        return ()
    size = file.size if file.size is not None else (await file.head_async()).size
    return requested_ranges(asked, size)


def _size(file: FileObject, info: ObjectInfo) -> int:
    """Return the size that row and store agree on; anything else must not look whole."""
    if file.size is not None and info.size != file.size:
        raise _damaged(file)
    return info.size


def _damaged(file: FileObject) -> StorageError:
    return StorageError(
        f"The object {file.path!a} has not the {file.size:,} bytes that its row says: run an audit, restore it.",
        backend=file.backend,
        key=file.path,
    )


async def _opened(file: FileObject, asked: ByteRange | None = None) -> ObjectStream:
    try:
        stream = await (file.open_async(start=asked.start, end=asked.end) if asked else file.open_async())
    except RangeNotSatisfiableError:  # which what the row says of the size would not have let through
        raise _damaged(file) from None
    try:
        _size(file, stream.info)
    except StorageError:
        await stream.aclose()
        raise
    return stream


async def _whole(file: FileObject, headers: Mapping[str, str]) -> Response:
    stream = await _opened(file)
    return StreamedResponse(stream, size=stream.info.size, headers=headers)


async def _single_range(file: FileObject, asked: ByteRange, headers: Mapping[str, str]) -> Response:
    stream = await _opened(file, asked)
    about = {"Content-Range": asked.content_range(stream.info.size)}
    return StreamedResponse(stream, size=asked.size, status_code=206, headers={**headers, **about})


async def _several_ranges(file: FileObject, ranges: Sequence[ByteRange], headers: Mapping[str, str]) -> Response:
    first, boundary = await _opened(file, ranges[0]), token_hex(16)
    heads = [_part_head(headers["Content-Type"], each.content_range(first.info.size), boundary) for each in ranges]
    end = f"\r\n--{boundary}--\r\n".encode()
    size = sum(map(len, heads)) + sum(each.size for each in ranges) + len(end)
    kind = {"Content-Type": f"multipart/byteranges; boundary={boundary}"}
    parts = _parts(file, first, ranges, heads, end)
    return StreamedResponse(parts, size=size, status_code=206, headers={**headers, **kind})


def _part_head(content_type: str, content_range: str, boundary: str) -> bytes:
    return f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {content_range}\r\n\r\n".encode()


async def _parts(
    file: FileObject, first: ObjectStream, ranges: Sequence[ByteRange], heads: Sequence[bytes], end: bytes
) -> AsyncGenerator[bytes, None]:
    for position, (each, head) in enumerate(zip(ranges, heads, strict=True)):
        yield head
        stream = first if position == 0 else await _opened(file, each)
        async with aclosing(stream):
            async for chunk in stream:
                yield chunk
    yield end
