"""Media types compared as RFC 9110, section 8.3 has it: without regard to case, parameters aside, nothing guessed."""

import re
from collections.abc import Iterable, Sequence

from fastapi_filestore.errors import ConfigurationError, MalformedUploadError
from fastapi_filestore.intake.names import FALLBACK_TYPE, guess_content_type, is_media_type
from fastapi_filestore.intake.parameters import read_parameters

_RANGE = re.compile(r"(?:\*/\*|[A-Za-z0-9!#$&^_.+-]+/(?:\*|[A-Za-z0-9!#$&^_.+-]+))")

ALIASES = {
    "application/csv": "text/csv",
    "application/ecmascript": "text/javascript",
    "application/javascript": "text/javascript",
    "application/x-javascript": "text/javascript",
    "application/msexcel": "application/vnd.ms-excel",
    "application/mspowerpoint": "application/vnd.ms-powerpoint",
    "application/photoshop": "image/vnd.adobe.photoshop",
    "application/rar": "application/vnd.rar",
    "application/x-7z": "application/x-7z-compressed",
    "application/x-bzip": "application/x-bzip2",
    "application/vnd.microsoft.portable-executable": "application/x-msdownload",
    "application/x-dosexec": "application/x-msdownload",
    "application/x-font-ttf": "font/ttf",
    "application/x-font-woff": "font/woff",
    "application/x-pdf": "application/pdf",
    "application/x-rar": "application/vnd.rar",
    "application/x-rar-compressed": "application/vnd.rar",
    "application/x-sqlite3": "application/vnd.sqlite3",
    "application/x-yaml": "application/yaml",
    "application/x-zip": "application/zip",
    "application/x-zip-compressed": "application/zip",
    "audio/m4a": "audio/mp4",
    "audio/mp3": "audio/mpeg",
    "audio/mpeg3": "audio/mpeg",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-m4a": "audio/mp4",
    "audio/x-mp3": "audio/mpeg",
    "audio/x-pn-wav": "audio/wav",
    "image/heif": "image/heic",
    "image/ico": "image/vnd.microsoft.icon",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/svg": "image/svg+xml",
    "image/tif": "image/tiff",
    "image/x-icon": "image/vnd.microsoft.icon",
    "image/x-ms-bmp": "image/bmp",
    "image/x-windows-bmp": "image/bmp",
    "text/comma-separated-values": "text/csv",
    "text/ecmascript": "text/javascript",
    "text/json": "application/json",
    "text/rtf": "application/rtf",
    "text/richtext": "application/rtf",
    "text/xml": "application/xml",
    "text/yaml": "application/yaml",
    "video/avi": "video/x-msvideo",
    "video/msvideo": "video/x-msvideo",
}
"""Names that browsers, systems and libraries have for what is one type."""


def essence(content_type: str) -> str:
    """Return a media type in lower case and without parameters."""
    return content_type.partition(";")[0].strip().lower()


def is_same(content_type: str, other: str) -> bool:
    """Tell whether two media types say the same (RFC 9110, section 8.3.1): case, spaces, quotes and order don't."""
    if content_type == other:
        return True
    try:
        said, told = _told_by(content_type), _told_by(other)
    except MalformedUploadError:
        return False
    return said == told


def _told_by(content_type: str) -> tuple[str, dict[str, str]]:
    name, parameters = read_parameters(content_type)
    if "charset" in parameters:
        parameters["charset"] = parameters["charset"].lower()
    return name, parameters


def canonical(content_type: str) -> str:
    """Return the one name of a media type that all of its other names are compared by; it may be nobody's usual one."""
    whole = essence(content_type)
    kind, _, name = ALIASES.get(whole, whole).partition("/")
    return f"{kind}/{name.removeprefix('x-')}"


def known_type(declared: str | None, filename: str) -> str:
    """Return the type to keep for a file: the declared one if it is a media type, else what the name suggests."""
    return declared if declared and is_media_type(declared) else guess_content_type(filename)


def likely_type(declared: str | None, filename: str, sniffed: str | None) -> str:
    """Return the first of these types that says anything: the declared one, the name's, that of the first bytes."""
    claims = (declared, guess_content_type(filename), sniffed)
    return next((each for each in claims if each is not None and not says_nothing(each)), FALLBACK_TYPE)


def says_nothing(content_type: str | None) -> bool:
    """Tell whether a type is none, or the one that senders give to what they don't know."""
    return content_type is None or not is_media_type(content_type) or essence(content_type) == FALLBACK_TYPE


def check_ranges(ranges: Iterable[str]) -> tuple[str, ...]:
    """Return media ranges such as `image/*` in lower case; `ConfigurationError` for what is none."""
    if isinstance(ranges, str):
        raise ConfigurationError(f"Content types are a list: ['{ranges}'].")
    lowered = tuple(each.strip().lower() for each in ranges)
    for each in lowered:
        if not _RANGE.fullmatch(each):
            raise ConfigurationError(f"{each!r} is no media type: write it like 'application/pdf' or 'image/*'.")
    return lowered


def is_within(content_type: str, ranges: Sequence[str]) -> bool:
    """Tell whether a media type is, under any of its names, one of the ranges, which are in lower case."""
    whole, own = essence(content_type), canonical(content_type)
    return any(each in {"*/*", f"{whole.partition('/')[0]}/*"} or canonical(each) == own for each in ranges)
