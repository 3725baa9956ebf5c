"""A stored file as a response: conditions, ranges, and the bytes as the store streams them, never whole in memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from secrets import token_hex

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from fastapi_filestore.errors import PreconditionFailedError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.storage.backend import ObjectStream
from fastapi_filestore.web.conditions import Outcome, Validators, evaluate, range_applies
from fastapi_filestore.web.headers import entity_tag, file_headers
from fastapi_filestore.web.ranges import ByteRange, requested_ranges

ABOUT_BYTES = {"Content-Type", "Content-Disposition", "Repr-Digest"}
"""Headers that a 304 leaves out: they describe bytes that it does not send (RFC 9110, section 15.4.5)."""


async def download(request: Request, file: FileObject) -> Response:
    """Return the response to GET: the file, the ranges of it that were asked for, or that it has not changed.

    Raises:
        PreconditionFailedError: If-Match or If-Unmodified-Since names another state.
        RangeNotSatisfiableError: Every range begins after the end.
        ObjectNotFoundError: The store has lost the bytes.
    """
    if (unchanged := _unchanged(request.headers, file)) is not None:
        return unchanged
    ranges = await _ranges(request.headers, file)
    if len(ranges) == 1:
        return await _single_range(file, ranges[0])
    return await (_several_ranges(file, ranges) if ranges else _whole(file))


async def download_head(request: Request, file: FileObject) -> Response:
    """Return the response to HEAD: what GET would say without a range, so the store is asked, too."""
    if (unchanged := _unchanged(request.headers, file)) is not None:
        return unchanged
    info = await file.head_async()
    return Response(headers=file_headers(file) | {"Content-Length": str(info.size)})


def _validators(file: FileObject) -> Validators:
    return Validators(entity_tag(file), file.last_modified)


def _unchanged(headers: Mapping[str, str], file: FileObject) -> Response | None:
    outcome = evaluate(headers, _validators(file))
    if outcome is Outcome.PRECONDITION_FAILED:
        raise PreconditionFailedError("The file is not in the state that the request names.")
    if outcome is Outcome.PROCEED:
        return None
    kept = {name: value for name, value in file_headers(file).items() if name not in ABOUT_BYTES}
    return Response(status_code=outcome.value, headers=kept)


async def _ranges(headers: Mapping[str, str], file: FileObject) -> Sequence[ByteRange]:
    asked = headers.get("range")
    if asked is None or not range_applies(headers, _validators(file)):
        return ()
    size = file.size if file.size is not None else (await file.head_async()).size
    return requested_ranges(asked, size)


async def _whole(file: FileObject) -> Response:
    stream = await file.open_async()
    return StreamingResponse(stream, headers=file_headers(file) | {"Content-Length": str(stream.info.size)})


async def _single_range(file: FileObject, asked: ByteRange) -> Response:
    stream = await file.open_async(start=asked.start, end=asked.end)
    about = {"Content-Range": asked.content_range(stream.info.size), "Content-Length": str(asked.size)}
    return StreamingResponse(stream, status_code=206, headers=file_headers(file) | about)


async def _several_ranges(file: FileObject, ranges: Sequence[ByteRange]) -> Response:
    first = await file.open_async(start=ranges[0].start, end=ranges[0].end)
    headers, boundary = file_headers(file), token_hex(16)
    heads = [_part_head(headers["Content-Type"], each.content_range(first.info.size), boundary) for each in ranges]
    end = f"\r\n--{boundary}--\r\n".encode()
    headers |= {
        "Content-Type": f"multipart/byteranges; boundary={boundary}",
        "Content-Length": str(sum(map(len, heads)) + sum(each.size for each in ranges) + len(end)),
    }
    return StreamingResponse(_parts(file, first, ranges, heads, end), status_code=206, headers=headers)


def _part_head(content_type: str, content_range: str, boundary: str) -> bytes:
    return f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {content_range}\r\n\r\n".encode()


async def _parts(
    file: FileObject, first: ObjectStream, ranges: Sequence[ByteRange], heads: Sequence[bytes], end: bytes
) -> AsyncIterator[bytes]:
    for position, (each, head) in enumerate(zip(ranges, heads, strict=True)):
        yield head
        stream = first if position == 0 else await file.open_async(start=each.start, end=each.end)
        async for chunk in stream:
            yield chunk
    yield end
