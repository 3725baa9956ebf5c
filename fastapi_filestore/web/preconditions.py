"""Conditions of requests that write: nothing is written over a state that the client has not seen (RFC 9110, 13)."""

from typing import Final

from fastapi import Request

from fastapi_filestore.errors import PreconditionFailedError
from fastapi_filestore.file_object import FileObject
from fastapi_filestore.web.header_fields import joined_fields
from fastapi_filestore.web.serving.conditions import Outcome, Validators, evaluate
from fastapi_filestore.web.serving.headers import validators_of

CONDITIONS: Final = ("if-match", "if-none-match", "if-unmodified-since")
NO_VALIDATORS: Final = Validators()
"""A row has none: only `*` matches it."""


def is_conditional(request: Request) -> bool:
    """Tell whether a request asks for a state."""
    return not joined_fields(request.headers).keys().isdisjoint(CONDITIONS)


def require_row_state(request: Request) -> None:
    """Raise `PreconditionFailedError` if a request asks for another state than that of a row that is there."""
    _require(request, NO_VALIDATORS)


def require_file_state(request: Request, file: FileObject | None) -> None:
    """Raise `PreconditionFailedError` if a request asks for another state than that of a file, or of none."""
    if file is not None:
        _require(request, validators_of(file))
    elif "if-match" in request.headers:
        raise PreconditionFailedError("There is no file yet.")


def _require(request: Request, validators: Validators) -> None:
    if evaluate(joined_fields(request.headers), validators, safe=False) is not Outcome.PROCEED:
        raise PreconditionFailedError("It is not in the state that the request names.")
