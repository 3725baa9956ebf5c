"""One table from errors to problem details (RFC 9457)."""

import json
import os
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from sysconfig import get_path
from traceback import walk_tb
from typing import Any, ClassVar

from fastapi import HTTPException, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from starlette.routing import Match
from starlette.status import WS_1008_POLICY_VIOLATION, WS_1011_INTERNAL_ERROR
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketState

from fastapi_filestore import errors
from fastapi_filestore.events import PROBLEM
from fastapi_filestore.orm.failures.translate import is_of_database, translate_error
from fastapi_filestore.telemetry import COLLECTOR
from fastapi_filestore.web.header_fields import AS_DECLARED
from fastapi_filestore.web.known_queries import UNKNOWN_QUERY, unknown_query
from fastapi_filestore.web.paths import SlashRoute, name_request
from fastapi_filestore.web.quoting import MAX_DETAIL, MAX_QUOTED, cut, field_problems
from fastapi_filestore.web.receiving.bodies import UNREAD, lift_limit
from fastapi_filestore.web.receiving.clients import Exchange

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:fastapi-filestore:"
"""Types are names to compare, no addresses: a library has none of its own (RFC 9457, section 3.1.1)."""
DENIAL = "websocket.http.response"
"""What a server says that it can do if it lets a handshake be refused with a response: others answer 403."""
RETRY_SECONDS = 5
"""When to ask again a store that is down: after the library's own retries have had theirs."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A problem that errors become: a status, a name, a text where the error's own is not for clients, and its data."""

    status: int
    name: str
    detail: str | None = None
    members: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """The name as a URI that never changes."""
        return PREFIX + self.name

    @property
    def title(self) -> str:
        """The name as people write it, which is the same for every occurrence (RFC 9457, section 3.1.3)."""
        return self.name.replace("-", " ").capitalize()


_NOT_THE_APPLICATION = (
    *(f"{get_path(name)}{os.sep}" for name in ("stdlib", "purelib", "platlib")),
    f"{Path(errors.__file__).parents[1]}{os.sep}",
    "<",
)
"""Where the code of Python, of installed packages and of this one is, and what has no file."""
_OUT_OF_ORDER = "The file store is not set up as it should be; the operators have been told."
_UNAVAILABLE = "The file store can't be reached, or failed, at the moment. Try again later."
_FULL = "The file store has no room for the file at the moment; the operators have been told."
_BUSY = "The database can't do it at the moment. Try again later."
_READ_ONLY = "The database takes no changes at the moment, though it can be read; the operators have been told."
_NO_ROOM = "The database has no room for changes at the moment, though it can be read; the operators have been told."
_DATABASE_FAILED = "The database could not do what was asked; the operators have been told."
_OUTLIVED = "The upload took longer than its place was kept. Send it again."
_UNMIGRATED = "The application's database is not up to date; the operators have been told."
_CONSUMED = "The application read the file twice, so it could not be stored; the operators have been told."
_NO_SCOPE = "The application could not tell what is yours; the operators have been told."
_MISCONFIGURED = "The application is not set up as it should be; the operators have been told."
_MISUSED = "The application made a mistake with the file; the operators have been told."
_CROWDED = "Too many files are on their way at the moment, and faster ones go first. Try again later."
_UNREADABLE = "The row says of no file where it is; the operators have been told."
_OF_A_MOMENT = (
    errors.StorageUnavailableError,
    errors.DatabaseUnavailableError,
    errors.IntentLostError,
    errors.UploadMemoryError,
    errors.UploadBusyError,
    errors.UploadAssemblingError,
)
_TOLD_IN_ONE_LINE = (
    errors.StorageError,
    *_OF_A_MOMENT,
    errors.DatabaseFailedError,
    errors.LedgerError,
    errors.UnreadableFileError,
)

