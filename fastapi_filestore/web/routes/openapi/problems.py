"""Describe the problems that a route may answer with: one component, and an example of each status."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from fastapi_filestore import errors
from fastapi_filestore.web.problems import KINDS, MEDIA_TYPE, METHOD_NOT_ALLOWED

Description: TypeAlias = dict[str, Any]
Responses: TypeAlias = dict[int | str, Description]

PROBLEM_TEXTS = {
    400: "The body can't be read.",
    403: "It is not allowed.",
    404: "There is no such row or file.",
    405: "It can't be done by a position; an id will do.",
    408: "The body comes too slowly.",
    409: "It conflicts with what is there.",
    411: "There is no body.",
    412: "It is not in the state that the request names.",
    413: "The body, the file or a field is larger than its limit.",
    415: "The body is of another type.",
    416: "Every range begins after the end.",
    422: "A value is wrong or missing.",
    429: "Too many are open.",
    431: "A header is longer than its limit.",
    500: "Something is wrong behind the application; its operators have been told.",
    501: "The file store has no signed URLs.",
    503: "The file store or the database can't do it at the moment.",
    507: "The file store has no room for the file.",
}

_WRONG_VALUE = {
    "type": "object",
    "required": ["loc", "msg", "type"],
    "properties": {
        "loc": {
            "type": "array",
            "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "description": "Where it is: names of fields and positions in lists, from the outermost inwards.",
        },
        "msg": {"type": "string", "description": "What is wrong with it, for people."},
        "type": {"type": "string", "description": "The kind of mistake."},
    },
}

PROBLEM_SCHEMA = {
    "type": "object",
    "description": "A problem detail (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "A URI that names the kind of problem, to compare and not to open."},
        "title": {"type": "string", "description": "The kind of problem, for people."},
        "status": {"type": "integer", "description": "The status of the answer."},
        "detail": {"type": "string", "description": "What is wrong this time, and what to do."},
        "size": {"type": "integer", "description": "The size of the file, in bytes."},
        "location": {"type": "string", "description": "The path of the row that has the upload."},
        "start": {"type": "integer", "description": "The byte that was sent as the next one, counted from 0."},
        "received": {"type": "integer", "description": "The bytes of the upload that are there."},
        "unit": {"type": "string", "description": "What is counted: files or bytes."},
        "field": {"type": "string", "description": "The field of the form that it is about."},
        "filename": {"type": "string", "description": "The file that is refused, where a form takes several."},
        "position": {"type": "integer", "description": "Its position in a field of several files, from 0."},
        "algorithm": {"type": "string", "description": "What the digest was computed with."},
        "limit": {"type": "integer", "description": "What may be sent, in bytes or files."},
        "actual": {"description": "What was sent, if it is known."},
        "announced": {"type": "string", "description": "The digest that the client announced."},
        "expected": {"type": "array", "items": {"type": "string"}, "description": "Types that may be sent."},
        "declared": {"type": "string", "description": "What the file is declared as."},
        "sniffed": {"type": "string", "description": "What its first bytes are of."},
        "extension": {"type": "string", "description": "What its name says."},
        "errors": {"type": "array", "items": _WRONG_VALUE, "description": "The first values that are wrong."},
        "more_errors": {"type": "integer", "description": "How many more there are."},
    },
}


class Problem(BaseModel):
    """A problem detail as a component of an OpenAPI document; what is answered is made elsewhere."""

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the members."""
        return deepcopy(PROBLEM_SCHEMA)


class AsProblem(dict[str, Any]):
    """The media types of an answer, of which there is one: that of problems.

    FastAPI puts the schema of an answer's model, which is the reference to a component, below the media type of the
    route, whatever the answer's own is.
    """

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        """Return what there is of the media type of problems."""
        return super().setdefault(MEDIA_TYPE, default)


_USUAL: Mapping[int, type[errors.FilestoreError]] = {
    403: errors.OutOfScopeError,
    409: errors.RowConflictError,
    415: errors.UnsupportedUploadError,
    422: errors.InvalidFieldsError,
    500: errors.DatabaseFailedError,
    503: errors.DatabaseUnavailableError,
}
"""Of several problems with one status, the one that any operation can give that lists the status."""
_KIND_OF_STATUS = {
    **{kind.status: kind for kind in [METHOD_NOT_ALLOWED, *reversed(list(KINDS.values()))]},
    **{status: KINDS[error] for status, error in _USUAL.items()},
}


def problems(*statuses: int, examples: Sequence[type[errors.FilestoreError]] = ()) -> Responses:
    """Describe the problems that a route may answer with; a database can be down, and a header too long, under any.

    The examples are of the usual problem of a status, unless others are given that this operation rather has.
    """
    kinds = {**_KIND_OF_STATUS, **{KINDS[error].status: KINDS[error] for error in examples}}
    return {
        status: {
            "description": PROBLEM_TEXTS[status],
            "model": Problem,
            "content": AsProblem(
                {
                    MEDIA_TYPE: {
                        "example": {
                            "type": kind.type,
                            "title": kind.title,
                            "status": status,
                            "detail": kind.detail or PROBLEM_TEXTS[status],
                        }
                    }
                }
            ),
        }
        for status, kind in sorted(kinds.items())
        if status in {*statuses, 431, 500, 503}
    }


OF_STORES: Final = (errors.StorageError, errors.StorageUnavailableError)
"""The problems that operations have which ask a store, and no database."""


def head_problems(*statuses: int) -> Responses:
    """Describe the problems that a HEAD may be answered with, which tell by their status alone: there is no body."""
    return {status: {"description": told["description"]} for status, told in problems(*statuses).items()}
