"""Presign URLs that say what their answer is, which obstore's can't: a browser may be sent to them."""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, urlsplit

from obstore.store import AzureStore, S3Store

from fastapi_filestore.storage.backend import SignedURL
from fastapi_filestore.storage.obstore.moving.metadata import CONTENT_DISPOSITION, CONTENT_TYPE
from fastapi_filestore.storage.obstore.opening.credentials import StaticCredentials, keys_of
from fastapi_filestore.storage.obstore.opening.stores import Store
from fastapi_filestore.storage.obstore.signing.azure_sas import sign_blob

ALGORITHM = "AWS4-HMAC-SHA256"


async def bind_answer(
    store: Store, path: str, signed: SignedURL, *, content_type: str, content_disposition: str
) -> SignedURL | None:
    """Return a signed URL of an object that also says type and disposition; None if this needs keys we don't have."""
    url: str | None = None
    if isinstance(store, S3Store) and (keys := await keys_of(store)) is not None:
        answer = {"response-content-type": content_type, "response-content-disposition": content_disposition}
        url = _sign_again(signed.url, keys, answer)
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


def _sign_again(url: str, keys: StaticCredentials, answer: Mapping[str, str]) -> str:
    """Sign a URL of signature version 4 again, with more in its query."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True)) | dict(answer)
    scope = query["X-Amz-Credential"].partition("/")[2]
    for name in ("X-Amz-Signature", "X-Amz-Security-Token"):
        query.pop(name, None)
    query["X-Amz-Credential"] = f"{keys.access_key_id}/{scope}"
    if keys.session_token:
        query["X-Amz-Security-Token"] = keys.session_token
    canonical = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items()))
    request = f"GET\n{parts.path}\n{canonical}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = f"AWS4{keys.secret_access_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"{ALGORITHM}\n{query['X-Amz-Date']}\n{scope}\n{digest}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{canonical}&X-Amz-Signature={signature}"
