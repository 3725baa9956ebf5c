"""Make safe what a client calls its file, to keep and to show it; it never becomes the path of an object."""

import mimetypes
import re
import unicodedata
from collections.abc import Mapping

MAX_FILENAME_BYTES = 255
"""What common file systems take for one name, so that a download can be saved under it."""

MAX_EXTENSION_BYTES = 16
"""An ending longer than this is no extension."""

FALLBACK_NAME = "file"
FALLBACK_TYPE = "application/octet-stream"

_NAME = r"[A-Za-z0-9!#$&^_.+-]{1,127}"
MAX_MEDIA_TYPE = 255
"""Characters of a media type, parameters included: each download has them in a header."""
MEDIA_TYPE = rf"^{_NAME}/{_NAME}(?: *;[\x20-\x7e]*)?$"
"""How RFC 6838, section 4.2, spells a media type; a regular expression of Python's and of JSON Schema's."""
_MEDIA_TYPE = re.compile(MEDIA_TYPE)
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, bidi overrides, surrogates, line separators

_NAMELESS = re.compile(r"[.\s]*")  # `.` and `..` would be folders
_COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}

_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument"
_NEWER_TYPES = {
    ".7z": "application/x-7z-compressed",
    ".ass": "text/x-ssa",  # not sound
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".epub": "application/epub+zip",
    ".flac": "audio/flac",
    ".jar": "application/java-archive",
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
    ".mkv": "video/x-matroska",
    ".odp": f"{_OPEN_DOCUMENT}.presentation",
    ".ods": f"{_OPEN_DOCUMENT}.spreadsheet",
    ".odt": f"{_OPEN_DOCUMENT}.text",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".otf": "font/otf",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".rar": "application/vnd.rar",
    ".rtf": "application/rtf",
    ".ttf": "font/ttf",
    ".weba": "audio/webm",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    ".yaml": "application/yaml",
}
"""What not every version of Python knows, or knows by these names."""

# The built-in table only: what a machine has in /etc/mime.types must not change what is stored.
_types = mimetypes.MimeTypes()
for _ending, _type in _NEWER_TYPES.items():
    _types.add_type(_type, _ending)


def types_by_kind(names: Mapping[str, str]) -> frozenset[str]:
    """Return media types such as `image/png` of their names by kind: `{"image": "gif png"}`."""
    return frozenset(f"{kind}/{name}" for kind, listed in names.items() for name in listed.split())


def safe_filename(name: str) -> str:
    """Return a client's filename without folders, hidden characters or excess length; `file` if nothing is left."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    if not base.isprintable():  # what is hidden never is, and hardly any name holds it
        base = "".join(char for char in base if unicodedata.category(char) not in _HIDDEN)
    base = base.strip()
    if len(base.encode()) > MAX_FILENAME_BYTES:
        stem, dot, extension = base.rpartition(".")
        if not stem or len(extension.encode()) > MAX_EXTENSION_BYTES:
            stem, dot, extension = base, "", ""
        room = MAX_FILENAME_BYTES - len((dot + extension).encode())
        base = (stem.encode()[:room].decode(errors="ignore") + dot + extension).strip()
    return FALLBACK_NAME if _NAMELESS.fullmatch(base) else base


def guess_content_type(filename: str) -> str:
    """Return the media type that a filename's ending suggests, or `application/octet-stream`."""
    # The folder keeps a name like `data:x.html` from being read as a URL.
    content_type, encoding = _types.guess_type(f"./{filename}", strict=False)
    if encoding is not None:
        return _COMPRESSED.get(encoding, FALLBACK_TYPE)
    return content_type or FALLBACK_TYPE


def guess_extension(content_type: str) -> str:
    """Return the ending of names of files of a type, such as `.pdf`, if that suggests the type again; else nothing."""
    endings = _types.guess_all_extensions(content_type, strict=False)
    return next((ending for ending in endings if guess_content_type(f"a{ending}") == content_type), "")


def is_media_type(text: str) -> bool:
    """Tell whether a text is a media type as RFC 6838 spells it, parameters included."""
    return len(text) <= MAX_MEDIA_TYPE and _MEDIA_TYPE.fullmatch(text) is not None
