"""One table from errors to problem details (RFC 9457)."""

import json
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from fastapi_filestore import errors

_log = logging.getLogger("fastapi_filestore")

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
"""When to ask again a store that is down: after the library's own retries have had theirs."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What an error becomes: a status, a name, and a text where the error's own is not for clients."""

    status: int
    name: str
    detail: str | None = None
    members: tuple[str, ...] = ()


_OUT_OF_ORDER = "The file store is not set up as it should be; the operators have been told."
_UNAVAILABLE = "The file store can't be reached at the moment. Try again later."

KINDS: Mapping[type[errors.FilestoreError], Kind] = {
    errors.MalformedUploadError: Kind(400, "malformed-upload"),
    errors.DigestMismatchError: Kind(400, "digest-mismatch", members=("algorithm",)),
    errors.InvalidSignatureError: Kind(403, "invalid-signature"),
    errors.RowNotFoundError: Kind(404, "row-not-found"),
    errors.FileNotSetError: Kind(404, "file-not-set"),
    errors.ObjectNotFoundError: Kind(404, "object-not-found", "The file's bytes are not in the store."),
    errors.ObjectExistsError: Kind(409, "object-exists", "There is a file here already; it can't be overwritten."),
    errors.RowConflictError: Kind(409, "row-conflict"),
    errors.StaleFileError: Kind(409, "stale-file", "The file was replaced or deleted meanwhile."),
    errors.PreconditionFailedError: Kind(412, "precondition-failed", "The file has changed."),
    errors.UploadTooLargeError: Kind(413, "upload-too-large", members=("limit", "actual")),
    errors.UnsupportedUploadError: Kind(415, "unsupported-upload", members=("actual", "expected")),
    errors.RangeNotSatisfiableError: Kind(416, "range-not-satisfiable", "The range begins after the end.", ("size",)),
    errors.MissingFileError: Kind(422, "missing-file", members=("field",)),
    errors.TooManyFilesError: Kind(422, "too-many-files", members=("limit", "actual")),
    errors.UploadError: Kind(422, "invalid-upload"),
    errors.InvalidCursorError: Kind(422, "invalid-cursor"),
    errors.InvalidFieldsError: Kind(422, "invalid-fields"),
    errors.UnsupportedContentError: Kind(422, "unsupported-content"),
    errors.SigningUnavailableError: Kind(501, "signing-unavailable", "This file store has no signed URLs."),
    errors.StorageUnavailableError: Kind(503, "store-unavailable", _UNAVAILABLE),
    errors.StorageError: Kind(500, "store-error", _OUT_OF_ORDER),
    errors.FilestoreError: Kind(500, "store-error", _OUT_OF_ORDER),
}
"""The most specific class in an error's family decides."""


class Problem(HTTPException):
    """A problem detail on its way to the client."""

    def __init__(self, kind: Kind, detail: str, members: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(kind.status, detail, dict(headers))
        self.body = {
            "type": f"urn:fastapi-filestore:{kind.name}",
            "title": HTTPStatus(kind.status).phrase,
            "status": kind.status,
            "detail": detail,
            **members,
        }

    def response(self) -> Response:
        """Return the response that carries it."""
        # ASCII, since what it quotes of a request may hold half a surrogate pair.
        return Response(json.dumps(self.body), self.status_code, self.headers, media_type=MEDIA_TYPE)


def problem_of(error: errors.FilestoreError) -> Problem:
    """Return the problem that an error is to a client, with nothing internal in it; operators find that in the log."""
    kind = next(KINDS[family] for family in type(error).__mro__ if family in KINDS)
    if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("fastapi_filestore.problem", extra={"problem": kind.name, "status": kind.status}, exc_info=error)
    members = {name: getattr(error, name) for name in kind.members if getattr(error, name, None) is not None}
    if isinstance(error, errors.InvalidFieldsError):
        members["errors"] = _field_problems(error.problems)
    return Problem(kind, kind.detail or str(error), members, _headers(error))


def validation_problem(error: RequestValidationError) -> Problem:
    """Return the problem of a request that FastAPI could not validate."""
    kind = KINDS[errors.InvalidFieldsError]
    return Problem(kind, "The request is not as it should be.", {"errors": _field_problems(error.errors())}, {})


def _field_problems(problems: Any) -> Any:
    return jsonable_encoder([{name: problem[name] for name in ("loc", "msg", "type")} for problem in problems])


def _headers(error: errors.FilestoreError) -> dict[str, str]:
    if isinstance(error, errors.StorageUnavailableError):
        return {"Retry-After": str(RETRY_SECONDS)}
    if isinstance(error, errors.RangeNotSatisfiableError) and error.size is not None:
        return {"Content-Range": f"bytes */{error.size}"}
    return {}


class ProblemRoute(APIRoute):
    """A route that answers the library's errors, and invalid requests, with problem details."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, watched."""
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                return await handle(request)
            except errors.FilestoreError as error:
                return problem_of(error).response()
            except RequestValidationError as error:
                return validation_problem(error).response()
            except Problem as problem:
                return problem.response()

        return handle_or_explain


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer an error of the library raised in any route."""
    assert isinstance(error, errors.FilestoreError)
    return problem_of(error).response()


async def answer_problem(request: Request, error: Exception) -> Response:
    """Answer a problem that a dependency raised."""
    assert isinstance(error, Problem)
    return error.response()
