"""Presign URLs that store an object once: whoever holds one can never write over what is there.

Such an object may be taken where it lies. Amazon refuses a second request by its signed `If-None-Match`, Azure by a
signature that may create and not write, Google by a signed generation of 0.
"""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime

from obstore.store import AzureStore, S3Store

from fastapi_filestore.storage.backend import SignedURL
from fastapi_filestore.storage.obstore.moving.metadata import check_header
from fastapi_filestore.storage.obstore.opening.credentials import keys_of
from fastapi_filestore.storage.obstore.opening.stores import Store
from fastapi_filestore.storage.obstore.signing import CREATE, sign_again, sign_blob


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a client says that it will store: bytes, media type, and SHA-256 in hexadecimal digits."""

    size: int | None = None
    content_type: str | None = None
    checksum: str | None = None


async def bind_to_one_write(store: Store, path: str, signed: SignedURL, announced: Announcement) -> SignedURL | None:
    """Return a signed upload URL that stores what was announced, once; None if this needs keys we don't have.

    Amazon refuses another length or checksum than was announced. Azure checks neither.
    """
    if isinstance(store, S3Store) and (keys := await keys_of(store)) is not None:
        headers = {"If-None-Match": "*"}
        if announced.content_type is not None:
            headers["Content-Type"] = check_header("Content-Type", announced.content_type)
        if announced.checksum is not None:
            headers["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(announced.checksum)).decode()
        # Every client sends the length by itself, and scripts of browsers may not.
        length = {} if announced.size is None else {"Content-Length": str(announced.size)}
        url = sign_again(signed, keys, headers={**headers, **length})
        return SignedURL(url, "PUT", signed.expires_at, headers)
    if isinstance(store, AzureStore):
        lifetime = signed.expires_at - datetime.now(UTC)
        created = sign_blob(store, path, method="PUT", expires_in=lifetime, permissions=CREATE)
        return None if created is None else SignedURL(created, "PUT", signed.expires_at, signed.headers)
    return None
