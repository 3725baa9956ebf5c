"""Parameters of a header, `value; name=value; name="value"`, as clients write them, by the rules and not."""

import re
from urllib.parse import quote

from fastapi_filestore.errors import MalformedUploadError

MAX_HEADER_BYTES = 8 * 1024
"""One header with parameters, in which a filename of four kilobytes still fits."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SPACE = re.compile(r"\s*")
_TO_QUOTE = re.compile(r'(?:[^"\\]|\\.)*"', re.DOTALL)
_ENDS = re.compile(r"\s*(?:;|\Z)")
_ESCAPED = re.compile(r'\\(["\\])')  # nothing else: a folder's backslashes are no escapes
_PIECE = re.compile(r"([^*]+)\*(\d{1,3})(\*?)")

_UNREADABLE = "A header's parameters can't be read: each must be name=value or name=\"value\", with a `;` between them."


def read_parameters(header: str, *, single_quotes: bool = False) -> tuple[str, dict[str, str]]:
    """Return the value of a header in lower case and its parameters, their names in lower case.

    A value without quotes goes on to the next semicolon, and a quote that no semicolon follows is one of the value:
    senders forget the quotes around spaces, and the escapes of quotes. A value that was cut in numbered pieces is whole
    (RFC 2231, section 3), as `name*` if one of them was percent-encoded.

    Args:
        header: The header.
        single_quotes: Whether values may be in single quotes, which elsewhere are characters like any other.

    Raises:
        MalformedUploadError: It is too long, a parameter comes twice or lacks a piece, or something else stands between
            them.
    """
    if len(header) > MAX_HEADER_BYTES:
        raise MalformedUploadError(
            f"A header's parameters can't be read: it is longer than {MAX_HEADER_BYTES:,} bytes."
        )
    value = header.partition(";")[0]
    at = len(value) + 1
    parameters: dict[str, str] = {}
    while at < len(header):
        end = _found(header, ";", at)
        equals = _found(header, "=", at, end)
        name = header[at:equals].strip().lower()
        if equals == end and not name:  # `;;`
            at = end + 1
            continue
        if equals == end or not _NAME.fullmatch(name):
            raise MalformedUploadError(_UNREADABLE)
        if name in parameters:
            raise MalformedUploadError(f"A header has the parameter {name!r} twice.")
        start = _SPACE.match(header, equals + 1).end()  # type: ignore[union-attr]  # which always matches
        if header.startswith('"', start):
            parameters[name], at = _quoted(header, start + 1)
        else:
            parameters[name], at = _bare(header[start:end], single_quotes=single_quotes), end + 1
    return value.strip().lower(), _with_whole_values(parameters) if "*" in header else parameters


def _with_whole_values(parameters: dict[str, str]) -> dict[str, str]:
    """Add what was cut in pieces, `filename*0="a"; filename*1*=%20b`, unless it is there in one piece, too."""
    cut: dict[str, dict[int, tuple[str, bool]]] = {}
    for key, value in parameters.items():
        if piece := _PIECE.fullmatch(key):
            pieces = cut.setdefault(piece[1], {})
            if int(piece[2]) in pieces:
                raise MalformedUploadError(f"A header has the piece {piece[2]} of the parameter {piece[1]!r} twice.")
            pieces[int(piece[2])] = value, bool(piece[3])
    whole: dict[str, str] = {}
    for name, pieces in cut.items():
        if max(pieces) >= len(pieces):
            raise MalformedUploadError(f"A header has the parameter {name!r} in pieces, of which some are missing.")
        values = [pieces[number] for number in range(len(pieces))]
        if any(is_encoded for _, is_encoded in values):
            charset = "" if values[0][1] else "utf-8''"
            said = (value if is_encoded else quote(value, safe="", encoding="latin-1") for value, is_encoded in values)
            whole[f"{name}*"] = charset + "".join(said)
        else:
            whole[name] = "".join(value for value, _ in values)
    return whole | parameters


def _found(header: str, mark: str, start: int, end: int | None = None) -> int:
    """Return where a mark is first; the end if it is nowhere."""
    last = len(header) if end is None else end
    at = header.find(mark, start, last)
    return last if at < 0 else at


def _quoted(header: str, start: int) -> tuple[str, int]:
    """Return the value that begins behind an opening quote, and where the next parameter begins."""
    at = start
    while match := _TO_QUOTE.match(header, at):
        at = match.end()
        if end := _ENDS.match(header, at):
            return _ESCAPED.sub(r"\1", _without_dangling_quote(header[start : at - 1])), end.end()
    raise MalformedUploadError(_UNREADABLE)


def _without_dangling_quote(value: str) -> str:
    # `@Part("file\"; filename=\"a.png\" ")` is how Retrofit is made to send a filename: the last quote closes again.
    shorter = value.rstrip()
    if shorter.endswith('"') and not shorter.endswith('\\"') and value.count('"') == 1:
        return shorter[:-1]
    return value


def _bare(value: str, *, single_quotes: bool) -> str:
    bare = value.strip()
    if '"' in bare:
        raise MalformedUploadError(_UNREADABLE)
    if single_quotes and len(bare) > 1 and bare.startswith("'") and bare.endswith("'"):
        return bare[1:-1]
    return bare
