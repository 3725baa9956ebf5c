"""Read parameters of a header, `value; name=value`, as clients write them, in all charsets and spellings."""

import binascii
import re
from collections.abc import Mapping
from contextlib import suppress
from encodings.aliases import aliases
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from fastapi_filestore.errors import MalformedUploadError

UTF_8: Final = "utf_8"

_LATIN = "cp1252"
"""What browsers mean by Latin-1 and ASCII, too: the same letters, and a few more."""
_CODECS = frozenset(
    {
        *(f"cp{number}" for number in (866, 874, *range(1250, 1259))),
        *(f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)),
        *("big5hkscs", "cp932", "cp949", "euc_jp", "gb18030", "koi8_r", "koi8_u", "mac_cyrillic", "mac_roman"),
        *("utf_16", "utf_16_be", "utf_16_le", UTF_8),
    }
)
_WIDER = {
    "ascii": _LATIN,
    "big5": "big5hkscs",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859_1": _LATIN,
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "latin_1": _LATIN,
    "shift_jis": "cp932",
    "tis_620": "cp874",
}
"""Charsets that are read as one that has all of theirs and more."""
_LABELS = {
    label: _WIDER.get(codec, codec)
    for label, codec in (*aliases.items(), *((name, name) for name in (*_CODECS, *_WIDER)))
    if _WIDER.get(codec, codec) in _CODECS
}
"""A table, since Python's own look-up imports modules by what it is asked for, and remembers each."""
_NO_ASCII = frozenset({"utf_16", "utf_16_be", "utf_16_le"})


def codec_of(label: str) -> str | None:
    """Return Python's codec of a charset; None for what no form is in."""
    return _LABELS.get(label.strip(" \t'").lower().replace("-", "_").replace(" ", "_"))


def codec_of_form(label: str) -> str | None:
    """Return the codec of a charset that a whole form can be in: its ASCII is ASCII."""
    codec = codec_of(label)
    return None if codec in _NO_ASCII else codec


def as_text(value: bytes, codec: str = UTF_8) -> str:
    """Decode what a client wrote; bytes that are not in its charset are taken for Latin-1, where all have a meaning."""
    try:
        return value.decode(codec)
    except UnicodeDecodeError:
        return value.decode("latin-1")


_EXTENDED = re.compile(r"([^']*)'[^']*'(.*)", re.DOTALL)  # RFC 8187, section 3.2
_ENCODED_WORD = re.compile(r"=\?([^?*]+)(?:\*[^?]*)?\?([BbQq])\?([^?]*)\?=")  # RFC 2047, section 2
_BEYOND_ASCII = re.compile(r"%[89A-Fa-f][0-9A-Fa-f]")

MOST_SHOWN = 100
"""Characters of a name that an error shows."""


def read_name(parameters: Mapping[str, str], key: str, *, codec: str = UTF_8, quoted: bool = False) -> str | None:
    """Return a name, in a part of a form, from a parameter and its extended twin; None if neither is there.

    RFC 7578 forbids `filename*`, and some libraries send it all the same. Parsers that disagree on it can be played off
    against each other, so it may spell out the plain one, but never give a file another ending.

    Args:
        parameters: The parameters, each byte a character.
        key: The parameter's name: `name` or `filename`.
        codec: What the raw bytes of names are in.
        quoted: Whether the sender percent-encodes all that is not a letter or digit.

    Raises:
        MalformedUploadError: There is only the twin, and it can't be read.
    """
    plain, extended = parameters.get(key), parameters.get(f"{key}*")
    spelled_out = None if extended is None else extended_name(extended)
    if plain is None:
        if extended is not None and spelled_out is None:
            raise MalformedUploadError(
                f"The form can't be read: {key}*={extended[:MOST_SHOWN]} of a part is of no charset that is known, or "
                f"not in it; write it as {key}*=UTF-8''name, or better {key}=\"name\"."
            )
        return spelled_out
    name = plain_name(plain, codec=codec, quoted=quoted)
    is_same_kind = spelled_out is not None and _ending(spelled_out) == _ending(name)
    return spelled_out if plain and is_same_kind else name


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()


