"""The application's own limit of bodies, `FastAPI(max_body_size=…)`: uploads have limits that are told to clients.

Where an upload is taken, the application's limit gives way to that of the upload. One that a route of the user's own
carries stays; what it refuses is told as our own refusals are.
"""

import sys
from collections.abc import Iterator
from inspect import signature
from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from fastapi_filestore.errors import UploadTooLargeError

try:
    from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY, RequestBodyLimitMiddleware
except ImportError:  # an older Starlette, which limits nothing
    MAX_BODY_SIZE_SCOPE_KEY, RequestBodyLimitMiddleware = "starlette.max_body_size", None  # type: ignore[misc,assignment]

UNLIMITED = sys.maxsize
"""Bytes: what reads a body here has limits of its own."""
TOO_LARGE = 413


def own_limit() -> dict[str, Any]:
    """Return the arguments of a router whose routes the application's limit does not hold for."""
    return {"max_body_size": UNLIMITED} if "max_body_size" in signature(APIRouter).parameters else {}


async def lift_limit(scope: Scope, receive: Receive, send: Send) -> None:
    """Let a request's body be of any length from now on."""
    if MAX_BODY_SIZE_SCOPE_KEY in scope and RequestBodyLimitMiddleware is not None:
        # Within another limit it sets that one, and does nothing by itself.
        await RequestBodyLimitMiddleware(_nothing, UNLIMITED)(scope, receive, send)


async def lift_app_limit(request: Request) -> None:
    """Let the limit that an application has for all its routes give way to that of an upload."""
    limit = request.scope.get(MAX_BODY_SIZE_SCOPE_KEY)
    if limit is not None and limit == getattr(request.app, "max_body_size", None):
        await lift_limit(request.scope, request.receive, _send_nothing)


async def receive_or_refuse(request: Request) -> Message:
    """Return the next part of a body.

    Raises:
        UploadTooLargeError: A limit that is not ours was passed.
        HTTPException: Something else refuses the body for another reason.
    """
    try:
        return await request.receive()
    except (HTTPException, ExceptionGroup) as error:
        refusal = next(_refusals(error), None)
        if refusal is None:
            raise
        limit = request.scope.get(MAX_BODY_SIZE_SCOPE_KEY)
        if limit is None or limit == UNLIMITED or refusal.status_code != TOO_LARGE:
            raise refusal from None
        await lift_limit(request.scope, request.receive, _send_nothing)  # or the answer would be replaced
        raise UploadTooLargeError("request body", limit=limit) from None


def _refusals(error: BaseException) -> Iterator[HTTPException]:
    """Yield the refusals in an error; a middleware that reads in a task of its own puts them into groups."""
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from _refusals(inner)
    elif isinstance(error, HTTPException):
        yield error


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    pass


async def _send_nothing(message: Message) -> None:
    pass
