"""Where clients reach the route of signed URLs: below mounts, prefixes and root paths, as the application has them."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Mount, NoMatchFound

from fastapi_filestore.events import PUBLIC_URL_MISSING

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


def root_path_of(connection: HTTPConnection, app: FastAPI) -> str:
    """Return the path that an application is reached at in this request, which one mounted in it may be answering."""
    scope: Any = connection.scope
    own: str = scope.get("root_path", "")
    root = own if scope.get("app") is app else scope.get("app_root_path", own)
    return quote(root.rstrip("/"))
