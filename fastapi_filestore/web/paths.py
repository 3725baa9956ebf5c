"""Find the paths that clients reach the application by, and name requests in the log, without their tokens.

Paths lie below mounts, prefixes and root paths, with any last slash; a request is its method, its path, and the id that
others know it by.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match, Mount, NoMatchFound
from starlette.types import Receive, Scope, Send

from fastapi_filestore.events import PUBLIC_URL_MISSING
from fastapi_filestore.logs import note_request
from fastapi_filestore.storage.signing import REACHED_AT
from fastapi_filestore.telemetry import redact_current_span

SIGNED_PATH = "/filestore"
"""Where the route of signed URLs lives, below whatever its router is included with."""
SIGNED_ROUTE = "signed_download"
"""The name of what answers there."""

_EXACTLY: Final = "fastapi_filestore.exactly"
"""Set in the scope of a question whether a route has this very path."""
_ASKED: Final = "fastapi_filestore.asked"
"""Has the path that a request asks for; a router that finds none tries another one in a copy of the scope."""


def path_above(scope: Scope, segments: int) -> str:
    """Return the path, from the root of the host on, that is so many segments above the one that a client asks for."""
    # A proxy that strips a prefix says so in the root path, which the request's own path then lacks.
    path: str = scope["path"]
    root: str = scope.get("app_root_path", scope.get("root_path", ""))
    inner = path.removeprefix(root) if path.startswith(f"{root}/") else path
    whole = (root.rstrip("/") + inner).removesuffix("/")  # uvicorn has two there if the root path ends with one
    return quote(whole.rsplit("/", segments)[0] if segments else whole)


class SlashRoute(APIRoute):
    """A route that answers under its path with and without a slash at its end, unless another has that very path.

    Starlette would redirect from one to the other, to whatever host the request names: a page of somebody else's, for a
    cache that keeps the answer, or for a client that follows it with its credentials.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether this route answers a request."""
        if scope["type"] != "http":
            return super().matches(scope)
        path: str = scope["path"]
        requested: str = scope.setdefault(_ASKED, path)
        if path != requested and path.rstrip("/") == requested.rstrip("/"):  # a router asks for a path to redirect to
            return Match.NONE, {}
        match, child = super().matches(scope)
        if match is not Match.NONE or _EXACTLY in scope:
            return match, child
        if path.endswith("/") == self.path.endswith("/"):
            return match, child
        match, child = super().matches({**scope, "path": path[:-1] if path.endswith("/") else f"{path}/"})
        if match is not Match.NONE:
            exact = {**scope, _EXACTLY: True}
            # What is mounted takes all paths below it.
            others = [route for route in scope["app"].routes if not isinstance(route, Mount)]
            if any(route.matches(exact)[0] is Match.FULL for route in others):
                return Match.NONE, {}
        return match, child


def signed_url_of(app: FastAPI) -> tuple[str, bool]:
    """Return what a token is appended to, below the root path, and whether a route is there; log if there is none."""
    # A prefix with a parameter has as many paths as the parameter has values.
    path = next((path for path in _paths_of(app.routes, SIGNED_ROUTE) if path.endswith(SIGNED_PATH)), None)
    if path is None:
        PUBLIC_URL_MISSING.tell(url_path=SIGNED_PATH)
    return f"{path or SIGNED_PATH}?sig=", path is not None


def path_of_route(scope: Scope, name: str) -> str | None:
    """Return the path, from the root of the host on, of the one route of a name that an application has.

    It is without a last slash, and None where there is no such route, or several, or one with parameters.
    """
    paths = {path.rstrip("/") for path in _paths_of(scope["app"].routes, name)}
    return quote(scope.get("root_path", "").rstrip("/")) + paths.pop() if len(paths) == 1 else None


def _paths_of(routes: Iterable[BaseRoute], name: str) -> Iterator[str]:
    """Yield the paths, below these routes, of the routes of a name that have no parameters."""
    for route in routes:
        if isinstance(route, Mount):
            if "{" not in route.path:
                yield from (quote(route.path) + inner for inner in _paths_of(route.routes, name))
            continue
        with suppress(NoMatchFound):
            yield str(route.url_path_for(name))


def root_path(app: FastAPI) -> str:
    """Return the path that an application says it is reached at."""
    return quote(app.root_path.rstrip("/"))


@contextmanager
def noting_root_path(app: FastAPI) -> Iterator[None]:
    """While the block runs, note for what signs URLs below which root path a request reaches the application.

    Middleware can't be added any more once an application starts, so this wraps all that there is, or will be by the
    first request.
    """
    inner = app.middleware_stack

    async def reach(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal inner
        inner = inner or app.build_middleware_stack()
        path, query = scope.get("path", ""), scope.get("query_string", b"")
        if "sig" in path.lower() or f"{SIGNED_PATH}/" in path or b"sig" in query.lower():
            redact_current_span(without_any_token)
        root: str = scope.get("root_path", "")
        outer: str = scope.get("app_root_path", root)  # that of the server, which what is mounted is below
        token = REACHED_AT.set(quote((outer.rstrip("/") + root.removeprefix(outer)).rstrip("/")))
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


ACCESS_LOG = "uvicorn.access"
"""Where uvicorn, also under gunicorn, writes the path of each request."""

_TOKEN = re.compile(rf"({SIGNED_PATH}[/?])[^\s#\"']+|([?&]sig=)[^\s&#\"']+")
"""Whatever follows the route, however a client spells it, and a `sig` elsewhere: a store's own URL may have one."""