KINDS: Mapping[type[errors.FilestoreError], Kind] = {
    errors.MalformedUploadError: Kind(400, "malformed-upload"),
    errors.DigestMismatchError: Kind(400, "digest-mismatch", members=("algorithm",)),
    errors.InvalidSignatureError: Kind(403, "invalid-signature"),
    errors.OutOfScopeError: Kind(403, "out-of-scope"),
    errors.RowNotFoundError: Kind(404, "row-not-found"),
    errors.FileNotSetError: Kind(404, "file-not-set"),
    errors.ObjectNotFoundError: Kind(404, "object-not-found", "The file's bytes are not in the store."),
    errors.ObjectExistsError: Kind(409, "object-exists", "There is a file here already; it can't be overwritten."),
    errors.SlowUploadError: Kind(408, "slow-upload"),
    errors.UploadNotFoundError: Kind(404, "upload-not-found"),
    errors.UploadClaimedError: Kind(409, "upload-claimed", members=("location",)),
    errors.UploadOffsetError: Kind(409, "upload-offset", members=("start", "received")),
    errors.UploadIncompleteError: Kind(409, "upload-incomplete", members=("received", "size")),
    errors.UploadDigestError: Kind(409, "upload-digest", members=("announced", "actual")),
    errors.UploadPartError: Kind(409, "upload-part"),
    errors.FinalUploadError: Kind(403, "final-upload"),
    errors.UploadAssemblingError: Kind(503, "upload-assembling"),
    errors.UploadBusyError: Kind(423, "upload-busy"),
    errors.TooManyUploadsError: Kind(429, "too-many-open-uploads", members=("limit", "actual", "unit")),
    errors.RowConflictError: Kind(409, "row-conflict"),
    errors.StaleRowError: Kind(409, "stale-row"),
    errors.StaleFileError: Kind(409, "stale-file", "The file was replaced or deleted meanwhile."),
    errors.SharedFileError: Kind(409, "shared-file", "The file belongs to another row already."),
    errors.LengthRequiredError: Kind(411, "length-required"),
    errors.PreconditionFailedError: Kind(412, "precondition-failed", "It is not in the state that the request names."),
    errors.UploadTooLargeError: Kind(413, "upload-too-large", members=("limit", "actual", "field")),
    errors.TypeMismatchError: Kind(415, "type-mismatch", members=("declared", "sniffed", "extension")),
    errors.UnsupportedUploadError: Kind(415, "unsupported-upload", members=("actual", "expected")),
    errors.RangeNotSatisfiableError: Kind(416, "range-not-satisfiable", "The range begins after the end.", ("size",)),
    errors.MissingFileError: Kind(422, "missing-file", members=("field",)),
    errors.TooManyFilesError: Kind(422, "too-many-files", members=("limit", "actual", "field")),
    errors.UploadError: Kind(422, "invalid-upload"),
    errors.InvalidCursorError: Kind(422, "invalid-cursor"),
    errors.InvalidFieldsError: Kind(422, "invalid-fields"),
    errors.NotAFileError: Kind(500, "not-a-file", _MISUSED),
    errors.UnsupportedContentError: Kind(422, "unsupported-content"),
    errors.HeaderTooLargeError: Kind(431, "header-too-large", members=("limit", "actual")),
    errors.ClientDisconnectedError: Kind(499, "client-disconnected"),  # as nginx logs it: nobody hears it
    errors.SigningUnavailableError: Kind(501, "signing-unavailable", "This file store has no signed URLs."),
    errors.StorageUnavailableError: Kind(503, "store-unavailable", _UNAVAILABLE),
    errors.DatabaseReadOnlyError: Kind(503, "database-read-only", _READ_ONLY),
    errors.DatabaseFullError: Kind(503, "database-full", _NO_ROOM),
    errors.DatabaseUnavailableError: Kind(503, "database-unavailable", _BUSY),
    errors.DatabaseFailedError: Kind(500, "database-error", _DATABASE_FAILED),
    errors.UploadMemoryError: Kind(503, "too-many-uploads", _CROWDED),
    errors.IntentLostError: Kind(503, "upload-outlived", _OUTLIVED),
    errors.StorageFullError: Kind(507, "store-full", _FULL),
    errors.StorageError: Kind(500, "store-error", _OUT_OF_ORDER),
    errors.UnreadableFileError: Kind(500, "unreadable-file", _UNREADABLE),
    errors.LedgerError: Kind(500, "ledger-missing", _UNMIGRATED),
    errors.ContentConsumedError: Kind(500, "content-consumed", _CONSUMED),
    errors.InvalidScopeError: Kind(500, "invalid-scope", _NO_SCOPE),
    errors.ConfigurationError: Kind(500, "configuration-error", _MISCONFIGURED),
    errors.FilestoreError: Kind(500, "application-error", _MISUSED),
}
"""The most specific class in an error's family decides."""


