"""Describe to OpenAPI what FastAPI can't know of a route: forms that are read late, problems, files."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, Final, TypeAlias, TypeVar

from fastapi import Response
from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from fastapi_filestore.intake.rules import FileRules
from fastapi_filestore.orm.column.attributes import FileAttribute
from fastapi_filestore.settings.size import format_size
from fastapi_filestore.web.header_fields import JSON, MULTIPART
from fastapi_filestore.web.problems import KINDS, MEDIA_TYPE, METHOD_NOT_ALLOWED
from fastapi_filestore.web.receiving.uploads import UploadPolicy
from fastapi_filestore.web.routes.resource import Resource
from fastapi_filestore.web.routes.schemas import NoFields

ModelT = TypeVar("ModelT")
Description: TypeAlias = dict[str, Any]
Responses: TypeAlias = dict[int | str, Description]

BYTES: Final = "application/octet-stream"

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
        "field": {"type": "string", "description": "The field of the form that it is about."},
        "filename": {"type": "string", "description": "The file that is refused, where a form takes several."},
        "position": {"type": "integer", "description": "Its position in a field of several files, from 0."},
        "algorithm": {"type": "string", "description": "What the digest was computed with."},
        "limit": {"type": "integer", "description": "What may be sent, in bytes or files."},
        "actual": {"description": "What was sent, if it is known."},
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


_KIND_OF_STATUS = {kind.status: kind for kind in [METHOD_NOT_ALLOWED, *reversed(list(KINDS.values()))]}


def problems(*statuses: int) -> Responses:
    """Describe the problems that a route may answer with; a store can be down, and a header too long, under any."""
    return {
        status: {
            "description": PROBLEM_TEXTS[status],
            "model": Problem,
            "content": AsProblem(
                {
                    MEDIA_TYPE: {
                        "example": {
                            "type": _KIND_OF_STATUS[status].type,
                            "title": _KIND_OF_STATUS[status].title,
                            "status": status,
                            "detail": PROBLEM_TEXTS[status],
                        }
                    }
                }
            ),
        }
        for status in sorted({*statuses, 431, 500, 503})
    }


def head_problems(*statuses: int) -> Responses:
    """Describe the problems that a HEAD may be answered with, which tell by their status alone: there is no body."""
    return {status: {"description": told["description"]} for status, told in problems(*statuses).items()}


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILE_HEADERS = {
    "ETag": {"schema": {"type": "string"}, "description": "The SHA-256 of the bytes."},
    "Last-Modified": {"schema": {"type": "string"}, "description": "When they were stored."},
    "Accept-Ranges": {"schema": {"type": "string"}, "description": "`bytes`."},
    "Repr-Digest": {"schema": {"type": "string"}, "description": "The SHA-256 of the bytes (RFC 9530)."},
    "Content-Disposition": {"schema": {"type": "string"}, "description": "The filename (RFC 6266)."},
}
_ARCHIVE_HEADERS = {
    "Accept-Ranges": {"schema": {"type": "string"}, "description": "`none`."},
    "Content-Disposition": _FILE_HEADERS["Content-Disposition"],
}
_UNCHANGED: Responses = {304: {"description": "It is still as the request knows it."}}

# Generators of clients know bytes by their first type. Any type may come, and without a schema, since that is how
# OpenAPI 3.1 says bytes of any kind: a file of JSON is no string.
_FILE_CONTENT = {BYTES: _BINARY, "*/*": {}}
FILE_RESPONSES: Responses = {
    200: {"description": "The file.", "content": _FILE_CONTENT, "headers": _FILE_HEADERS},
    206: {
        "description": "The ranges of it that were asked for.",
        "content": {**_FILE_CONTENT, "multipart/byteranges": {}},
        "headers": _FILE_HEADERS,
    },
    **_UNCHANGED,
}
ARCHIVE_RESPONSES: Responses = {
    200: {
        "description": "The archive.",
        "content": {BYTES: _BINARY, "application/zip": _BINARY},
        "headers": _ARCHIVE_HEADERS,
    }
}
ARCHIVE_HEAD_RESPONSES: Responses = {
    200: {"description": "The headers that GET would send.", "headers": _ARCHIVE_HEADERS}
}
REDIRECTS: Responses = {
    307: {
        "description": "Where its bytes are: at a URL of the store that soon expires.",
        "headers": {"Location": {"schema": {"type": "string", "format": "uri"}}},
    }
}
HEAD_RESPONSES: Responses = {
    200: {"description": "The headers that GET would send.", "headers": _FILE_HEADERS},
    **_UNCHANGED,
}

STORED: Description = {
    "description": "It is stored.",
    "headers": {"ETag": {"schema": {"type": "string"}, "description": "The store's own, if it has one."}},
}
_HEADERS = {
    "Content-Digest": "What the body must have, as `sha-256=:…:` with base64 (RFC 9530), or it is refused.",
    "If-Match": "Do it only if the file's entity tag is among these, or there is one at all: `*`.",
    "If-None-Match": "Do it only if the file's entity tag is none of these.",
    "If-Modified-Since": "Send it only if it was stored later.",
    "If-Unmodified-Since": "Do it only if it was not stored later.",
    "If-Range": "Honour the range only if this is the file's entity tag, or when it was stored.",
    "Range": "The bytes that are wanted, as `bytes=0-1023` (RFC 9110, section 14.2).",
}


_OF_ROWS = {
    "If-Match": "Do it only if there is such a row: `*`. It has no entity tag, so any other is refused.",
    "If-None-Match": "With `*` it is refused, as there is such a row. With entity tags it is done, as it has none.",
}


def header_parameters(*names: str, texts: Mapping[str, str] = _HEADERS) -> Description:
    """Describe header fields that are read by hand."""
    return {
        "parameters": [
            {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, "description": text}
            for name, text in texts.items()
            if name in names
        ]
    }


OF_DOWNLOADS: Description = header_parameters(*_HEADERS.keys() - {"Content-Digest"})
OF_CHANGES: Description = header_parameters("If-Match", "If-None-Match", "If-Unmodified-Since")
OF_ROW_CHANGES: Description = header_parameters(*_OF_ROWS, texts=_OF_ROWS)
OF_UPLOADS: Description = header_parameters("Content-Digest")
OF_REPLACEMENTS: Description = header_parameters("Content-Digest", "If-Match", "If-None-Match", "If-Unmodified-Since")
FILE_ROUTE: Final[Description] = {
    "response_class": Response,
    "responses": {**FILE_RESPONSES, **problems(404, 412, 416)},
    "openapi_extra": OF_DOWNLOADS,
}
"""What OpenAPI is to know of a route that answers with `Filestore.download`."""

LOCATION_HEADER: Description = {
    "headers": {"Location": {"schema": {"type": "string"}, "description": "The path of the new row."}},
}


def file_body(resource: Resource[ModelT], attribute: FileAttribute) -> Description:
    """Describe a multipart body with the file of a column, or the body that is the file itself."""
    fields, field = _schema_of(NoFields), resource.field_of(attribute)
    if resource.unknown_fields == "ignore":
        fields.pop("additionalProperties", None)
    return {"requestBody": _form(attribute.name, fields, _BINARY["schema"], field.rules)}


def files_body(
    resource: Resource[ModelT], attributes: Sequence[FileAttribute], *, with_fields: bool = False
) -> Description:
    """Describe a form of the files of some columns and, for a new row, the model's fields, which JSON may be, too."""
    first = attributes[0]
    fields = _schema_of(resource.schemas.create if with_fields else NoFields)
    if resource.unknown_fields == "ignore":
        fields.pop("additionalProperties", None)
    rules = replace(resource.field_of(first).rules, max_files=first.type.rules.max_files)
    body = _form(first.name, fields, _BINARY["schema"], rules)
    form = body["content"][MULTIPART]["schema"]
    form["required"] = [name for name in form["required"] if name != first.name]
    encoding: Description = {}
    for attribute in attributes:
        field, file = resource.field_of(attribute), _BINARY["schema"]
        several = {"type": "array", "items": file, "minItems": 0 if with_fields else 1, "maxItems": field.most}
        text = describe_rules(replace(field.rules, max_files=attribute.type.rules.max_files))
        description = {"description": text} if text and len(attributes) > 1 else {}
        form["properties"][attribute.name] = {**(several if attribute.type.multiple else file), **description}
        if field.rules.content_types:
            encoding[attribute.name] = {"contentType": ", ".join(field.rules.content_types)}
        if field.is_needed or not with_fields:
            form["required"].append(attribute.name)
    if encoding:
        body["content"][MULTIPART]["encoding"] = encoding
    if not form["required"]:
        del form["required"]
    if len(attributes) > 1:  # each file has its own
        body.pop("description", None)
    if with_fields and not any(field.is_needed for field in resource.fields.values()):
        body["content"][JSON] = {"schema": _schema_of(resource.schemas.create_json)}
    return {"requestBody": body}


