"""Read the header fields of a request; keep the field that every answer has."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import Scope

from fastapi_filestore.errors import HeaderTooLargeError, UnsupportedUploadError

MULTIPART = "multipart/form-data"
JSON = "application/json"
ABOUT_LENGTH = frozenset({b"content-length", b"transfer-encoding"})

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


def media_type(headers: Mapping[str, str]) -> str:
    """Return the type that a body is declared to be of, in lower case and without parameters; empty for none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(kind: str) -> bool:
    """Tell whether a media type is one of JSON, as `application/merge-patch+json` is (RFC 6839, section 3.1)."""
    return kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))


def announced_size(headers: Mapping[str, str]) -> int | None:
    """Return the bytes that a body is announced to have, if it is."""
    length = headers.get("content-length", "")
    # More digits than any body has; int() would refuse thousands of them.
    return int(length.lstrip("0")[:20] or "0") if length.isdecimal() else None


def refuse_codings(headers: Mapping[str, str]) -> None:
    """Raise `UnsupportedUploadError` for a body that is compressed: what comes is stored and parsed as it is."""
    encoding = headers.get("content-encoding", "")
    if not {coding.strip().lower() for coding in encoding.split(",")} <= {"", "identity"}:
        raise UnsupportedUploadError(
            encoding,
            ["identity"],
            sentence=f"A body with Content-Encoding: {encoding} can't be read: send it as it is, without the header.",
        )


def has_body(scope: Scope) -> bool:
    """Tell whether a request says that it has a body (RFC 9112, section 6), or need not: newer versions of HTTP."""
    return not scope["http_version"].startswith("1") or not ABOUT_LENGTH.isdisjoint(dict(scope["headers"]))