class RedactSignedURLs(logging.Filter):
    """Takes the tokens of signed URLs out of what is logged; give it to the access log of any other server."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record, and let it through."""
        record.msg = _redact(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(map(_redact, record.args))
        return True


def _redact(value: object) -> object:
    return without_token(value) if isinstance(value, str) else value


_ENCODED_TOKEN = re.compile(
    r"((?:^|[^a-z0-9]|%(?:25){0,9}[0-9a-f]{2})sig(?:=|%(?:25){0,9}3d))[^\s&#\"']+", re.IGNORECASE
)
"""What follows `sig=` however a link was mangled: in other letters, or escaped, perhaps several times."""


def without_any_token(text: str) -> str:
    """Return what others told of a request, whose link may be mangled, without what may be a token."""
    return _ENCODED_TOKEN.sub(r"\1[redacted]", without_token(text))


def without_token(text: str) -> str:
    """Return what was said of a request without the token of a signed URL."""
    return _TOKEN.sub(r"\1\2[redacted]", text)


@contextmanager
def redacting_access_log() -> Iterator[None]:
    """Keep signed URLs out of the access log while the block runs."""
    log, redaction = logging.getLogger(ACCESS_LOG), RedactSignedURLs()
    log.addFilter(redaction)
    try:
        yield
    finally:
        log.removeFilter(redaction)


_NOTED: Final = "fastapi_filestore.request"
_HEADER: Final = b"x-request-id"
_IN_STATE: Final = ("request_id", "correlation_id", "trace_id")
"""Where middlewares that give requests their ids put them."""
_SANE: Final = re.compile(r"[\w.:/+=@-]{1,128}", re.ASCII)
"""An id is a name, and no text of a stranger's."""


@dataclass(slots=True, weakref_slot=True, eq=False, repr=False)
class RequestName:
    """Knows of a request what the log says of it; the request holds it, so that it is gone with it."""

    method: str
    path: str
    headers: Iterable[tuple[bytes, bytes]]
    state: Mapping[str, object]

    def facts(self) -> Mapping[str, str]:
        """Return its method, its path and, where it has one, its id: that of the application, or the client's."""
        facts = {"method": self.method, "path": without_token(self.path or "/")}
        given = next((self.state[name] for name in _IN_STATE if self.state.get(name) is not None), None)
        sent = next((value.decode("latin-1") for name, value in self.headers if name.lower() == _HEADER), None)
        ids = [str(found) for found in (given, sent) if found is not None]
        sane = next(filter(_SANE.fullmatch, ids), None)
        return facts if sane is None else {**facts, "request_id": sane}


def name_request(scope: Scope) -> None:
    """Say in the log which request it is about, from here on, in this task."""
    name = scope.get(_NOTED)
    if name is None:
        method, path, headers = scope.get("method", "WEBSOCKET"), scope.get("path", ""), scope.get("headers", ())
        name = scope[_NOTED] = RequestName(method, path, headers, scope.setdefault("state", {}))
    note_request(name)
