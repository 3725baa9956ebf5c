"""Read each header field of a request as one value; and the field that every answer has."""

from collections.abc import Mapping

from starlette.datastructures import Headers

from fastapi_filestore.errors import HeaderTooLargeError

FIELDS = frozenset(
    {
        b"content-digest",
        b"content-encoding",
        b"content-md5",
        b"content-range",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"range",
        b"repr-digest",
    }
)
"""The fields that are read here as one value each; a client may send thousands of lines of any others."""

AS_DECLARED: Mapping[str, str] = {"X-Content-Type-Options": "nosniff"}
"""Keeps a browser from reading as a page what quotes a client's words, whatever its type is said to be."""

MAX_FIELD_BYTES = 16 * 1024
"""One field, in which 240 entity tags of our own still fit."""


def joined_fields(headers: Headers) -> dict[str, str]:
    """Return the fields by name in lower case; several lines of one name are one list (RFC 9110, section 5.3).

    A Range that is too long is left out: a server may ignore it (section 14.2).

    Raises:
        HeaderTooLargeError: Another one is longer than `MAX_FIELD_BYTES`.
    """
    lines: dict[bytes, list[bytes]] = {}
    for name, value in headers.raw:
        if name in FIELDS:
            lines.setdefault(name, []).append(value)
    fields: dict[str, str] = {}
    for name, values in lines.items():
        size = sum(map(len, values)) + 2 * (len(values) - 1)
        if size <= MAX_FIELD_BYTES:
            fields[name.decode("latin-1")] = b", ".join(values).decode("latin-1")
        elif name != b"range":
            raise HeaderTooLargeError(name.decode("latin-1"), limit=MAX_FIELD_BYTES, actual=size)
    return fields