METHOD_NOT_ALLOWED = Kind(405, "method-not-allowed")
"""What no code of ours raises: the router finds no route for the method."""
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


class Problem(HTTPException):
    """A problem detail on its way to the client."""

    def __init__(self, kind: Kind, detail: str, members: Mapping[str, object], headers: Mapping[str, str]) -> None:
        if COLLECTOR.instruments is not None:
            COLLECTOR.instruments.refused(kind.name, kind.status)
        text = cut(detail, MAX_DETAIL)
        super().__init__(kind.status, text, dict(headers))
        self.args = (kind, text, members, headers)  # what it is made of, once it was pickled or copied
        self.title = kind.title
        self.body = {
            "type": kind.type,
            "title": kind.title,
            "status": kind.status,
            "detail": text,
            **{name: cut(value, MAX_QUOTED) if isinstance(value, str) else value for name, value in members.items()},
        }

    def response(self) -> Response:
        """Return the response that carries it."""
        # ASCII, since what it quotes of a request may hold half a surrogate pair.
        # A shared cache may keep a 404 by itself.
        headers = {**(self.headers or {}), "Cache-Control": "no-store", **AS_DECLARED}
        return ProblemResponse(json.dumps(self.body), self.status_code, headers, media_type=MEDIA_TYPE)


