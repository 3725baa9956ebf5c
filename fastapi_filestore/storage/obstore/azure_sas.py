"""Azure's signed URLs for names that need escaping, where obstore signs the escaped name and Azure says 403."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import quote, urlencode

from obstore.store import AzureStore

VERSION = "2023-11-03"
PERMISSIONS = {"GET": "r", "PUT": "cw"}


def sign_blob(store: AzureStore, path: str, *, method: Literal["GET", "PUT"], expires_in: timedelta) -> str | None:
    """Return a service SAS URL for one blob; None if the store was not given an account key."""
    config = store.config
    account, key = config.get("account_name"), config.get("account_key")
    if not account or not key:
        return None
    name = "/".join(filter(None, (config.get("container_name"), store.prefix, path)))
    expiry = (datetime.now(UTC) + expires_in).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = {"sp": PERMISSIONS[method], "se": expiry, "sv": VERSION, "sr": "b"}
    query = urlencode({**fields, "sig": _signature(f"/blob/{account}/{name}", fields, key)})
    endpoint = config.get("endpoint") or f"https://{account}.blob.core.windows.net"
    return f"{endpoint}/{quote(name, safe='/')}?{query}"


def _signature(resource: str, fields: dict[str, str], key: str) -> str:
    # The order and the empty lines are the format's: start, identifier, address, protocol; snapshot, encryption
    # scope, and the five response headers.
    lines = (
        fields["sp"],
        "",
        fields["se"],
        resource,
        "",
        "",
        "",
        fields["sv"],
        fields["sr"],
        *[""] * 7,
    )
    digest = hmac.digest(base64.b64decode(key), "\n".join(lines).encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()
