"""Tell what a file's first bytes are of, whatever its name and its sender say."""

import codecs
import re
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, cast

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.intake.names import FALLBACK_TYPE

AMR, AMR_WB = "audio/amr", "audio/amr-wb"
ICON = "image/x-icon"
PDF = "application/pdf"

_BRANDS = {
    b"3g2": "video/3gpp2",
    b"3gp": "video/3gpp",
    b"avi": "image/avif",  # pictures and sequences, `avif` and `avis`
    b"crx": "image/x-canon-cr3",
    b"f4a": "audio/mp4",
    b"f4b": "audio/mp4",
    b"hei": "image/heic",
    b"hev": "image/heic",
    b"jp2": "image/jpx",
    b"jpx": "image/jpx",
    b"m4a": "audio/mp4",
    b"m4b": "audio/mp4",
    b"m4p": "audio/mp4",
    b"qt ": "video/quicktime",
}
"""What the first three letters of a file's brand say (ISO/IEC 14496-12, section 4.3, and mp4ra.org)."""

_OF_ANY_PICTURE = (b"mif1", b"msf1", b"miaf")
_OLD_FILMS = (b"moov", b"mdat", b"wide", b"pnot", b"free", b"skip", b"uuid", b"pdin")
_SEGMENTS = (b"styp", b"sidx", b"moof", b"emsg", b"prft")
_MOST_BRANDS = 256

_PDF_HEADER = re.compile(rb"%PDF-\d\.\d")
_PDF_OBJECT = re.compile(rb"\d\s{1,4}\d{1,5}\s{1,4}obj\b")
_PDF_LEAD = 1024
"""Bytes within which a PDF may begin (Adobe's supplement to ISO 32000, implementation note 13)."""

_TAR_BLOCK = 512
_TAR_SUM = slice(148, 156)
_number = partial(int.from_bytes, byteorder="little")
_BITMAP_DEPTHS = frozenset({1, 4, 8, 16, 24, 32})

_WRITTEN_PDF = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s|(?:\x1b|@PJL)[^\n]*\n)*"  # blank lines, and what is for the printer
    rb"%PDF-\d\.\d[ \t]*(?:[\r\n%]|\d{1,9} \d{1,5} obj|\Z)"
)

_SOUND = "audio/x-wav"
_PLAIN: Sequence[tuple[bytes, bytes, str]] = (
    (b"II+\0\x08\0\0\0", b"", "image/tiff"),  # BigTIFF
    (b"MM\0+\0\x08\0\0", b"", "image/tiff"),
    (b"RF64", b"WAVE", _SOUND),  # of more than 4 GiB (EBU Tech 3306)
    (b"BW64", b"WAVE", _SOUND),
    (b"RIFX", b"WAVE", _SOUND),
    (b"RIFF", b"RMID", "audio/midi"),
    (b"#!AMR_MC1.0\n", b"", AMR),  # RFC 4867, section 5
    (b"#!AMR-WB\n", b"", AMR_WB),
    (b"#!AMR-WB_MC1.0\n", b"", AMR_WB),
    (b"\xc5\xd0\xd3\xc6", b"", "application/postscript"),  # with a picture of itself for DOS
    (b"PK00PK\3\4", b"", "application/zip"),  # split, and of one part after all
    (b"PK\x07\x08PK\3\4", b"", "application/zip"),
)
"""What a file begins with, what follows at byte 8, and what it is then."""


def sniff_container(head: bytes) -> str | None:
    """Return the type of a film, a sound or a picture in the containers of ISO and Matroska; None for any other."""
    box = head[4:8]
    if box == b"ftyp":
        major = head[8:12].lower()
        if major not in _OF_ANY_PICTURE:
            return _BRANDS.get(major[:3], "video/mp4")
        end = min(int.from_bytes(head[:4], "big"), _MOST_BRANDS)
        others = [head[start : start + 4] for start in range(16, end, 4)]
        return "image/avif" if b"avif" in others or b"avis" in others else "image/heic"
    if box in _OLD_FILMS and len(head) > 8:  # noqa: PLR2004 - the size of a box's header
        return "video/quicktime"
    if box in _SEGMENTS:
        return "video/mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"\x42\x82\x84webm" in head[:64] else "video/x-matroska"
    return None


