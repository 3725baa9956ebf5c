"""Choose what a file is served as: a type that no browser misreads, in place or as a download, under its name."""

from urllib.parse import quote

from fastapi_filestore.intake.names import FALLBACK_TYPE, is_media_type, types_by_kind
from fastapi_filestore.intake.types.media_types import essence

INLINE_TYPES = types_by_kind(
    {
        "application": "pdf",
        "audio": "mpeg ogg wav webm",
        "image": "avif bmp gif jpeg png webp",
        "text": "plain",
        "video": "mp4 ogg webm",
    }
)
"""What a browser may show in place: formats that run no script. SVG, HTML and XML can, and are downloads."""

SCRIPT_TYPES = types_by_kind(
    {
        "application": "ecmascript javascript x-ecmascript x-javascript",
        "text": (
            "ecmascript javascript javascript1.0 javascript1.1 javascript1.2 javascript1.3 javascript1.4 javascript1.5 "
            "jscript livescript x-ecmascript x-javascript"
        ),
    }
)
"""What `<script src>` runs in spite of `nosniff` (MIME Sniffing Standard, "JavaScript MIME type")."""

_UNSAFE_QUOTED = str.maketrans('"\\%?', "'___")
"""What browsers read differently in a quoted string (RFC 6266, appendix D)."""
_ATTR_CHARS = "!#$&+-.^_`|~"  # what RFC 8187 lets stand as it is, beside letters and digits


def content_disposition(filename: str, *, inline: bool) -> str:
    """Return a Content-Disposition (RFC 6266) that every browser reads the name from, in any script."""
    kind = "inline" if inline else "attachment"
    plain = filename.encode("ascii", "replace").decode().translate(_UNSAFE_QUOTED)
    header = f'{kind}; filename="{plain}"'
    if plain == filename:
        return header
    return f"{header}; filename*=UTF-8''{quote(filename, safe=_ATTR_CHARS)}"


def served_type(content_type: str) -> str:
    """Return the media type to serve a file as: bytes if it is a script's, or a header can't carry it safely.

    Browsers split a Content-Type at commas and believe the last part (Fetch Standard, "extract a MIME type").
    """
    safe = is_media_type(content_type) and "," not in content_type and essence(content_type) not in SCRIPT_TYPES
    return content_type if safe else FALLBACK_TYPE


def disposition_of(filename: str, content_type: str, *, attachment: bool = False) -> str:
    """Return the Content-Disposition of a file: in place if its type is safe there and no download is asked for."""
    inline = not attachment and essence(served_type(content_type)) in INLINE_TYPES
    return content_disposition(filename, inline=inline)
