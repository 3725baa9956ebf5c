"""Sign Azure's URLs where obstore's do not do.

It signs the escaped name of a blob, for which Azure says 403, and can't say what the answer's headers are.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Literal
from urllib.parse import quote, urlencode

from obstore.store import AzureStore

from fastapi_filestore.storage.obstore.opening.address import azure_endpoint, settings_of

VERSION = "2023-11-03"
PERMISSIONS = {"GET": "r", "PUT": "cw"}
ANSWER_FIELDS = ("rscc", "rscd", "rsce", "rscl", "rsct")
"""Cache-Control, Content-Disposition, -Encoding, -Language and -Type of the answer, in the signature's order."""
AS_STORED: Mapping[str, str] = MappingProxyType({})


def sign_blob(
    store: AzureStore,
    path: str,
    *,
    method: Literal["GET", "PUT"],
    expires_in: timedelta,
    answer: Mapping[str, str] = AS_STORED,
) -> str | None:
    """Return a service SAS URL for one blob; None if the store was not given an account key.

    `answer` holds headers of the answer by their field, as in `ANSWER_FIELDS`; others are as they were stored.
    """
    config = store.config
    account, key = settings_of(store).get("account_name"), config.get("account_key")
    if not account or not key:
        return None
    name = "/".join(filter(None, (config.get("container_name"), store.prefix, path)))
    expiry = (datetime.now(UTC) + expires_in).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = {"sp": PERMISSIONS[method], "se": expiry, "sv": VERSION, "sr": "b", **answer}
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
