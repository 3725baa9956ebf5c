"""Presigned URLs, with the headers that the client must send along."""

from datetime import UTC, datetime, timedelta
from typing import Literal

import obstore
from obstore.store import LocalStore, MemoryStore

from fastapi_filestore.errors import ConfigurationError, SigningUnavailableError
from fastapi_filestore.storage.backend import SignedURL
from fastapi_filestore.storage.obstore.errors import translated
from fastapi_filestore.storage.obstore.location import Kind
from fastapi_filestore.storage.obstore.metadata import check_header
from fastapi_filestore.storage.obstore.stores import Store

MAX_EXPIRY = 7 * 24 * 3600
"""Of signature version 4, in seconds, which S3 and GCS use."""


async def sign_url(
    store: Store,
    kind: Kind,
    path: str,
    *,
    backend: str,
    method: Literal["GET", "PUT"],
    expires_in: int,
    content_type: str | None,
) -> SignedURL:
    """Return a URL that is valid for some seconds.

    Raises:
        SigningUnavailableError: The store has no signed URLs, or none for such a key.
        ConfigurationError: The store takes no such expiry.
    """
    if isinstance(store, LocalStore | MemoryStore):
        raise SigningUnavailableError(_remedy(kind, backend), backend=backend, key=path)
    _check_expiry(kind, expires_in)
    _check_signable(kind, path, backend)
    headers = _headers(kind, method, content_type)
    expires_at = datetime.now(UTC) + timedelta(seconds=expires_in)
    with translated(backend, path):
        url = await obstore.sign_async(store, method, path, timedelta(seconds=expires_in))
    return SignedURL(url=url, method=method, expires_at=expires_at, headers=headers)


def _remedy(kind: Kind, backend: str) -> str:
    where = "a local folder" if kind == "file" else "memory"
    return (
        f"Backend {backend!r} is {where}, which has no signed URLs of its own: set FILESTORE_SIGNING_KEYS, mount "
        "Filestore.signed_router() in the application, and sign through FileObject.sign_async."
    )


def _check_expiry(kind: Kind, expires_in: int) -> None:
    if expires_in <= 0:
        raise ConfigurationError("expires_in is the number of seconds a signed URL lives; it must be more than zero.")
    if kind != "az" and expires_in > MAX_EXPIRY:
        raise ConfigurationError(f"expires_in is {expires_in:,} seconds; this store signs for 7 days at most.")


def _check_signable(kind: Kind, path: str, backend: str) -> None:
    # What these stores' signer in obstore leaves unescaped, or signs escaped; a URL for such a key is refused or,
    # worse, means another object.
    pass


def _headers(kind: Kind, method: Literal["GET", "PUT"], content_type: str | None) -> dict[str, str]:
    if method == "GET":
        return {}
    headers = {"x-ms-blob-type": "BlockBlob"} if kind == "az" else {}
    if content_type is not None:
        headers["content-type"] = check_header("Content-Type", content_type)
    return headers
