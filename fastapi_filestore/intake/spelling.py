"""Names in headers, as the libraries of all languages spell them: raw, percent-encoded, as encoded words, extended."""

import binascii
import re
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import quote, unquote_to_bytes

from fastapi_filestore.errors import MalformedUploadError
from fastapi_filestore.intake.charsets import UTF_8, as_text, codec_of

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
        return _decoded_words(words) or value
    if value.isascii() and "%" in value:
        content = unquote_to_bytes(value)
        if _BEYOND_ASCII.search(value) or (quoted and quote(content, safe="") == value):
            with suppress(UnicodeDecodeError):
                return content.decode()
    # Browsers escape these three, and nothing else (WHATWG HTML, 4.10.21.8).
    plain = value.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
    return as_text(plain.encode("latin-1"), codec)


def _decoded_words(words: list[str]) -> str | None:
    """Return the text of encoded words; None if one can't be decoded.

    Bytes of one charset are joined first: senders cut words in the middle of a letter.
    """
    runs: list[tuple[str, list[bytes]]] = []
    for label, encoding, text in (match.groups() for match in map(_ENCODED_WORD.fullmatch, words) if match):
        codec, content = codec_of(label), _decoded_bytes(text, encoding)
        if codec is None or content is None:
            return None
        if not runs or runs[-1][0] != codec:
            runs.append((codec, []))
        runs[-1][1].append(content)
    return "".join(as_text(b"".join(contents), codec) for codec, contents in runs)


def _decoded_bytes(text: str, encoding: str) -> bytes | None:
    if encoding in "Qq":
        return binascii.a2b_qp(text.encode("latin-1"), header=True)
    try:
        return binascii.a2b_base64(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
    except ValueError:
        return None
