"""Where clients reach the route of signed URLs: below mounts, prefixes and root paths, as the application has them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount, NoMatchFound
from starlette.types import Receive, Scope, Send

from fastapi_filestore.events import PUBLIC_URL_MISSING
from fastapi_filestore.storage.signing import REACHED_AT
from fastapi_filestore.web.slashes import root_of

SIGNED_PATH = "/filestore"
"""Where the route lives, below whatever its router is included with."""
SIGNED_ROUTE = "signed_download"
"""The name of what answers there."""


def signed_url_of(app: FastAPI) -> str:
    """Return what a token is appended to, below the application's root path; log that it can't be known if so."""
    path = _signed_path(app.routes)
    if path is None:
        PUBLIC_URL_MISSING.tell(url_path=SIGNED_PATH)
    return f"{path or SIGNED_PATH}?sig="


def _signed_path(routes: Iterable[BaseRoute]) -> str | None:
    """Return the path of the route of signed URLs, below these routes; None if it is not among them, or not one path.

    A prefix with a parameter has as many paths as the parameter has values.
    """
    for route in routes:
        if isinstance(route, Mount):
            if "{" not in route.path and (inner := _signed_path(route.routes)) is not None:
                return quote(route.path) + inner
            continue
        with suppress(NoMatchFound):
            path = str(route.url_path_for(SIGNED_ROUTE))
            if path.endswith(SIGNED_PATH):
                return path
    return None


def root_path(app: FastAPI) -> str:
    """Return the path that an application says it is reached at."""
    return quote(app.root_path.rstrip("/"))


@contextmanager
def reached(app: FastAPI) -> Iterator[None]:
    """Tell what signs URLs, while the block runs, below which root path a request reaches the application.

    Middleware can't be added any more once an application starts, so this wraps all that there is, or will be by the
    first request.
    """
    inner = app.middleware_stack

    async def reach(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal inner
        inner = inner or app.build_middleware_stack()
        token = REACHED_AT.set(quote(root_of(scope)))
        try:
            await inner(scope, receive, send)
        finally:
            REACHED_AT.reset(token)

    app.middleware_stack = reach
    try:
        yield
    finally:
        if app.middleware_stack is reach:
            app.middleware_stack = inner
