"""Header values from a file's name and type."""

import re
from base64 import b64encode
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import quote

from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.names import FALLBACK_TYPE, is_media_type

INLINE_TYPES = frozenset(
    {
        "application/pdf",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "audio/webm",
        "image/avif",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "text/plain",
        "video/mp4",
        "video/ogg",
        "video/webm",
    }
)
"""What a browser may show in place: formats that run no script. SVG, HTML and XML can, and are downloads."""

SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}

_UNSAFE_QUOTED = str.maketrans(
    '"\\%?', "'___"
)  # what browsers read differently in a quoted string (RFC 6266, appendix D)
_SHA256 = re.compile("[0-9a-f]{64}")
_ATTR_CHARS = "!#$&+-.^_`|~"  # what RFC 8187 lets stand as it is, beside letters and digits


def content_disposition(filename: str, *, inline: bool) -> str:
    """Return a Content-Disposition (RFC 6266) that every browser reads the name from, in any script."""
    kind = "inline" if inline else "attachment"
    plain = filename.encode("ascii", "replace").decode().translate(_UNSAFE_QUOTED)
    header = f'{kind}; filename="{plain}"'
    if plain == filename:
        return header
    return f"{header}; filename*=UTF-8''{quote(filename, safe=_ATTR_CHARS)}"


def is_inline(content_type: str) -> bool:
    """Tell whether a browser may show the type in place."""
    return content_type.partition(";")[0].strip().lower() in INLINE_TYPES


def served_type(content_type: str) -> str:
    """Return the media type to serve a file as; one that a header can't carry, or a browser may misread, is bytes.

    Browsers split a Content-Type at commas and believe the last part (Fetch Standard, "extract a MIME type").
    """
    return content_type if is_media_type(content_type) and "," not in content_type else FALLBACK_TYPE


def entity_tag(file: FileObject) -> str | None:
    """Return the strong entity tag of a file: its checksum, which is the bytes' own, else the store's tag."""
    tag = file.checksum or (file.etag or "").removeprefix("W/").strip('"')
    return f'"{tag}"' if tag and '"' not in tag and tag.isascii() and tag.isprintable() else None


def repr_digest(file: FileObject) -> str | None:
    """Return the SHA-256 of the whole file as a Repr-Digest (RFC 9530), if it is known."""
    if file.checksum is None or not _SHA256.fullmatch(file.checksum):
        return None
    return f"sha-256=:{b64encode(bytes.fromhex(file.checksum)).decode()}:"


def http_date(moment: datetime) -> str:
    """Write a moment as HTTP does (RFC 9110, section 5.6.7)."""
    return format_datetime(moment, usegmt=True)


def file_headers(file: FileObject) -> dict[str, str]:
    """Return the headers of a file's download but for its length."""
    tag, digest, content_type = entity_tag(file), repr_digest(file), served_type(file.content_type)
    return {
        **SAFE_HEADERS,
        "Accept-Ranges": "bytes",
        "Content-Type": content_type,
        "Content-Disposition": content_disposition(file.filename, inline=is_inline(content_type)),
        **({"ETag": tag} if tag else {}),
        **({"Repr-Digest": digest} if digest else {}),
        **({"Last-Modified": http_date(file.last_modified)} if file.last_modified else {}),
    }