def upload_body(policy: UploadPolicy, fields: type[BaseModel] | None, *, several: bool = False) -> Description:
    """Describe a multipart body with one file or several in a field, or the body that is the file itself."""
    properties = {} if fields is None else _schema_of(fields)
    limits, file = policy.limits, _BINARY["schema"]
    rules = replace(policy.rules, max_size=limits.file_size, max_files=limits.files if several else None)
    schema = {"type": "array", "items": file, "minItems": 1, "maxItems": limits.files} if several else file
    body = _form(policy.field, properties, schema, rules)
    if several:
        body["content"] = {MULTIPART: body["content"][MULTIPART]}
    return body


def _form(name: str, fields: Description, file: Description, rules: FileRules) -> Description:
    # A form has no null: a field without a value is left out.
    properties = {
        field: {**schema, "anyOf": [kind for kind in schema["anyOf"] if kind != {"type": "null"}]}
        if "anyOf" in schema
        else schema
        for field, schema in fields.get("properties", {}).items()
    }
    schema = {
        **fields,
        "type": "object",
        "properties": {name: file, **properties},
        "required": [name, *fields.get("required", [])],
    }
    form: Description = {"schema": schema}
    if rules.content_types:
        form["encoding"] = {name: {"contentType": ", ".join(rules.content_types)}}
    # A body that is no form has no fields, so it will do where none is needed; its Content-Type is that of the file.
    raw = () if fields.get("required") else (BYTES,)
    text = describe_rules(rules)
    return {
        **({"description": text} if text else {}),
        "required": True,
        "content": {MULTIPART: form, **dict.fromkeys(raw, _BINARY)},
    }


