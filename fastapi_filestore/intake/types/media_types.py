"""Compare media types as RFC 9110, section 8.3 has it: without regard to case, parameters aside, nothing guessed."""

import re
from collections.abc import Iterable, Sequence

from fastapi_filestore.errors import ConfigurationError, MalformedUploadError
from fastapi_filestore.intake.header_parameters import read_parameters
from fastapi_filestore.intake.names import FALLBACK_TYPE, guess_content_type, is_media_type

_RANGE = re.compile(r"(?:\*/\*|[A-Za-z0-9!#$&^_.+-]+/(?:\*|[A-Za-z0-9!#$&^_.+-]+))")

ALIASES = {
    "application/acrobat": "application/pdf",
    "application/bzip2": "application/x-bzip2",
    "application/csv": "text/csv",
    "application/ecmascript": "text/javascript",
    "application/eps": "image/x-eps",
    "application/excel": "application/vnd.ms-excel",
    "application/font-sfnt": "font/ttf",
    "application/font-woff": "font/woff",
    "application/font-woff2": "font/woff2",
    "application/ico": "image/vnd.microsoft.icon",
    "application/javascript": "text/javascript",
    "application/m3u": "audio/x-mpegurl",
    "application/msexcel": "application/vnd.ms-excel",
    "application/mspowerpoint": "application/vnd.ms-powerpoint",
    "application/nappdf": "application/pdf",
    "application/photoshop": "image/vnd.adobe.photoshop",
    "application/powerpoint": "application/vnd.ms-powerpoint",
    "application/rar": "application/vnd.rar",
    "application/vnd.debian.binary-package": "application/x-deb",
    "application/vnd.microsoft.portable-executable": "application/x-msdownload",
    "application/vnd.ms-opentype": "font/otf",
    "application/vnd.ms-word": "application/msword",
    "application/vnd.msword": "application/msword",
    "application/svg": "image/svg+xml",
    "application/svg+xml": "image/svg+xml",
    "application/wmf": "image/wmf",
    "application/x-7z": "application/x-7z-compressed",
    "application/x-bzip": "application/x-bzip2",
    "application/x-cab-compressed": "application/vnd.ms-cab-compressed",
    "application/x-csv": "text/csv",
    "application/x-debian-package": "application/x-deb",
    "application/x-dos_ms_excel": "application/vnd.ms-excel",
    "application/x-dosexec": "application/x-msdownload",
    "application/x-emf": "image/emf",
    "application/x-excel": "application/vnd.ms-excel",
    "application/x-flac": "audio/flac",
    "application/x-flash-video": "video/x-flv",
    "application/x-font-opentype": "font/otf",
    "application/x-font-otf": "font/otf",
    "application/x-font-truetype": "font/ttf",
    "application/x-font-ttf": "font/ttf",
    "application/x-font-woff": "font/woff",
    "application/x-gunzip": "application/gzip",
    "application/x-jar": "application/java-archive",
    "application/x-java-archive": "application/java-archive",
    "application/x-javascript": "text/javascript",
    "application/x-mpegurl": "audio/x-mpegurl",
    "application/x-ms-dos-executable": "application/x-msdownload",
    "application/x-msexcel": "application/vnd.ms-excel",
    "application/x-mspowerpoint": "application/vnd.ms-powerpoint",
    "application/x-msword": "application/msword",
    "application/x-pdf": "application/pdf",
    "application/x-photoshop": "image/vnd.adobe.photoshop",
    "application/x-rar": "application/vnd.rar",
    "application/x-rar-compressed": "application/vnd.rar",
    "application/x-sqlite3": "application/vnd.sqlite3",
    "application/x-wmf": "image/wmf",
    "application/x-yaml": "application/yaml",
    "application/x-zip": "application/zip",
    "application/x-zip-compressed": "application/zip",
    "application/zip-compressed": "application/zip",
    "applications/vnd.pdf": "application/pdf",
    "audio/aac-adts": "audio/aac",
    "audio/amr-nb": "audio/amr",
    "audio/m3u": "audio/x-mpegurl",
    "audio/m4a": "audio/mp4",
    "audio/m4b": "audio/mp4",
    "audio/mid": "audio/midi",
    "audio/mp3": "audio/mpeg",
    "audio/mpeg3": "audio/mpeg",
    "audio/mpg": "audio/mpeg",
    "audio/sp-midi": "audio/midi",
    "audio/vnd.dlna.adts": "audio/aac",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/wma": "audio/x-ms-wma",
    "audio/x-m3u": "audio/x-mpegurl",
    "audio/x-m4a": "audio/mp4",
    "audio/x-m4b": "audio/mp4",
    "audio/x-m4r": "audio/mp4",
    "audio/x-mp3": "audio/mpeg",
    "audio/x-mpg": "audio/mpeg",
    "audio/x-pn-wav": "audio/wav",
    "font/opentype": "font/otf",
    "font/sfnt": "font/ttf",
    "font/truetype": "font/ttf",
    "image/eps": "image/x-eps",
    "image/heif": "image/heic",
    "image/ico": "image/vnd.microsoft.icon",
    "image/icon": "image/vnd.microsoft.icon",
    "image/jp2": "image/jpx",
    "image/jpeg2000": "image/jpx",
    "image/jpeg2000-image": "image/jpx",
    "image/jpg": "image/jpeg",
    "image/jpm": "image/jpx",
    "image/jxr": "image/vnd.ms-photo",
    "image/pdf": "application/pdf",
    "image/photoshop": "image/vnd.adobe.photoshop",
    "image/pjpeg": "image/jpeg",
    "image/psd": "image/vnd.adobe.photoshop",
    "image/svg": "image/svg+xml",
    "image/svg-xml": "image/svg+xml",
    "image/tif": "image/tiff",
    "image/vnd.adobe.svg+xml": "image/svg+xml",
    "image/x-ico": "image/vnd.microsoft.icon",
    "image/x-icon": "image/vnd.microsoft.icon",
    "image/x-jpeg2000-image": "image/jpx",
    "image/x-ms-bmp": "image/bmp",
    "image/x-photoshop": "image/vnd.adobe.photoshop",
    "image/x-psd": "image/vnd.adobe.photoshop",
    "image/x-windows-bmp": "image/bmp",
    "image/x-xpm": "image/x-xpixmap",
    "multipart/x-zip": "application/zip",
    "text/comma-separated-values": "text/csv",
    "text/ecmascript": "text/javascript",
    "text/ico": "image/vnd.microsoft.icon",
    "text/json": "application/json",
    "text/pdf": "application/pdf",
    "text/richtext": "application/rtf",
    "text/rtf": "application/rtf",
    "text/svg": "image/svg+xml",
    "text/svg+xml": "image/svg+xml",
    "text/x-comma-separated-values": "text/csv",
    "text/x-pdf": "application/pdf",
    "text/xml": "application/xml",
    "text/xml-svg": "image/svg+xml",
    "text/yaml": "application/yaml",
    "video/avi": "video/x-msvideo",
    "video/divx": "video/x-msvideo",
    "video/msvideo": "video/x-msvideo",
    "video/vnd.divx": "video/x-msvideo",
    "video/x-avi": "video/x-msvideo",
    "video/x-mpeg2": "video/mpeg",
    "video/x-ms-vob": "video/dvd",
    "zz-application/zz-winassoc-cab": "application/vnd.ms-cab-compressed",
    "zz-application/zz-winassoc-doc": "application/msword",
    "zz-application/zz-winassoc-xls": "application/vnd.ms-excel",
}
"""Names that browsers, systems and libraries have for what is one type, as shared-mime-info has most of them.

What is missing here contradicts nothing, so a list that is never complete refuses nobody.
"""

SAY_NOTHING = frozenset(
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


def canonical(content_type: str) -> str:
    """Return the one name of a media type that all of its other names are compared by; it may be nobody's usual one."""
    whole = essence(content_type)
    kind, _, name = ALIASES.get(whole, whole).partition("/")
    return f"{kind}/{name.removeprefix('x-')}"


def likely_type(declared: str | None, filename: str, sniffed: str | None) -> str:
    """Return the first of these types that says anything: the declared one, the name's, that of the first bytes."""
    if declared is not None and not says_nothing(declared):
        return declared
    named = guess_content_type(filename)
    if not says_nothing(named):
        return named
    return FALLBACK_TYPE if sniffed is None or says_nothing(sniffed) else sniffed


def says_nothing(content_type: str | None) -> bool:
    """Tell whether a type is none, or one that senders give to what they don't know."""
    return content_type is None or not is_media_type(content_type) or essence(content_type) in SAY_NOTHING


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
    whole, own = essence(content_type), canonical(content_type)
    wide = {"*/*", f"{whole.partition('/')[0]}/*"}
    return any(media_range in wide or canonical(media_range) == own for media_range in ranges)
