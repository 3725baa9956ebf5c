"""Make the headers of a file's download from its name, its type and its digests."""

import re
from base64 import b64encode
from email.utils import format_datetime
from hashlib import sha256

from fastapi_filestore.file_object import FileObject
from fastapi_filestore.intake.disposition import INLINE_TYPES, content_disposition, served_type
from fastapi_filestore.intake.types.media_types import essence
from fastapi_filestore.web.header_fields import AS_DECLARED
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


def validators_of(file: FileObject) -> Validators:
    """Return what tells the present state of a file from another.

    Its tag is its checksum, which is the bytes' own, else one made of the store's. Clients that are sent to the store
    know it by the store's.
    """
    tag_of_store = _quote(file.etag.removeprefix("W/").strip('"')) if file.etag else None
    tag = _quote(file.checksum) if file.checksum else shown_tag(tag_of_store, file.path)
    return Validators(tag, file.last_modified, tag_of_store)


def shown_tag(tag: str | None, path: str | None) -> str | None:
    """Return the tag that clients are shown for a store's: that of a local folder tells of the disk (inode numbers)."""
    if tag is None or not _OF_DISK.fullmatch(tag):
        return tag
    # Paths are not shown, so nobody can try all inode numbers.
    return f'"{sha256(f"{path} {tag}".encode()).hexdigest()[:32]}"'


def _quote(tag: str) -> str | None:
    return f'"{tag}"' if tag and '"' not in tag and tag.isascii() and tag.isprintable() else None


def file_headers(
    file: FileObject, options: DownloadOptions = PRIVATELY, validators: Validators | None = None
) -> dict[str, str]:
    """Return the headers of a file's download but for its length; its validators are found if they are not given."""
    content_type = served_type(file.content_type)
    kind = essence(content_type)
    inline = not options.attachment and kind in INLINE_TYPES
    policy = VIEWER if kind == "application/pdf" else SANDBOX  # none allows a script
    if kind in INLINE_TYPES and kind.startswith(("audio/", "video/")):
        policy = PLAYER
    # A host of its own for uploads is another origin of the same site, and its pictures are for the pages beside it.
    cross_origin = options.cross_origin or ("cross-origin" if options.visibility == "public" else "same-site")
    # Its bytes may have been replaced since, unless its URL names a version.
    caching = f"max-age={YEAR}, immutable" if options.immutable else "no-cache"
    headers = {
        **AS_DECLARED,
        "Cross-Origin-Resource-Policy": cross_origin,
        "Cache-Control": f"{options.visibility}, {caching}",
        "Accept-Ranges": "bytes",
        "Content-Security-Policy": policy,
        "Content-Type": content_type,
        "Content-Disposition": content_disposition(file.filename, inline=inline),
    }
    if tag := (validators or validators_of(file)).etag:
        headers["ETag"] = tag
    if file.checksum is not None and _SHA256.fullmatch(file.checksum):  # RFC 9530
        headers["Repr-Digest"] = f"sha-256=:{b64encode(bytes.fromhex(file.checksum)).decode()}:"
    if file.last_modified:
        headers["Last-Modified"] = format_datetime(file.last_modified, usegmt=True)  # RFC 9110, section 5.6.7
    return headers
