"""Header values from a file's name and type."""

import re
from base64 import b64encode
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256

from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.disposition import disposition_of, is_inline, served_type
from fastapi_filestore.intake.types.media_types import essence
from fastapi_filestore.web.serving.conditions import Validators
from fastapi_filestore.web.serving.options import PRIVATELY, DownloadOptions

SANDBOX = "sandbox; default-src 'none'"
PLAYER = "default-src 'none'; media-src 'self'"
"""For audio and video that is opened: the page that a browser makes for it fetches it again, as only its origin may."""
VIEWER = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'"
"""For a PDF that is opened: Safari shows an empty window if its viewer, an object of the page that it makes for it, is
in a sandbox, may not load the file or has no styles. Scripts stay forbidden."""
YEAR = 365 * 24 * 3600

_OF_DISK = re.compile('"[0-9a-f]+-[0-9a-f]+-[0-9a-f]+"')
_SHA256 = re.compile("[0-9a-f]{64}")


def entity_tag(file: FileObject) -> str | None:
    """Return the strong entity tag of a file: its checksum, which is the bytes' own, else one made of the store's."""
    return _quoted(file.checksum) if file.checksum else shown_tag(store_tag(file), file.path)


def store_tag(file: FileObject) -> str | None:
    """Return the entity tag that the store gives to clients which are sent to it."""
    return _quoted((file.etag or "").removeprefix("W/").strip('"'))


def shown_tag(tag: str | None, path: str | None) -> str | None:
    """Return the tag that clients are shown for a store's: that of a local folder tells of the disk (inode numbers)."""
    if tag is None or not _OF_DISK.fullmatch(tag):
        return tag
    # Paths are not shown, so nobody can try all inode numbers.
    return f'"{sha256(f"{path} {tag}".encode()).hexdigest()[:32]}"'


def _quoted(tag: str) -> str | None:
    return f'"{tag}"' if tag and '"' not in tag and tag.isascii() and tag.isprintable() else None


def validators_of(file: FileObject) -> Validators:
    """Return what tells the present state of a file from another."""
    return Validators(entity_tag(file), file.last_modified, store_tag(file))


def repr_digest(file: FileObject) -> str | None:
    """Return the SHA-256 of the whole file as a Repr-Digest (RFC 9530), if it is known."""
    if file.checksum is None or not _SHA256.fullmatch(file.checksum):
        return None
    return f"sha-256=:{b64encode(bytes.fromhex(file.checksum)).decode()}:"


def http_date(moment: datetime) -> str:
    """Write a moment as HTTP does (RFC 9110, section 5.6.7)."""
    return format_datetime(moment, usegmt=True)


def cache_control(options: DownloadOptions) -> str:
    """Return the Cache-Control of a file: it may have been replaced, unless its URL names a version."""
    return (
        f"{options.visibility}, max-age={YEAR}, immutable" if options.immutable else f"{options.visibility}, no-cache"
    )


def content_security_policy(content_type: str) -> str:
    """Return the Content-Security-Policy of a file that is served as a type: none allows a script."""
    if not is_inline(content_type):
        return SANDBOX
    if essence(content_type) == "application/pdf":
        return VIEWER
    return PLAYER if essence(content_type).startswith(("audio/", "video/")) else SANDBOX


def file_headers(file: FileObject, options: DownloadOptions = PRIVATELY) -> dict[str, str]:
    """Return the headers of a file's download but for its length."""
    tag, digest = entity_tag(file), repr_digest(file)
    content_type = served_type(file.content_type)
    return {
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": options.embedded_by,
        "Cache-Control": cache_control(options),
        "Accept-Ranges": "bytes",
        "Content-Security-Policy": content_security_policy(content_type),
        "Content-Type": content_type,
        "Content-Disposition": disposition_of(file.filename, file.content_type, attachment=options.attachment),
        **({"ETag": tag} if tag else {}),
        **({"Repr-Digest": digest} if digest else {}),
        **({"Last-Modified": http_date(file.last_modified)} if file.last_modified else {}),
    }
