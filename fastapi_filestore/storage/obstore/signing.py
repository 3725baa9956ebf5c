"""Presign URLs of the stores themselves: for one object, one method and a limited time.

obstore's can't say what type and disposition their answer has, which a browser must be able to rely on. For Azure, it
signs the escaped name of a blob, for which Azure says 403.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import obstore
from obstore.store import AzureStore, GCSStore, LocalStore, MemoryStore, S3Store

from fastapi_filestore.errors import ConfigurationError, SigningUnavailableError, StorageError
from fastapi_filestore.storage.backend import SignedURL
from fastapi_filestore.storage.failures.translate import translating
from fastapi_filestore.storage.obstore.moving.metadata import CONTENT_DISPOSITION, CONTENT_TYPE, check_header
from fastapi_filestore.storage.obstore.opening.address import azure_endpoint, settings_of
from fastapi_filestore.storage.obstore.opening.credentials import StaticCredentials, keys_of
from fastapi_filestore.storage.obstore.opening.google_credentials import GoogleCredentials
from fastapi_filestore.storage.obstore.opening.stores import Store
from fastapi_filestore.storage.signing import store_without_urls

Method = Literal["GET", "PUT"]
MAX_EXPIRY = timedelta(days=7)
"""Of signature version 4, which S3 and GCS use."""


async def sign_url(
    store: Store, path: str, *, backend: str, method: Method, expires_in: int, content_type: str | None
) -> SignedURL:
    """Return a URL that is valid for some seconds.

    Raises:
        SigningUnavailableError: The store has no signed URLs, or none for this path or with these credentials.
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


SAS_VERSION = "2023-11-03"
PERMISSIONS = {"GET": "r", "PUT": "cw"}
CREATE = "c"
"""The permission to write a blob that is not there yet, and never over one that is."""
ANSWER_FIELDS = ("rscc", "rscd", "rsce", "rscl", "rsct")
"""Cache-Control, Content-Disposition, -Encoding, -Language and -Type of the answer, in the signature's order."""
NOTHING: Mapping[str, str] = MappingProxyType({})


def sign_blob(
    store: AzureStore,
    path: str,
    *,
    method: Literal["GET", "PUT"],
    expires_in: timedelta,
    answer: Mapping[str, str] = NOTHING,
    permissions: str | None = None,
) -> str | None:
    """Return a service SAS URL for one blob; None if the store was not given an account key.

    `permissions` are those of the method if None. `answer` holds headers of the answer by their field, as in
    `ANSWER_FIELDS`; others are as they were stored.
    """
    config = store.config
    account, key = settings_of(store).get("account_name"), config.get("account_key")
    if not account or not key:
        return None
    name = "/".join(filter(None, (config.get("container_name"), store.prefix, path)))
    expiry = (datetime.now(UTC) + expires_in).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = {"sp": permissions or PERMISSIONS[method], "se": expiry, "sv": SAS_VERSION, "sr": "b", **answer}
    # The order and the empty lines are the format's: start, identifier, address, protocol; snapshot and encryption
    # scope before the headers of the answer.
    lines = (
        fields["sp"],
        "",
        fields["se"],
        f"/blob/{account}/{name}",
        "",
        "",
        "",
        fields["sv"],
        fields["sr"],
        "",
        "",
        *(fields.get(field, "") for field in ANSWER_FIELDS),
    )
    digest = hmac.digest(base64.b64decode(key), "\n".join(lines).encode(), hashlib.sha256)
    query = urlencode({**fields, "sig": base64.b64encode(digest).decode()})
    return f"{azure_endpoint(store)}/{quote(name, safe='/')}?{query}"


async def bind_answer(
    store: Store, path: str, signed: SignedURL, *, content_type: str, content_disposition: str
) -> SignedURL | None:
    """Return a signed URL of an object that also says type and disposition; None if this needs keys we don't have."""
    url: str | None = None
    if isinstance(store, S3Store) and (keys := await keys_of(store)) is not None:
        answer = {"response-content-type": content_type, "response-content-disposition": content_disposition}
        url = sign_again(signed, keys, query=answer)
    if isinstance(store, AzureStore):
        lifetime = signed.expires_at - datetime.now(UTC)
        answer = {"rscd": content_disposition, "rsct": content_type}
        url = sign_blob(store, path, method="GET", expires_in=max(lifetime, timedelta(seconds=1)), answer=answer)
    return None if url is None else SignedURL(url, "GET", signed.expires_at)


def is_stored_as_safely(attributes: Mapping[str, str], *, content_type: str, content_disposition: str) -> bool:
    """Tell whether what was stored with an object is as safe as this type and disposition."""
    stored, wanted = (
        text.partition(";")[0].strip().lower()
        for text in (attributes.get(CONTENT_DISPOSITION, ""), content_disposition)
    )
    same_type = attributes.get(CONTENT_TYPE, "").lower() == content_type.lower()
    return same_type and (stored == "attachment" or wanted == "inline")


def sign_again(
    signed: SignedURL,
    keys: StaticCredentials,
    *,
    query: Mapping[str, str] = NOTHING,
    headers: Mapping[str, str] = NOTHING,
) -> str:
    """Sign a URL of Amazon's again, with more in its query, and headers that its request must have."""
    scope = dict(parse_qsl(urlsplit(signed.url).query))["X-Amz-Credential"].partition("/")[2]
    fields = {**query, "X-Amz-Credential": f"{keys.access_key_id}/{scope}"}
    if keys.session_token:
        fields["X-Amz-Security-Token"] = keys.session_token

    sign = partial(sign_text, keys, scope)
    return sign_request(signed, "X-Amz", sign, query=fields, headers=headers)


def sign_text(keys: StaticCredentials, scope: str, text: bytes) -> bytes:
    """Sign a text by version 4 of Amazon's signatures, for a day, a region and a service."""
    key = f"AWS4{keys.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text, "sha256")


def sign_request(
    signed: SignedURL,
    family: str,
    sign: Callable[[bytes], bytes],
    *,
    query: Mapping[str, str],
    headers: Mapping[str, str],
) -> str:
    """Return the URL of a request that is signed by version 4, in place of that which it was signed for before.

    `family` begins the names of what the signature has in the query: those of Amazon and of Google differ in them, and
    in how a text is signed.
    """
    parts = urlsplit(signed.url)
    fields = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in ("Signature", "Security-Token"):
        fields.pop(f"{family}-{name}", None)
    lines = {"host": parts.netloc, **{name.lower(): value for name, value in headers.items()}}
    names = ";".join(sorted(lines))
    fields |= {**query, f"{family}-SignedHeaders": names}
    canonical = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(fields.items()))
    canonical_headers = "".join(f"{name}:{lines[name]}\n" for name in sorted(lines))
    request = f"{signed.method}\n{parts.path}\n{canonical}\n{canonical_headers}\n{names}\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    scope = fields[f"{family}-Credential"].partition("/")[2]
    text = f"{fields[f'{family}-Algorithm']}\n{fields[f'{family}-Date']}\n{scope}\n{digest}"
    url = f"{parts.scheme}://{parts.netloc}{parts.path}?{canonical}"
    return f"{url}&{family}-Signature={sign(text.encode()).hex()}"
