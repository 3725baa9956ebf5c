"""Know which media types are special cases of others, so that bytes of the general one can be of them.

What systems declare, and what programs write, as shared-mime-info has it (freedesktop.org's database of types: its
aliases and its `sub-class-of`), and the registries of Windows, macOS and Android. Types are by their canonical names.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from fastapi_filestore.intake.names import types_by_kind
from fastapi_filestore.intake.types.media_types import canonical_type
from fastapi_filestore.intake.types.sniffing import OLE, TEXT

_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument"

COMPRESSED = types_by_kind({"application": "bzip2 compress gzip lz4 lzip xz zstd"})
"""What one file is packed with, whatever it is."""

_OF_OFFICE = "application/msword* application/vnd.ms-excel"
"""What people call any file that Word or Excel opens: tables as text, pages and XML that other programs export."""

_PACKED = (
    "application/*-compressed-tar application/*-tar-compressed application/compress* application/gtar* "
    "application/postscript application/tar application/tgz image/*-compressed image/emf image/svg+xml "
    "image/wmf"
)
"""What is called by what it is when it is unpacked, or by what it was packed with."""

_OF_ISO = (
    "application/mp4 audio/3gpp* audio/mp4 video/3gpp* video/f4v video/iso.segment video/m4v video/mj2 "
    "video/mp4 video/mp4v-es video/quicktime"
)
"""Films and sounds in the container of ISO, whose brand is what the program liked best."""

_OF_MATROSKA = "application/matroska audio/matroska audio/webm video/matroska video/webm"
_HEARD_ON_PHONES = "audio/aac audio/amr* audio/mpeg"
_OLDER_THAN_OPEN_XML = "application/vnd.ms-powerpoint application/vnd.visio"

SPECIAL_CASES: dict[str, str] = {
    "application/zip": (
        f"{_OFFICE}.* {_OPEN_DOCUMENT}.* */*+zip application/java-archive application/oxps "
        "application/vnd.android.package-archive application/vnd.apple.keynote application/vnd.apple.numbers "
        "application/vnd.apple.pages application/vnd.google-earth.kmz application/vnd.ms-xpsdocument "
        "application/vnd.ms-excel.* application/vnd.ms-powerpoint.* application/vnd.ms-word.* "  # with macros
        f"image/openraster model/3mf {_OLDER_THAN_OPEN_XML}"  # as systems call their successors
    ),
    OLE: (
        f"{_OFFICE}.* "  # with a password
        f"{_OF_OFFICE} application/vnd.ms-outlook application/vnd.ms-powerpoint application/vnd.ms-project "
        "application/vnd.visio"
    ),
    "application/msword": "application/msword-template",
    "application/rtf": _OF_OFFICE,
    "application/postscript": "image/eps application/illustrator",
    f"{_OFFICE}.wordprocessingml.document": f"{_OFFICE}.wordprocessingml.* application/vnd.ms-word.*",
    f"{_OFFICE}.spreadsheetml.sheet": f"{_OFFICE}.spreadsheetml.* application/vnd.ms-excel.*",
    f"{_OFFICE}.presentationml.presentation": f"{_OFFICE}.presentationml.* application/vnd.ms-powerpoint.*",
    f"{_OPEN_DOCUMENT}.text": f"{_OPEN_DOCUMENT}.text-*",
    f"{_OPEN_DOCUMENT}.spreadsheet": f"{_OPEN_DOCUMENT}.spreadsheet-*",
    f"{_OPEN_DOCUMENT}.presentation": f"{_OPEN_DOCUMENT}.presentation-*",
    "application/tar": "application/gtar application/ustar",
    "application/pdf": "application/illustrator",  # what Illustrator writes as .ai
    "application/xml": f"*/*+xml text/xsl application/plist {_OPEN_DOCUMENT}.*-flat-xml",
    "text/html": "application/xhtml+xml text/markdown application/httpd-php",
    "image/png": "image/apng image/vnd.mozilla.apng",
    "image/tiff": "image/canon-cr2 image/nikon-nef image/sony-arw image/adobe-dng",
    "image/heic": "image/avif image/heic-sequence image/heif-sequence",
    "image/avif": "image/avif-sequence image/heic image/heic-sequence image/heif-sequence",
    "image/jpeg": "image/jls image/mpo",
    "audio/mpeg": "audio/mp2",
    "audio/ogg": "video/ogg application/ogg audio/opus audio/vorbis audio/*+ogg video/*+ogg",
    "video/matroska": _OF_MATROSKA,
    "video/webm": _OF_MATROSKA,
    "video/mpeg": "video/dvd video/mp1s video/mp2p video/mpeg-system",
    **dict.fromkeys(("audio/mp4", "video/3gpp", "video/3gpp2", "video/mp4", "video/quicktime"), _OF_ISO),
    "video/ms-wmv": "video/ms-asf* audio/ms-wma video/ms-wm application/vnd.ms-asf",
    TEXT: (
        "text/* */*+json */*+xml */*+yaml application/json application/xml application/yaml application/sql "
        "application/sh application/vnd.apple.mpegurl audio/mpegurl audio/scpls image/portable-* "
        "image/xbitmap image/xpixmap"
    ),
}
"""What bytes can be, beside what they show."""

ALSO_SAID: dict[str, str] = {
    **dict.fromkeys(COMPRESSED, _PACKED),
    **dict.fromkeys(("audio/mp4", "video/3gpp", "video/3gpp2", "video/mp4"), _HEARD_ON_PHONES),
    **dict.fromkeys(("application/7z-compressed", "application/tar", "application/vnd.rar"), "application/compressed"),
    f"{_OFFICE}.wordprocessingml.document": "application/msword*",  # as old systems and browsers call the new ones
    f"{_OFFICE}.spreadsheetml.sheet": "application/vnd.ms-excel",
    f"{_OFFICE}.presentationml.presentation": "application/vnd.ms-powerpoint",
    OLE: "text/gettext-translation-template text/pot text/vnd.graphviz",  # .pot and .dot, Office's first
    "application/pdf": "application/postscript",
    "application/postscript": TEXT,
    "application/rtf": "text/*",
    "application/unix-archive": "text/vnd.a",  # as libraries for node call what the linker writes
    "application/xml": f"text/* video/mp2t video/ms-asf {_OF_OFFICE}",  # the translations of Qt, and playlists
    "application/zip": "application/compressed text/sh text/shellscript",  # behind what unpacks it
    **dict.fromkeys(("audio/amr", "audio/amr-wb"), "audio/3gpp* audio/amr* video/3gpp*"),
    "audio/mpeg": "audio/aac audio/flac video/mpeg",  # behind the tags of an MP3
    "font/otf": f"{_OPEN_DOCUMENT}.formula-template font/ttf",  # whose ending is .otf, too
    "font/ttf": "font/otf",
    "image/png": "image/vnd.microsoft.icon",  # which Windows and browsers take for one
    "image/svg+xml": "text/*markdown*",
    "text/html": (
        "application/asp* application/hta application/httpd-php* application/jsp* application/php* "
        "application/xaml+xml application/xml "  # which begins with a comment, as the one before and the next
        "application/xslt+xml text/*markdown* text/*php* text/*template* text/asp* text/component "
        f"text/handlebars* text/jsp* text/svelte text/twig text/vue text/xsl {_OF_OFFICE}"
    ),
    "video/mpeg": "audio/mpeg audio/mp2",
    TEXT: (
        "application/vnd.apple.keynote "  # .key, as of servers
        "application/vnd.ms-powerpoint "  # .pot, as translators have it
        "audio/aac "  # .ass, as Python has it
        "video/mp2t "  # what systems take TypeScript for
        "video/mpeg "  # .mod, as Go has it
        "video/ms-asf "  # .asx, a list of films
        f"{_OF_OFFICE}"
    ),
}
"""What systems and people call bytes, though these are not that, or not any more."""

_Patterns = Mapping[str, Sequence[str]]


def _canonical(table: Mapping[str, str]) -> _Patterns:
    return {canonical_type(general): tuple(map(canonical_type, special.split())) for general, special in table.items()}


_CASES, _SAID = _canonical(SPECIAL_CASES), _canonical(ALSO_SAID)

_SAME_CONTAINER = ("audio/ogg", "video/matroska", "video/mp4", "video/mpeg", "video/ms-wmv")
"""What of sound and film names its sender by the one, and its ending by the other."""

UNMISTAKABLE = types_by_kind(
    {
        "application": "7z-compressed gzip pdf vnd.rar wasm zip",
        "audio": "flac midi mp4 ogg wav",
        "font": "woff woff2",
        "image": "avif bmp gif heic jpeg png tiff vnd.adobe.photoshop vnd.microsoft.icon webp",
        "video": "3gpp 3gpp2 matroska mp4 msvideo quicktime webm",
    }
) | {canonical_type(OLE)}
"""Types whose bytes always show it, so that bytes which don't are of another."""

