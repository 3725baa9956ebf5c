"""Read a request's body as it comes, never past its limit, which may be the application's own (`max_body_size`).

Where an upload is taken, the application's limit gives way to that of the upload. One that a route of the user's own
carries stays; what it refuses is told as our own refusals are.
"""

import json
import sys
from codecs import BOM_UTF8
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from inspect import signature
from typing import TypedDict

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from fastapi_filestore.errors import (
    ClientDisconnectedError,
    ConfigurationError,
    LengthRequiredError,
    MalformedUploadError,
    UnsupportedUploadError,
    UploadTooLargeError,
)
from fastapi_filestore.intake.forms.limits import Pace
from fastapi_filestore.intake.header_parameters import UTF_8, codec_of, read_parameters
from fastapi_filestore.storage.budget import upload_memory
from fastapi_filestore.storage.content import WORTHWHILE
from fastapi_filestore.storage.share import Share
from fastapi_filestore.web.header_fields import (
    JSON,
    announced_size,
    has_body,
    is_json,
    joined_fields,
    media_type,
    refuse_codings,
)
from fastapi_filestore.web.receiving.clients import Listening

UNREAD = "fastapi_filestore.unread"
"""Set in the scope of a request while its body is to be read here and is not read to its end."""
_PIECE = 256 * 1024
"""Bytes that a body which is in memory already is handed on in."""


def expect_body(request: Request) -> None:
    """Note that a request's body is to be read here, unless it is in memory or spent already."""
    state = vars(request)  # Starlette tells it nowhere else
    request.scope.setdefault(UNREAD, "_body" not in state and not state.get("_stream_consumed"))


TooLarge = Callable[[int | None, int], UploadTooLargeError]
"""Makes the error of a body that is too long: of its size, if that is known, and of the limit."""


async def limited_body(
    request: Request, limit: int, *, pace: Pace, memory: Share | None = None, too_large: TooLarge | None = None
) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of a body; at its end, give back the memory in which a reader keeps some of it.

    Raises:
        UploadTooLargeError: It is, or says it is, longer than `limit` bytes.
        SlowUploadError: It comes more slowly than its pace allows.
        UploadMemoryError: Others need the memory that it holds, and it is the slowest.
        LengthRequiredError: There is none.
        ClientDisconnectedError: The client went away before its end.
        ConfigurationError: Something else has read it and kept none of it.
    """
    too_large = too_large or (lambda size, limit: UploadTooLargeError("request body", limit=limit, actual=size))
    expect_body(request)
    whole = _claim_body(request)
    size = announced_size(request.headers) if whole is None else len(whole)
    if size is not None and size > limit:
        raise too_large(size, limit)
    if whole is not None:
        request.scope[UNREAD] = False
        for start in range(0, len(whole), _PIECE):
            yield whole[start : start + _PIECE]
        return
    # Behind what hands on whole bodies, as Mangum does in a Lambda, no header says that there is one.
    received, more, is_certain = 0, True, has_body(request.scope)
    with Listening(pace, memory) as client:
        while more:
            try:  # not Request.stream, which holds each chunk until the next one is asked for
                message = await client.next(request.receive)
            except (HTTPException, ExceptionGroup) as error:
                await _raise_refusal(error, request)
                raise
            if message["type"] == "http.disconnect":
                raise ClientDisconnectedError
            # Before anybody looks at it: whoever refuses the last chunk has nothing left to read.
            more = request.scope[UNREAD] = message.get("more_body", False)
            received += len(message.get("body", b""))
            if not (is_certain or received or more):
                raise LengthRequiredError
            if received > limit:
                raise too_large(None, limit)
            if message.get("body"):
                yield message.pop("body")


def _claim_body(request: Request) -> bytes | None:
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
    """Read fields that come as JSON, unparsed; `UnsupportedUploadError` if the body is anything else than UTF-8."""
    declared = media_type(request.headers)
    if not is_json(declared):
        raise UnsupportedUploadError(declared, [JSON])
    body = await whole_body(request, limit, pace=pace)
    charset, detected = UTF_8, json.detect_encoding(body)
    with suppress(MalformedUploadError):  # what says nothing that can be read says nothing of it
        charset = read_parameters(request.headers["content-type"])[1].get("charset", UTF_8)
    is_other = codec_of(charset) != codec_of(UTF_8) and not body.isascii()
    if is_other or not detected.startswith("utf-8"):
        charset = charset if is_other else detected
        raise UnsupportedUploadError(
            f"{declared}; charset={charset}",
            [JSON],
            sentence=f"JSON in the charset {charset!r} can't be read here: send UTF-8 (RFC 8259, section 8.1).",
        )
    return body.removeprefix(BOM_UTF8)


async def whole_body(request: Request, limit: int, *, pace: Pace) -> bytes:
    """Read a body of fields as it was sent; it raises what `limited_body` does, and refuses what is compressed."""
    refuse_codings(joined_fields(request.headers))
    memory, chunks, size = upload_memory.kept(), list[bytes](), 0
    async for chunk in limited_body(request, limit, pace=pace, memory=memory):
        chunks.append(chunk)
        size += len(chunk)
        if size >= WORTHWHILE:
            await memory.keep(size)
    return b"".join(chunks)


try:
    from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY, RequestBodyLimitMiddleware
except ImportError:  # an older Starlette, which limits nothing
    MAX_BODY_SIZE_SCOPE_KEY, RequestBodyLimitMiddleware = "starlette.max_body_size", None  # type: ignore[misc,assignment]

UNLIMITED = sys.maxsize
"""Bytes: what reads a body here has limits of its own."""
TOO_LARGE = 413


class RouterLimit(TypedDict, total=False):
    """The argument of a router that limits the bodies of its routes, in newer versions of FastAPI."""

    max_body_size: int


def without_app_limit() -> RouterLimit:
    """Return the arguments of a router whose routes the application's limit does not hold for."""
    return {"max_body_size": UNLIMITED} if "max_body_size" in signature(APIRouter).parameters else {}


async def lift_limit(scope: Scope, receive: Receive, send: Send) -> None:
    """Let a request's body be of any length from now on."""
    if MAX_BODY_SIZE_SCOPE_KEY in scope and RequestBodyLimitMiddleware is not None:
        # Within another limit it sets that one, and does nothing by itself.
        await RequestBodyLimitMiddleware(_ignore, UNLIMITED)(scope, receive, send)


async def lift_app_limit(request: Request) -> None:
    """Let the limit that an application has for all its routes give way to that of an upload."""
    limit = request.scope.get(MAX_BODY_SIZE_SCOPE_KEY)
    if limit is not None and limit == getattr(request.app, "max_body_size", None):
        await lift_limit(request.scope, request.receive, _ignore)


async def _raise_refusal(error: Exception, request: Request) -> None:
    """Raise what something that is not ours refuses a body with, if an error says so; our own if it is too long."""
    refusal = next(_refusals_in(error), None)
    if refusal is None:
        return
    limit = request.scope.get(MAX_BODY_SIZE_SCOPE_KEY)
    if limit is None or limit == UNLIMITED or refusal.status_code != TOO_LARGE:
        raise refusal from None
    await lift_limit(request.scope, request.receive, _ignore)  # or the answer would be replaced
    raise UploadTooLargeError("request body", limit=limit) from None


def _refusals_in(error: BaseException) -> Iterator[HTTPException]:
    """Yield the refusals in an error; a middleware that reads in a task of its own puts them into groups."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _refusals_in(inner)
    elif isinstance(error, HTTPException):
        yield error


async def _ignore(*arguments: object) -> None:
    """Be an application that does nothing, or send nothing."""
