"""What the head of a form's part says (RFC 7578): which field it is, and whether it is a file."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fastapi_filestore.errors import MalformedUploadError

_VALUE = r'(?:"(?:[^"\\]|\\.)*"|[^\s;"]*)'
_PARAMETER = re.compile(rf"\s*;\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*({_VALUE})", re.DOTALL)
_ESCAPED = re.compile(r'\\(["\\])')  # nothing else: a folder's backslashes are no escapes
_REST = re.compile(r"\s*(?:;\s*)?")
_UNENCODED = frozenset({"", "7bit", "8bit", "binary"})
_ABOUT_CONTENT = (b"content-disposition", b"content-type", b"content-transfer-encoding")

MAX_HEADER_BYTES = 8 * 1024
"""One header with parameters, in which a filename of four kilobytes still fits."""


@dataclass(frozen=True, slots=True)
class PartHead:
    """A part's field; `filename` is None for text and empty for a file input without a choice."""

    name: str
    filename: str | None
    content_type: str | None


def read_head(headers: Iterable[tuple[bytes, bytes]]) -> PartHead:
    """Read the headers of a part, whose names are in lower case.

    `filename*` is ignored: RFC 7578 forbids it, and parsers that disagree on it can be played off against each other.

    Raises:
        MalformedUploadError: The part names no field, says anything twice, or is encoded.
    """
    said = _once(headers)
    kind, parameters = read_parameters(said.get(b"content-disposition", b"").decode("latin-1"))
    if kind != "form-data" or "name" not in parameters:
        raise MalformedUploadError("The form can't be read: a part has no Content-Disposition with the field's name.")
    if said.get(b"content-transfer-encoding", b"").strip().lower().decode("latin-1") not in _UNENCODED:
        raise MalformedUploadError("The form can't be read: a part has a Content-Transfer-Encoding; send plain bytes.")
    filename = parameters.get("filename")
    declared = said.get(b"content-type")
    return PartHead(
        _text(parameters["name"]),
        None if filename is None else _text(filename),
        None if declared is None else declared.strip().decode("latin-1"),
    )


def _once(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    said: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in said and name in _ABOUT_CONTENT:
            raise MalformedUploadError(f"The form can't be read: a part has two headers {name.decode('ascii')}.")
        said[name] = value
    return said


def read_parameters(header: str) -> tuple[str, dict[str, str]]:
    """Return the value of a header in lower case and its parameters, their names in lower case.

    Raises:
        MalformedUploadError: It is too long, a parameter comes twice, or something else stands between them.
    """
    if len(header) > MAX_HEADER_BYTES:
        raise MalformedUploadError(
            f"A header's parameters can't be read: it is longer than {MAX_HEADER_BYTES:,} bytes."
        )
    value = header.partition(";")[0]
    at = len(value)
    parameters: dict[str, str] = {}
    while match := _PARAMETER.match(header, at):
        name, at = match[1].lower(), match.end()
        if name in parameters:
            raise MalformedUploadError(f"A header has the parameter {name!r} twice.")
        parameters[name] = _unquoted(match[2])
    if not _REST.fullmatch(header, at):
        raise MalformedUploadError("A header's parameters can't be read: each must be name=value or name=\"value\".")
    return value.strip().lower(), parameters


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def _text(value: str) -> str:
    # Browsers escape a quote like this, and line breaks, which have no place in a name (WHATWG HTML, 4.10.21.8).
    plain = value.replace("%22", '"')
    return as_text(plain.encode("latin-1"))


def as_text(value: bytes, charset: str = "utf-8") -> str:
    """Decode what a client wrote; bytes that are not in its charset are taken for Latin-1, where all have a meaning."""
    try:
        return value.decode(charset)
    except UnicodeDecodeError:
        return value.decode("latin-1")