_OLDER = frozenset({"application/msword", "application/vnd.ms-excel"})
"""What was written before there was a container that shows it."""

OFTEN_SHOWN = types_by_kind(
    {
        "application": (
            "deb dicom executable msdownload rpm shockwave-flash "
            "unix-archive vnd.ms-cab-compressed vnd.ms-fontobject vnd.sqlite3"
        ),
        "audio": "aiff amr amr-wb",
        "image": "canon-cr3 jpx vnd.ms-photo",
        "video": "flv",
    }
)
"""Other types that bytes may show, so that they are not of these if they show something else."""

_NAMED = _CASES.keys() | _SAID.keys() | UNMISTAKABLE | OFTEN_SHOWN


def is_case_of(special: str, general: str) -> bool:
    """Tell whether a type is a special case of another one."""
    return _is_in(_CASES, special, general)


def is_said_of(claim: str, sniffed: str, *, by_habit: bool = False) -> bool:
    """Tell whether bytes of a type are called by another one, too, as a case of it or, it may be only, by habit."""
    return _is_in(_SAID, claim, sniffed) or (not by_habit and is_case_of(claim, sniffed))


def is_unmistakable(claim: str) -> bool:
    """Tell whether bytes of a type, or of what it is a special case of, always show it."""
    if claim in _OLDER:
        return False
    return claim in UNMISTAKABLE or any(is_case_of(claim, general) for general in UNMISTAKABLE)


def is_known(claim: str) -> bool:
    """Tell whether anything is known of what bytes of a type begin with."""
    return claim in _NAMED or any(_is_in(table, claim, general) for table in (_CASES, _SAID) for general in table)


def _is_in(table: _Patterns, special: str, general: str) -> bool:
    return any(fnmatchcase(special, pattern) for pattern in table.get(general, ()))


def is_in_same_container(claim: str, other: str) -> bool:
    """Tell whether two types are of sound and film that lie in the same kind of file."""
    return any(
        all(kind == general or is_said_of(kind, general) for kind in (claim, other)) for general in _SAME_CONTAINER
    )