def sniff_other(head: bytes) -> str | None:
    """Return the type of a file that neither the library nor a container's box tells; None if nothing does."""
    for start, at_eight, kind in _PLAIN:
        if head.startswith(start) and head.startswith(at_eight, 8):
            return kind
    header = _PDF_HEADER.search(head, 0, _PDF_LEAD + 8)
    if header is not None and _PDF_OBJECT.search(head, header.end()) is not None:
        return PDF
    # What archives began with before POSIX is told by the sum of its first block.
    block, written = head[:_TAR_BLOCK], head[_TAR_SUM].strip(b" \0")
    is_block = len(block) == _TAR_BLOCK and re.fullmatch(rb"[0-7]{1,7}", written) is not None
    if is_block and sum(block) - sum(block[_TAR_SUM]) + 8 * ord(" ") == int(written, 8):
        return "application/x-tar"
    # A bitmap without the header of a file has its size, one plane, and a depth.
    if _number(head[:4]) in {40, 108, 124} and _number(head[12:14]) == 1 and _number(head[14:16]) in _BITMAP_DEPTHS:
        return "image/bmp"
    images = _number(head[4:6])  # of a cursor
    if head.startswith(b"\0\0\2\0") and images > 0 and _number(head[18:22]) >= 6 + 16 * images:
        return ICON
    # A script is followed by its archive in Java's and Python's files that can be started.
    return "application/zip" if head.startswith(b"#!") and b"PK\3\4" in head else None


def is_written_pdf(head: bytes) -> bool:
    """Tell whether a text is a PDF without a binary byte, and not one that writes of PDF."""
    return _WRITTEN_PDF.match(head) is not None


HTML, XML, SVG, XHTML = "text/html", "text/xml", "image/svg+xml", "application/xhtml+xml"

_WHITESPACE = " \t\n\f\r"
_TAGS = "!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|!--"
_HTML = re.compile(rf"<(?:{_TAGS})[ >]", re.IGNORECASE)
_ELEMENT = re.compile(r"<(?:[\w.-]+:)?([\w.-]+)[\s/>]")
_ROOTS = {"svg": SVG, "html": XHTML}
_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def marked_text(head: bytes) -> tuple[str, bytes] | None:
    """Return the encoding that a byte order mark tells and the bytes after it; None if there is no mark."""
    for mark, encoding in _ENCODINGS.items():
        if head.startswith(mark):
            return encoding, head[len(mark) :]
    return None


def sniff_markup(head: bytes) -> str | None:
    """Return the type of the markup that a file begins with: HTML, XHTML, SVG or other XML; None for anything else."""
    encoding, rest = marked_text(head) or ("latin-1", head)
    text = rest.decode(encoding, errors="replace").lstrip(_WHITESPACE)
    if not text.startswith("<"):
        return None
    is_xml = text.startswith("<?xml")
    start = 0
    while text.startswith(("<!", "<?"), start):  # comments, instructions and a document type before the root element
        if text.startswith("<!--", start):
            start = _past(text, "-->", start + 4)
        elif text.startswith("<?", start):
            start = _past(text, "?>", start + 2)
        else:
            end = _past(text, ">", start)
            subset = text.find("[", start, end)  # no further, or a head of many would be read again for each
            start = end if subset < 0 else _past(text, ">", _past(text, "]", subset))
        while start < len(text) and text[start] in _WHITESPACE:
            start += 1
    element = _ELEMENT.match(text, start)
    root = element[1] if element else ""
    if root == "svg" or (is_xml and root in _ROOTS):
        return _ROOTS[root]
    if _HTML.match(text):
        return HTML
    return XML if is_xml else None


def _past(text: str, mark: str, start: int) -> int:
    end = text.find(mark, start)
    return len(text) if end < 0 else end + len(mark)


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
