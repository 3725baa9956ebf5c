"""Compare media types as RFC 9110, section 8.3 has it: without regard to case, parameters aside, nothing guessed."""

import re
from collections.abc import Iterable, Sequence

from fastapi_filestore.errors import ConfigurationError, MalformedUploadError
from fastapi_filestore.intake.header_parameters import read_parameters
from fastapi_filestore.intake.names import FALLBACK_TYPE, guess_content_type, is_media_type

_RANGE = re.compile(r"(?:\*/\*|[A-Za-z0-9!#$&^_.+-]+/(?:\*|[A-Za-z0-9!#$&^_.+-]+))")

OTHER_NAMES = {
    "application/gzip": "application/x-gunzip",
    "application/java-archive": "application/x-jar application/x-java-archive",
    "application/json": "text/json",
    "application/msword": (
        "application/vnd.ms-word application/vnd.msword application/x-msword zz-application/zz-winassoc-doc"
    ),
    "application/pdf": (
        "application/acrobat application/nappdf application/x-pdf applications/vnd.pdf image/pdf text/pdf text/x-pdf"
    ),
    "application/rtf": "text/richtext text/rtf",
    "application/vnd.ms-cab-compressed": "application/x-cab-compressed zz-application/zz-winassoc-cab",
    "application/vnd.ms-excel": (
        "application/excel application/msexcel application/x-dos_ms_excel application/x-excel "
        "application/x-msexcel zz-application/zz-winassoc-xls"
    ),
    "application/vnd.ms-powerpoint": "application/mspowerpoint application/powerpoint application/x-mspowerpoint",
    "application/vnd.rar": "application/rar application/x-rar application/x-rar-compressed",
    "application/vnd.sqlite3": "application/x-sqlite3",
    "application/x-7z-compressed": "application/x-7z",
    "application/x-bzip2": "application/bzip2 application/x-bzip",
    "application/x-deb": "application/vnd.debian.binary-package application/x-debian-package",
    "application/x-msdownload": (
        "application/vnd.microsoft.portable-executable application/x-dosexec application/x-ms-dos-executable"
    ),
    "application/xml": "text/xml",
    "application/yaml": "application/x-yaml text/yaml",
    "application/zip": "application/x-zip application/x-zip-compressed application/zip-compressed multipart/x-zip",
    "audio/aac": "audio/aac-adts audio/vnd.dlna.adts",
    "audio/amr": "audio/amr-nb",
    "audio/flac": "application/x-flac",
    "audio/midi": "audio/mid audio/sp-midi",
    "audio/mp4": "audio/m4a audio/m4b audio/x-m4a audio/x-m4b audio/x-m4r",
    "audio/mpeg": "audio/mp3 audio/mpeg3 audio/mpg audio/x-mp3 audio/x-mpg",
    "audio/wav": "audio/vnd.wave audio/wave audio/x-pn-wav",
    "audio/x-mpegurl": "application/m3u application/x-mpegurl audio/m3u audio/x-m3u",
    "audio/x-ms-wma": "audio/wma",
    "font/otf": "application/vnd.ms-opentype application/x-font-opentype application/x-font-otf font/opentype",
    "font/ttf": "application/font-sfnt application/x-font-truetype application/x-font-ttf font/sfnt font/truetype",
    "font/woff": "application/font-woff application/x-font-woff",
    "font/woff2": "application/font-woff2",
    "image/bmp": "image/x-ms-bmp image/x-windows-bmp",
    "image/emf": "application/x-emf",
    "image/heic": "image/heif",
    "image/jpeg": "image/jpg image/pjpeg",
    "image/jpx": "image/jp2 image/jpeg2000 image/jpeg2000-image image/jpm image/x-jpeg2000-image",
    "image/svg+xml": (
        "application/svg application/svg+xml image/svg image/svg-xml image/vnd.adobe.svg+xml text/svg text/svg+xml "
        "text/xml-svg"
    ),
    "image/tiff": "image/tif",
    "image/vnd.adobe.photoshop": (
        "application/photoshop application/x-photoshop image/photoshop image/psd image/x-photoshop image/x-psd"
    ),
    "image/vnd.microsoft.icon": "application/ico image/ico image/icon image/x-ico image/x-icon text/ico",
    "image/vnd.ms-photo": "image/jxr",
    "image/wmf": "application/wmf application/x-wmf",
    "image/x-eps": "application/eps image/eps",
    "image/x-xpixmap": "image/x-xpm",
    "text/csv": "application/csv application/x-csv text/comma-separated-values text/x-comma-separated-values",
    "text/javascript": "application/ecmascript application/javascript application/x-javascript text/ecmascript",
    "video/dvd": "video/x-ms-vob",
    "video/mpeg": "video/x-mpeg2",
    "video/x-flv": "application/x-flash-video",
    "video/x-msvideo": "video/avi video/divx video/msvideo video/vnd.divx video/x-avi",
}
"""Names that browsers, systems and libraries have for what is one type, as shared-mime-info has most of them.

What is missing here contradicts nothing, so a list that is never complete refuses nobody.
"""
ALIASES = {alias: name for name, aliases in OTHER_NAMES.items() for alias in aliases.split()}

