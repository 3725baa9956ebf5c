"""A request's body as it comes, never past its limit."""

from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial

from fastapi import Request
from starlette.types import Scope

from fastapi_filestore.errors import (
    ClientDisconnectedError,
    ConfigurationError,
    LengthRequiredError,
    UnsupportedUploadError,
    UploadTooLargeError,
)
from fastapi_filestore.intake.limits import Pace
from fastapi_filestore.storage.budget import upload_memory
from fastapi_filestore.storage.content import WORTHWHILE
from fastapi_filestore.storage.share import Share
from fastapi_filestore.web.body_limit import receive_or_refuse
from fastapi_filestore.web.fields import combined
from fastapi_filestore.web.listening import Listening

MULTIPART = "multipart/form-data"
JSON = "application/json"
UNREAD = "fastapi_filestore.unread"
"""Set in the scope of a request while its body is to be read here and is not read to its end."""
ABOUT_LENGTH = (b"content-length", b"transfer-encoding")
_PIECE = 256 * 1024
"""Bytes that a body which is in memory already is handed on in."""


def media_type(headers: Mapping[str, str]) -> str:
    """Return the type that a body is declared to be of, in lower case and without parameters; empty for none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def announced_size(headers: Mapping[str, str]) -> int | None:
    """Return the bytes that a body is announced to have, if it is."""
    length = headers.get("content-length", "")
    # More digits than any body has; int() would refuse thousands of them.
    return int(length.lstrip("0")[:20] or "0") if length.isdecimal() else None


def refuse_codings(fields: Mapping[str, str]) -> None:
    """Raise `UnsupportedUploadError` for a body that is compressed: what comes is stored and parsed as it is."""
    encoding = fields.get("content-encoding", "")
    if not {each.strip().lower() for each in encoding.split(",")} <= {"", "identity"}:
        raise UnsupportedUploadError(f"{media_type(fields)}, encoded as {encoding}", ["it without Content-Encoding"])


def has_body(scope: Scope) -> bool:
    """Tell whether a request says that it has a body (RFC 9112, section 6), or need not: newer versions of HTTP."""
    return not scope["http_version"].startswith("1") or any(name in ABOUT_LENGTH for name, _ in scope["headers"])


def expect_body(request: Request) -> None:
    """Note that a request's body is to be read here, unless it is in memory or spent already."""
    state = vars(request)  # Starlette tells it nowhere else
    request.scope.setdefault(UNREAD, "_body" not in state and not state.get("_stream_consumed"))


Refused = Callable[[int | None, int], UploadTooLargeError]


def _refused(size: int | None, limit: int) -> UploadTooLargeError:
    return UploadTooLargeError("request body", limit=limit, actual=size)


async def limited_body(
    request: Request,
    limit: int,
    *,
    pace: Pace,
    memory: Share | None = None,
    refused: Refused = _refused,
) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a body; at its end, give back the memory in which a reader keeps some of it.

    `refused` makes the error of a body that is too long, of its size, if that is known, and of the limit.

    Raises:
        UploadTooLargeError: It is, or says it is, longer than `limit` bytes.
        SlowUploadError: It comes more slowly than its pace allows.
        UploadMemoryError: Others need the memory that it holds, and it is the slowest.
        LengthRequiredError: There is none.
        ClientDisconnectedError: The client went away before its end.
        ConfigurationError: Something else has read it and kept none of it.
    """
    expect_body(request)
    whole = _taken(request)
    _check_size(announced_size(request.headers) if whole is None else len(whole), limit, refused)
    if whole is not None:
        request.scope[UNREAD] = False
        for start in range(0, len(whole), _PIECE):
            yield whole[start : start + _PIECE]
        return
    # Behind what hands on whole bodies, as Mangum does in a Lambda, no header says that there is one.
    received, more, is_certain = 0, True, has_body(request.scope)
    with Listening(pace, memory) as client:
        while more:
            # Not Request.stream, which holds each chunk until the next one is asked for.
            message = await client.next(partial(receive_or_refuse, request))
            if message["type"] == "http.disconnect":
                raise ClientDisconnectedError
            # Before anybody looks at it: whoever refuses the last chunk has nothing left to read.
            more = request.scope[UNREAD] = message.get("more_body", False)
            received += len(message.get("body", b""))
            if not (is_certain or received or more):
                raise LengthRequiredError
            if received > limit:
                raise refused(None, limit)
            if message.get("body"):
                yield message.pop("body")


def _check_size(size: int | None, limit: int, refused: Refused) -> None:
    if size is not None and size > limit:
        raise refused(size, limit)


def _taken(request: Request) -> bytes | None:
    """Take the right to read a body; return all of it if `Request.body` has read it already."""
    state = vars(request)
    whole: bytes | None = state.get("_body")
    if whole is None and state.get("_stream_consumed"):
        # There is nothing to come, and a server would let us wait for it for ever.
        raise ConfigurationError(
            f"The body of {request.method} {request.url.path} was read before its upload: take form fields with "
            "`fields=`, several files with `files.uploads(...)`, and let a dependency that must see the body read all "
            "of it with `await request.body()`."
        )
    if whole == b"" and not has_body(request.scope):
        raise LengthRequiredError
    state["_stream_consumed"] = True  # who asks for it from now on hears so at once
    return whole


async def json_body(request: Request, limit: int, *, pace: Pace) -> bytes:
    """Read fields that come as JSON, unparsed; `UnsupportedUploadError` if the body is anything else."""
    declared = media_type(request.headers)
    if declared != JSON:
        raise UnsupportedUploadError(declared, [JSON])
    refuse_codings(combined(request.headers))
    memory, kept, size = upload_memory.kept(), list[bytes](), 0
    async for chunk in limited_body(request, limit, pace=pace, memory=memory):
        kept.append(chunk)
        size += len(chunk)
        if size >= WORTHWHILE:
            await memory.keep(size)
    return b"".join(kept)