class ProblemResponse(Response):
    """A problem on the wire: without its body to HEAD, and heard by a client that is still sending."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        if scope.get("method") == "HEAD":  # the handshake of a WebSocket has none
            self.body = b""  # the headers stay those that GET would have
        if not scope.get(UNREAD):
            await super().__call__(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send)
        await super().__call__(scope, exchange.receive, exchange.send)
        await exchange.finish()


def problem_of(error: errors.FilestoreError) -> Problem:
    """Return the problem that an error is to a client, with nothing internal in it; operators find that in the log."""
    kind = next(KINDS[family] for family in type(error).__mro__ if family in KINDS)
    if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # What a store does, or a row says, is no place in our code: one line says it, for each request of an outage.
        # A traceback is for whoever finds a frame of his own in it.
        has_place = not isinstance(error, _TOLD_IN_ONE_LINE) and any(
            not frame.f_code.co_filename.startswith(_NOT_THE_APPLICATION) for frame, _ in walk_tb(error.__traceback__)
        )
        PROBLEM.tell(error, with_traceback=has_place, problem=kind.name, status=kind.status)
    members = {name: getattr(error, name) for name in kind.members if getattr(error, name, None) is not None}
    if isinstance(error, errors.UploadError) and error.place is not None:
        members |= {name: value for name, value in asdict(error.place).items() if value is not None}
    if isinstance(error, errors.InvalidFieldsError):
        members |= field_problems(error.problems)
    headers = {"Retry-After": str(RETRY_SECONDS)} if isinstance(error, _OF_A_MOMENT) else {}
    if isinstance(error, errors.RangeNotSatisfiableError) and error.size is not None:
        headers = {"Content-Range": f"bytes */{error.size}"}
    if isinstance(error, errors.UploadClaimedError) and error.location is not None:
        headers = {"Location": error.location}
    if isinstance(error, errors.TooManyUploadsError):
        headers = {"Retry-After": str(error.seconds)}
    return Problem(kind, kind.detail or str(error), members, headers)


def validation_problem(error: RequestValidationError) -> Problem:
    """Return the problem of a request that FastAPI could not validate."""
    kind = KINDS[errors.InvalidFieldsError]
    return Problem(kind, "The request is not as it should be.", field_problems(error.errors()), {})


def _method_problem(scope: Scope, methods: Collection[str]) -> Problem:
    """Return the problem of a path that is there and a method that is not; `methods` are those of one of its routes."""
    # All routes of the path, and not that one alone, as Starlette does (RFC 9110, section 10.2.1).
    served = [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in scope["app"].routes)
    ]
    allowed = ", ".join(served or sorted(methods))
    detail = f"There is no {scope['method']} here; there is {allowed}."
    return Problem(METHOD_NOT_ALLOWED, detail, {}, {"Allow": allowed})


class ProblemRoute(SlashRoute):
    """A route that answers the library's errors, and invalid requests, with problem details.

    Whatever it answers, a dependency's own 401 included, reaches a client that is still sending.

    Attributes:
        is_authorized_later: Whether a service refuses unknown query parameters, after what depends on who asks.
    """

    is_authorized_later: ClassVar[bool] = False

    @staticmethod
    def refuses_unknown() -> bool:
        """Tell whether query parameters are refused that neither a route nor its dependencies know."""
        return False

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request; all that it held is released before the rest of a body is read."""
        name_request(scope)
        await lift_limit(scope, receive, send)
        exchange = Exchange(scope, receive, send)
        methods = self.methods or ()
        try:
            if scope["method"] in methods:
                await super().handle(scope, exchange.receive, exchange.send)
            else:
                await _method_problem(scope, methods).response()(scope, exchange.receive, exchange.send)
        except Exception as error:
            if not is_of_database(error):
                raise
            # Of a dependency that ended behind its route. An answer that is out stays as it is; operators are told all
            # the same, without the statement.
            problem = problem_of(translate_error(error))
            if not exchange.has_begun:
                await problem.response()(scope, exchange.receive, exchange.send)
        await exchange.finish()

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, watched."""
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                if request.scope["query_string"] and self.refuses_unknown() and (unknown := unknown_query(request)):
                    if not self.is_authorized_later:
                        return problem_of(unknown).response()
                    request.scope[UNKNOWN_QUERY] = unknown
                response = await handle(request)
            except errors.FilestoreError as error:
                return problem_of(error).response()
            except RequestValidationError as error:
                return validation_problem(error).response()
            except Problem as problem:
                return problem.response()
            except Exception as error:
                if not is_of_database(error):
                    raise
                # Of a dependency, such as that of the session.
                return problem_of(translate_error(error)).response()
            if request.method == "HEAD":
                response.body = b""  # the headers stay those of GET
            # Without a word a shared cache may keep a row and give it to others; a download has words of its own.
            response.headers.setdefault("Cache-Control", "no-store")
            return response

        return handle_or_explain


async def answer_error(connection: Request | WebSocket, error: Exception) -> Response | None:
    """Answer an error of the library, raised in any route, or a problem that a dependency raised.

    A WebSocket is ended; its handshake is refused with the response if it is still open.
    """
    if isinstance(error, errors.FilestoreError):
        name_request(connection.scope)
        error = problem_of(error)
    assert isinstance(error, Problem)
    problem = error
    if not isinstance(connection, WebSocket):
        return problem.response()
    opening = connection.application_state is WebSocketState.CONNECTING
    if opening and DENIAL in connection.scope.get("extensions", {}):
        return problem.response()
    is_open = opening or connection.application_state is WebSocketState.CONNECTED
    if is_open and connection.client_state is not WebSocketState.DISCONNECTED:
        is_ours = problem.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        with suppress(WebSocketDisconnect):  # nobody is there to hear it any more
            await connection.close(WS_1011_INTERNAL_ERROR if is_ours else WS_1008_POLICY_VIOLATION, problem.title)
    return None