UNSPECIFIC_TYPES = frozenset(
    {
        FALLBACK_TYPE,
        "application/binary",
        "application/download",
        "application/force-download",
        "application/octet",
        "application/octet-binary",
        "application/octetstream",
        "application/unknown",
        "application/x-binary",
        "application/x-download",
        "application/x-force-download",
        "application/x-octet-stream",
        "application/x-octetstream",
        "application/x-unknown",
        "application/x-unknown-content-type",
        "application/x-www-form-urlencoded",  # what senders declare that take a file for a form
        "binary/octet-stream",  # what S3 makes of an object whose type nobody declared
        "multipart/form-data",
        "octet/stream",
        "unknown/unknown",
    }
)
"""What senders declare that don't know; `*/*` and `image/*`, which are no types, besides."""


def essence(content_type: str) -> str:
    """Return a media type in lower case and without parameters."""
    return content_type.partition(";")[0].strip().lower()


def is_same(content_type: str, other: str) -> bool:
    """Tell whether two media types say the same (RFC 9110, section 8.3.1): case, spaces, quotes and order don't."""
    if content_type == other:
        return True
    try:
        read, other_read = _read(content_type), _read(other)
    except MalformedUploadError:
        return False
    return read == other_read


def _read(content_type: str) -> tuple[str, dict[str, str]]:
    name, parameters = read_parameters(content_type)
    if "charset" in parameters:
        parameters["charset"] = parameters["charset"].lower()
    return name, parameters


def canonical_type(content_type: str) -> str:
    """Return the one name of a media type that all of its other names are compared by; it may be nobody's usual one."""
    whole = essence(content_type)
    kind, _, name = ALIASES.get(whole, whole).partition("/")
    return f"{kind}/{name.removeprefix('x-')}"


def likely_type(declared: str | None, filename: str, sniffed: str | None) -> str:
    """Return the first of these types that says anything: the declared one, the name's, that of the first bytes."""
    if declared is not None and not is_unspecific(declared):
        return declared
    named = guess_content_type(filename)
    if not is_unspecific(named):
        return named
    return FALLBACK_TYPE if sniffed is None or is_unspecific(sniffed) else sniffed


def is_unspecific(content_type: str | None) -> bool:
    """Tell whether a type is none, or one that senders give to what they don't know."""
    return content_type is None or not is_media_type(content_type) or essence(content_type) in UNSPECIFIC_TYPES


def check_ranges(ranges: Iterable[str]) -> tuple[str, ...]:
    """Return media ranges such as `image/*` in lower case; `ConfigurationError` for what is none."""
    if isinstance(ranges, str):
        raise ConfigurationError(f"Content types are a list: ['{ranges}'].")
    lowered = tuple(media_range.strip().lower() for media_range in ranges)
    for media_range in lowered:
        if not _RANGE.fullmatch(media_range):
            raise ConfigurationError(f"{media_range!r} is no media type: write it like 'application/pdf' or 'image/*'.")
    return lowered


def is_within(content_type: str, ranges: Sequence[str]) -> bool:
    """Tell whether a media type is, under any of its names, one of the ranges, which are in lower case."""
    whole, own = essence(content_type), canonical_type(content_type)
    wide = {"*/*", f"{whole.partition('/')[0]}/*"}
    return any(media_range in wide or canonical_type(media_range) == own for media_range in ranges)
