"""Tell what a file's first bytes are of, whatever its name and its sender say."""

from collections.abc import Callable
from functools import cache
from typing import Any, cast

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.intake.names import FALLBACK_TYPE
from fastapi_filestore.intake.types.markup import marked_text, sniff_markup
from fastapi_filestore.intake.types.signatures import (
    AMR,
    AMR_WB,
    PDF,
    is_written_pdf,
    sniff_container,
    sniff_other,
)

TEXT = "text/plain"
OLE = "application/x-ole-storage"
"""What Office wrote before 2007, and what it puts around encrypted documents."""

_OLE_SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BINARY = bytes([*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)])  # WHATWG: binary data bytes, section 3

_WRITTEN_AS_TEXT = frozenset({PDF, "application/rtf", "application/postscript", AMR, AMR_WB})
"""Types that may have no binary byte; for any other, `BM` or `MZ` at the start of a text is chance."""

_BY_EXTENSION = {"woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf"}
"""Types that the library has older names for, two of them the same."""

Guess = Callable[[bytes], Any]


@cache
def _library() -> Guess | None:
    try:
        from filetype import guess  # noqa: PLC0415 - an optional extra
    except ImportError:
        return None
    return cast("Guess", guess)


def require_sniffing() -> None:
    """Raise `ConfigurationError` if the library that knows the signatures is not installed."""
    if _library() is None:
        raise ConfigurationError(
            "Sniffing the types of files needs the extra `sniff`: pip install 'fastapi-filestore[sniff]'."
        )


def sniff(head: bytes) -> str | None:
    """Return the media type that a file's first bytes are of; None if the extra `sniff` is not installed.

    Text of no known form is text/plain, and bytes of none are application/octet-stream, as in the WHATWG MIME Sniffing
    standard, section 7.1.
    """
    guess = _library()
    if guess is None:
        return None
    if markup := sniff_markup(head):
        return markup
    if head.startswith(_OLE_SIGNATURE):
        return OLE
    known = sniff_container(head)
    if known is None and (kind := guess(head)) is not None:
        known = _BY_EXTENSION.get(kind.extension, str(kind.mime))
    known = known or sniff_other(head)
    encoding, rest = marked_text(head) or ("", head)
    if not encoding.startswith("utf-16") and len(rest.translate(None, _BINARY)) < len(rest):
        return known or FALLBACK_TYPE
    if known == PDF and not is_written_pdf(head):
        return TEXT
    return known if known in _WRITTEN_AS_TEXT else TEXT
