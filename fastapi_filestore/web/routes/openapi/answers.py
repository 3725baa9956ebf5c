"""Describe answers that are no JSON: files, archives, redirects, and the headers that come with them."""

from typing import Final

from fastapi import Response

from fastapi_filestore.web.routes.openapi.parameters import OF_DOWNLOADS
from fastapi_filestore.web.routes.openapi.problems import OF_STORES, Description, Responses, problems

BYTES: Final = "application/octet-stream"

BINARY = {"schema": {"type": "string", "format": "binary"}}
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
_FILE_CONTENT = {BYTES: BINARY, "*/*": {}}
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
        "content": {BYTES: BINARY, "application/zip": BINARY},
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
LOCATION_HEADER: Description = {
    "headers": {"Location": {"schema": {"type": "string"}, "description": "The path of the new row."}},
}
FILE_ROUTE: Final[Description] = {
    "response_class": Response,
    "responses": {**FILE_RESPONSES, **problems(404, 412, 416, examples=OF_STORES)},
    "openapi_extra": OF_DOWNLOADS,
}
"""What OpenAPI is to know of a route that answers with `Filestore.download`."""
