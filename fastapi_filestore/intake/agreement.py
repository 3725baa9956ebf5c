"""Which media types can be said of one file: by its sender, by its name, and by its bytes.

Types are compared by their canonical names. Many a type is a special case of another: what its bytes show is the
general one, as a zip archive is what shows of an office document.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from fastapi_filestore.intake.media_types import canonical, says_nothing
from fastapi_filestore.intake.names import FALLBACK_TYPE
from fastapi_filestore.intake.sniffing import OLE, TEXT

_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument"

SPECIAL_CASES: dict[str, Sequence[str]] = {
    "application/zip": (
        f"{_OFFICE}.*",
        f"{_OPEN_DOCUMENT}.*",
        "*/*+zip",
        "application/java-archive",
        "application/vnd.android.package-archive",
        "application/vnd.apple.keynote",
        "application/vnd.apple.numbers",
        "application/vnd.apple.pages",
        "application/vnd.google-earth.kmz",
        "application/vnd.ms-excel.*",  # with macros, as the next two
        "application/vnd.ms-powerpoint.*",
        "application/vnd.ms-word.*",
        "application/vnd.ms-xpsdocument",
    ),
    OLE: (
        f"{_OFFICE}.*",  # with a password
        "application/msword",
        "application/vnd.ms-excel",
        "application/vnd.ms-outlook",
        "application/vnd.ms-powerpoint",
        "application/vnd.ms-project",
        "application/vnd.visio",
    ),
    "application/rtf": ("application/msword",),
    f"{_OFFICE}.wordprocessingml.document": (f"{_OFFICE}.wordprocessingml.*", "application/vnd.ms-word.*"),
    f"{_OFFICE}.spreadsheetml.sheet": (f"{_OFFICE}.spreadsheetml.*", "application/vnd.ms-excel.*"),
    f"{_OFFICE}.presentationml.presentation": (f"{_OFFICE}.presentationml.*", "application/vnd.ms-powerpoint.*"),
    f"{_OPEN_DOCUMENT}.text": (f"{_OPEN_DOCUMENT}.text-*",),
    f"{_OPEN_DOCUMENT}.spreadsheet": (f"{_OPEN_DOCUMENT}.spreadsheet-*",),
    f"{_OPEN_DOCUMENT}.presentation": (f"{_OPEN_DOCUMENT}.presentation-*",),
    "application/gzip": ("application/tar", "application/gtar", "application/tgz", "application/compressed-tar"),
    "application/tar": ("application/gtar", "application/ustar"),
    "application/pdf": ("application/postscript", "application/illustrator"),  # what Illustrator writes as .ai
    "application/xml": ("*/*+xml", "text/xsl", "application/plist"),
    "text/html": ("application/xhtml+xml", "text/markdown", "application/httpd-php"),
    "image/png": ("image/apng",),
    "image/tiff": ("image/canon-cr2", "image/nikon-nef", "image/sony-arw", "image/adobe-dng"),
    "audio/ogg": ("video/ogg", "application/ogg", "audio/opus", "audio/vorbis"),
    "video/matroska": ("audio/matroska", "video/webm", "audio/webm"),
    "video/webm": ("audio/webm",),
    "video/mp4": ("audio/mp4", "application/mp4", "video/quicktime", "video/m4v", "video/3gpp*", "audio/3gpp*"),
    "video/ms-wmv": ("video/ms-asf", "audio/ms-wma", "application/vnd.ms-asf"),
    "text/csv": ("application/vnd.ms-excel",),  # as browsers on Windows with Excel declare it
    TEXT: (
        "text/*",
        "*/*+json",
        "*/*+xml",
        "*/*+yaml",
        "application/json",
        "application/xml",
        "application/yaml",
        "application/sql",
        "application/sh",
        "application/vnd.apple.mpegurl",
        "application/vnd.ms-excel",
        "audio/mpegurl",
        "image/portable-*",
        "image/xbitmap",
        "image/xpixmap",
        "video/mp2t",  # what systems take TypeScript for
    ),
}
"""What may be said of bytes beside the type that they show."""

_PATTERNS = {canonical(one): tuple(map(canonical, some)) for one, some in SPECIAL_CASES.items()}

UNMISTAKABLE = frozenset(
    {
        canonical(OLE),
        "application/7z-compressed",
        "application/gzip",
        "application/pdf",
        "application/vnd.rar",
        "application/wasm",
        "application/zip",
        "audio/flac",
        "audio/midi",
        "audio/mp4",
        "audio/ogg",
        "audio/wav",
        "font/woff",
        "font/woff2",
        "image/avif",
        "image/bmp",
        "image/gif",
        "image/heic",
        "image/jpeg",
        "image/png",
        "image/tiff",
        "image/vnd.adobe.photoshop",
        "image/vnd.microsoft.icon",
        "image/webp",
        "video/matroska",
        "video/mp4",
        "video/msvideo",
        "video/webm",
    }
)
"""Types whose bytes always show it, so that bytes which don't are of another."""

CONTAINERS = frozenset(
    {"application/zip", "application/gzip", "application/xml", "application/vnd.sqlite3", canonical(OLE)}
)
"""What formats of applications are made of that nobody has a table of."""

SCRIPTABLE = frozenset({"application/xhtml+xml", "application/xml", "image/svg+xml", "text/html"})
"""What a browser may run; never what is meant by another kind of text."""

_MEDIA = ("audio/", "font/", "image/", "video/")


def types_agree(declared: str | None, sniffed: str | None, named: str | None) -> bool:
    """Tell whether a file can be what its sender declares, its first bytes show and its name suggests, all at once.

    None and application/octet-stream say nothing, but for the bytes, where it means that they are of no known type.
    """
    claims = [canonical(each) for each in (declared, named) if each is not None and not says_nothing(each)]
    if sniffed is not None and not all(_shows(canonical(sniffed), claim) for claim in claims):
        return False
    return len(claims) < 2 or _can_be_one(*claims)  # noqa: PLR2004 - the declared one and the name's


def _can_be_one(one: str, other: str) -> bool:
    if one == other or _is_case_of(one, other) or _is_case_of(other, one):
        return True
    texts = _is_case_of(one, TEXT) and _is_case_of(other, TEXT)
    return texts and not SCRIPTABLE & {one, other}


def _shows(sniffed: str, claim: str) -> bool:
    """Tell whether a file of a claimed type may begin with bytes of the sniffed one."""
    if claim == sniffed or _is_case_of(claim, sniffed):
        return True
    if claim != TEXT and _is_case_of(sniffed, claim):
        return True
    if claim in UNMISTAKABLE or any(_is_case_of(claim, each) for each in UNMISTAKABLE):
        return False
    return _may_be_unknown(sniffed, claim)


def _may_be_unknown(sniffed: str, claim: str) -> bool:
    """Tell whether bytes may be of a claimed type that nobody knows the signature of."""
    if sniffed == TEXT:
        return not claim.startswith(_MEDIA)
    if sniffed in CONTAINERS:
        return claim.startswith(("application/", "model/"))
    return sniffed == FALLBACK_TYPE


def _is_case_of(special: str, general: str) -> bool:
    return any(fnmatchcase(special, pattern) for pattern in _PATTERNS.get(general, ()))
