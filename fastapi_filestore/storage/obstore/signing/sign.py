"""Presign URLs, with the headers that the client must send along."""

from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import quote, urlsplit

import obstore
from obstore.store import AzureStore, GCSStore, LocalStore, MemoryStore, S3Store

from fastapi_filestore.errors import ConfigurationError, SigningUnavailableError, StorageError
from fastapi_filestore.storage.backend import SignedURL
from fastapi_filestore.storage.failures.translate import translating
from fastapi_filestore.storage.obstore.moving.metadata import check_header
from fastapi_filestore.storage.obstore.opening.google_credentials import GoogleCredentials
from fastapi_filestore.storage.obstore.opening.stores import Store
from fastapi_filestore.storage.obstore.signing.azure_sas import sign_blob
from fastapi_filestore.storage.signing import store_without_urls

Method = Literal["GET", "PUT"]
MAX_EXPIRY = timedelta(days=7)
"""Of signature version 4, which S3 and GCS use."""


async def sign_url(
    store: Store, path: str, *, backend: str, method: Method, expires_in: int, content_type: str | None
) -> SignedURL:
    """Return a URL that is valid for some seconds.

    Raises:
        SigningUnavailableError: The store has no signed URLs, or none for this key or with these credentials.
        ConfigurationError: The store takes no such expiry.
    """
    if isinstance(store, LocalStore | MemoryStore):
        raise store_without_urls(backend, path, "memory")
    if isinstance(store, GCSStore) and isinstance(store.credential_provider, GoogleCredentials):
        raise SigningUnavailableError(
            f"Backend {backend!r} can't sign URLs with Google's credentials of type {store.credential_provider.kind}, "
            "which hold no key: give it that of a service account (google_service_account), or set "
            "FILESTORE_SIGNING_KEYS, mount Filestore.signed_router() in the application, and sign through "
            "FileObject.sign_async.",
            backend=backend,
            path=path,
        )
    lifetime = timedelta(seconds=expires_in)
    if lifetime <= timedelta(0):
        raise ConfigurationError("expires_in is the number of seconds a signed URL lives; it must be more than zero.")
    if lifetime > MAX_EXPIRY and not isinstance(store, AzureStore):
        raise ConfigurationError(
            f"expires_in is {lifetime.total_seconds():,.0f} seconds; this store signs for 7 days (604,800) at most."
        )
    headers = dict[str, str]()
    if method == "PUT" and isinstance(store, AzureStore):
        headers["x-ms-blob-type"] = "BlockBlob"
    if method == "PUT" and content_type is not None:
        headers["content-type"] = check_header("Content-Type", content_type)
    expires_at, escaped = datetime.now(UTC) + lifetime, quote(path, safe="/")
    if isinstance(store, AzureStore) and escaped != path:
        url = sign_blob(store, path, method=method, expires_in=lifetime)
    else:
        url = await _sign_by_obstore(store, path, backend=backend, method=method, expires_in=lifetime)
    if url is None or not urlsplit(url).path.endswith(f"/{escaped}"):
        raise SigningUnavailableError(
            f"Backend {backend!r} can't sign a URL for {path!a}: a character of that key would be misread. Serve the "
            "object through the application, or store it under a generated key.",
            backend=backend,
            path=path,
        )
    return SignedURL(url=url, method=method, expires_at=expires_at, headers=headers)


async def _sign_by_obstore(
    store: S3Store | GCSStore | AzureStore, path: str, *, backend: str, method: Method, expires_in: timedelta
) -> str:
    try:
        with translating(backend, path):
            return await obstore.sign_async(store, method, path, expires_in)
    except StorageError as exc:
        if type(exc) is not StorageError:
            raise
        raise SigningUnavailableError(
            f"Backend {backend!r} can't sign URLs with its credentials: give it an access key, an account key or a "
            "service account.",
            backend=backend,
            path=path,
        ) from None
