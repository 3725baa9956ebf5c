"""Paths with and without their last slash, which people forget: answered where they are, and never redirected.

Starlette would redirect from one to the other, to whatever host the request names: a page of somebody else's, for a
cache that keeps the answer, or for a client that follows it with its credentials.
"""

from typing import Final

from fastapi.routing import APIRoute
from starlette.routing import Match, Mount
from starlette.types import Scope

_EXACTLY: Final = "fastapi_filestore.exactly"
"""Set in the scope of a question whether a route has this very path."""


class SlashRoute(APIRoute):
    """A route that answers under its path with and without a slash at its end, unless another has that very path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether this route answers a request."""
        match, child = super().matches(scope)
        if match is not Match.NONE or scope["type"] != "http" or _EXACTLY in scope:
            return match, child
        path: str = scope["path"]
        if path.endswith("/") == self.path.endswith("/"):
            return match, child
        match, child = super().matches({**scope, "path": path[:-1] if path.endswith("/") else f"{path}/"})
        return (Match.NONE, {}) if match is Match.NONE or _is_anothers(scope) else (match, child)


def _is_anothers(scope: Scope) -> bool:
    exactly = {**scope, _EXACTLY: True}
    # What is mounted takes all paths below it.
    routes = [route for route in scope["app"].routes if not isinstance(route, Mount)]
    return any(route.matches(exactly)[0] is Match.FULL for route in routes)