def describe_rules(rules: FileRules) -> str:
    """Return the sentences that say what files may be sent; none if any may."""
    sentences = {
        f"At most {rules.max_files} files.": rules.max_files,
        f"A file has at most {format_size(rules.max_size or 0)}.": rules.max_size,
        f"It is of type {' or '.join(rules.content_types)}.": rules.content_types,
        "What it is declared as, what its name says and what its first bytes are of must agree.": rules.sniffs,
    }
    return " ".join(sentence for sentence, holds in sentences.items() if holds)


def json_request(model: type[BaseModel]) -> Description:
    """Describe a JSON body."""
    return {"requestBody": {"required": True, "content": {JSON: {"schema": _schema_of(model)}}}}


def sort_parameter(sortable: Sequence[str]) -> Description:
    """Describe the columns that a listing may be sorted by, with commas between them, which FastAPI can't say."""
    values = [f"{sign}{name}" for name in sortable for sign in ("", "-")]
    return {
        "parameters": [
            {
                "name": "sort",
                "in": "query",
                "description": "Columns to sort by, `-` before one for descending.",
                "explode": False,
                "schema": {"type": "array", "items": {"type": "string", "enum": values}, "title": "Sort"},
            }
        ]
    }


def raw_request() -> Description:
    """Describe a body that is the file itself."""
    return {"requestBody": {"required": True, "content": {BYTES: _BINARY}}}


def _schema_of(model: type[BaseModel]) -> Description:
    # A body described here can't add to the document's components, so what it refers to is written out. It has no
    # title, since generators call it by its operation then, which there is one of.
    schema = model.model_json_schema()
    schema.pop("title", None)
    definitions = schema.pop("$defs", {})
    return {key: _written_out(value, definitions) for key, value in schema.items()}


def _written_out(schema: object, definitions: Description) -> object:
    if isinstance(schema, list):
        return [_written_out(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    target = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if target in definitions:
        rest = {name: value for name, value in definitions.items() if name != target}  # ends a recursion
        siblings = {key: value for key, value in schema.items() if key != "$ref"}
        return _written_out({**definitions[target], **siblings}, rest)
    return {key: _written_out(value, definitions) for key, value in schema.items() if key != "$ref"}