def extended_name(value: str) -> str | None:
    """Return the name in a value such as `UTF-8''gr%C3%B6%C3%9Fe.txt`; None if it is not of that form."""
    extended = _EXTENDED.fullmatch(value)
    codec = extended and codec_of(extended[1])
    if not extended or not codec:
        return None
    try:
        return unquote_to_bytes(extended[2].encode("latin-1")).decode(codec)
    except UnicodeDecodeError:
        return None


def plain_name(value: str, *, codec: str = UTF_8, quoted: bool = False) -> str:
    """Return the name in a plain value, each byte a character: as the libraries of all languages encode it, or raw.

    A percent-encoded name (RFC 7578, section 4.2) is told from one that has a percent sign by what it says: letters
    beyond ASCII, or, of a sender that encodes so much, nothing but letters, digits and escapes.
    """
    words = value.split()
    if words and all(map(_ENCODED_WORD.fullmatch, words)):
        return _decode_words(words) or value
    if value.isascii() and "%" in value:
        content = unquote_to_bytes(value)
        if _BEYOND_ASCII.search(value) or (quoted and quote(content, safe="") == value):
            with suppress(UnicodeDecodeError):
                return content.decode()
    # Browsers escape these three, and nothing else (WHATWG HTML, 4.10.21.8).
    plain = value.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
    return as_text(plain.encode("latin-1"), codec)


def _decode_words(words: list[str]) -> str | None:
    """Return the text of encoded words; None if one can't be decoded.

    Bytes of one charset are joined first: senders cut words in the middle of a letter.
    """
    runs: list[tuple[str, list[bytes]]] = []
    for label, encoding, text in (match.groups() for match in map(_ENCODED_WORD.fullmatch, words) if match):
        codec = codec_of(label)
        if codec is None:
            return None
        if encoding in "Qq":
            content = binascii.a2b_qp(text.encode("latin-1"), header=True)
        else:
            digits = text.rstrip("=")
            try:
                content = binascii.a2b_base64(digits + "=" * (-len(digits) % 4))
            except ValueError:
                return None
        if not runs or runs[-1][0] != codec:
            runs.append((codec, []))
        runs[-1][1].append(content)
    return "".join(as_text(b"".join(contents), codec) for codec, contents in runs)


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
    position = len(value) + 1
    parameters: dict[str, str] = {}
    while position < len(header):
        end = header.find(";", position)
        end = len(header) if end < 0 else end
        equals = header.find("=", position, end)
        equals = end if equals < 0 else equals
        name = header[position:equals].strip().lower()
        if equals == end and not name:  # `;;`
            position = end + 1
            continue
        if equals == end or not _NAME.fullmatch(name):
            raise MalformedUploadError(_UNREADABLE)
        if name in parameters:
            raise MalformedUploadError(f"A header has the parameter {name!r} twice.")
        start = _SPACE.match(header, equals + 1).end()  # type: ignore[union-attr]  # which always matches
        if header.startswith('"', start):
            parameters[name], position = _read_quoted(header, start + 1)
            continue
        bare, position = header[start:end].strip(), end + 1
        if '"' in bare:
            raise MalformedUploadError(_UNREADABLE)
        is_quoted = single_quotes and len(bare) > 1 and bare.startswith("'") and bare.endswith("'")
        parameters[name] = bare[1:-1] if is_quoted else bare
    return value.strip().lower(), _join_pieces(parameters) if "*" in header else parameters


def _join_pieces(parameters: dict[str, str]) -> dict[str, str]:
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
            texts = (value if is_encoded else quote(value, safe="", encoding="latin-1") for value, is_encoded in values)
            whole[f"{name}*"] = charset + "".join(texts)
        else:
            whole[name] = "".join(value for value, _ in values)
    return whole | parameters


def _read_quoted(header: str, start: int) -> tuple[str, int]:
    """Return the value that begins behind an opening quote, and where the next parameter begins."""
    position = start
    while match := _TO_QUOTE.match(header, position):
        position = match.end()
        if end := _ENDS.match(header, position):
            value = header[start : position - 1]
            # `@Part("file\"; filename=\"a.png\" ")` is how Retrofit is made to send a filename: the last quote closes
            # again.
            bare = value.rstrip()
            if bare.endswith('"') and not bare.endswith('\\"') and value.count('"') == 1:
                value = bare[:-1]
            return _ESCAPED.sub(r"\1", value), end.end()
    raise MalformedUploadError(_UNREADABLE)
