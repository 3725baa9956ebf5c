"""Header fields of a request, as one value each."""

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

MAX_FIELD_BYTES = 16 * 1024
"""One field, in which 240 entity tags of our own still fit."""


def combined(headers: Headers) -> dict[str, str]:
    """Return the fields by name in lower case; several lines of one name are one list (RFC 9110, section 5.3).

    A Range that is too long is left out: a server may ignore it (section 14.2).

    Raises:
        HeaderTooLargeError: Another one is longer than `MAX_FIELD_BYTES`.
    """
    lines: dict[bytes, list[bytes]] = {}
    for name, value in headers.raw:
        if name in FIELDS:
            lines.setdefault(name, []).append(value)
    if _size(lines.get(b"range", [])) > MAX_FIELD_BYTES:
        del lines[b"range"]
    return {name.decode("latin-1"): _joined(name, values) for name, values in lines.items()}


def _joined(name: bytes, lines: list[bytes]) -> str:
    if (size := _size(lines)) > MAX_FIELD_BYTES:
        raise HeaderTooLargeError(name.decode("latin-1"), limit=MAX_FIELD_BYTES, actual=size)
    return b", ".join(lines).decode("latin-1")


def _size(lines: list[bytes]) -> int:
    return sum(map(len, lines)) + 2 * (len(lines) - 1)
