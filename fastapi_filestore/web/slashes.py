"""Slashes of paths that people forget, or write twice.

Paths with and without their last slash are answered where they are, and never redirected.

Starlette would redirect from one to the other, to whatever host the request names: a page of somebody else's, for a
cache that keeps the answer, or for a client that follows it with its credentials.
"""

from typing import Final

from fastapi.routing import APIRoute
from starlette.routing import Match, Mount
from starlette.types import Scope

_EXACTLY: Final = "fastapi_filestore.exactly"
"""Set in the scope of a question whether a route has this very path."""
_ASKED: Final = "fastapi_filestore.asked"
"""Has the path that a request asks for; a router that finds none tries another one in a copy of the scope."""


def root_of(scope: Scope) -> str:
    """Return the path that clients reach the application at, without a slash at its end."""
    root: str = scope.get("root_path", "")
    outer: str = scope.get("app_root_path", root)  # that of the server, which what is mounted is below
    return (outer.rstrip("/") + root.removeprefix(outer)).rstrip("/")


def path_of(scope: Scope) -> str:
    """Return the path that a client asks for, from the root of the host on."""
    # A proxy that strips a prefix says so in the root path, which the request's own path then lacks.
    path: str = scope["path"]
    root: str = scope.get("app_root_path", scope.get("root_path", ""))
    inner = path.removeprefix(root) if path.startswith(f"{root}/") else path
    return root.rstrip("/") + inner  # uvicorn has two slashes there if the root path ends with one


class SlashRoute(APIRoute):
    """A route that answers under its path with and without a slash at its end, unless another has that very path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether this route answers a request."""
        if scope["type"] != "http":
            return super().matches(scope)
        path: str = scope["path"]
        if _is_tried(path, scope.setdefault(_ASKED, path)):
            return Match.NONE, {}
        match, child = super().matches(scope)
        if match is not Match.NONE or _EXACTLY in scope:
            return match, child
        if path.endswith("/") == self.path.endswith("/"):
            return match, child
        match, child = super().matches({**scope, "path": path[:-1] if path.endswith("/") else f"{path}/"})
        return (Match.NONE, {}) if match is Match.NONE or _is_anothers(scope) else (match, child)


def _is_tried(path: str, asked: str) -> bool:
    """Tell whether a router asks for a path to redirect to: that of the request with a slash more, or without any."""
    return path != asked and path.rstrip("/") == asked.rstrip("/")


def _is_anothers(scope: Scope) -> bool:
    exactly = {**scope, _EXACTLY: True}
    # What is mounted takes all paths below it.
    routes = [route for route in scope["app"].routes if not isinstance(route, Mount)]
    return any(route.matches(exactly)[0] is Match.FULL for route in routes)
