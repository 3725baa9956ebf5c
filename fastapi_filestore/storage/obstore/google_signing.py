"""Sign for Google with the key of a service account, as obstore does, but with headers that the request must have.

RSA needs more than Python has: google-auth, an extra, brings it.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from obstore.store import GCSStore

from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.storage.backend import SignedURL
from fastapi_filestore.storage.obstore.opening.address import settings_of
from fastapi_filestore.storage.obstore.signing import NOTHING, sign_request

KEYS = ("service_account", "service_account_key", "application_credentials")
"""Options that may hold the key of a service account, or the path of its file, in the order in which obstore looks."""


async def sign_for_google(store: GCSStore, signed: SignedURL, headers: Mapping[str, str]) -> str | None:
    """Sign a URL of Google's again; None without the key of a service account, or without google-auth."""
    return await THREADS.run(partial(_sign, settings_of(store), signed, headers))


def _sign(settings: Mapping[str, str], signed: SignedURL, headers: Mapping[str, str]) -> str | None:
    try:
        from google.auth.crypt import RSASigner  # noqa: PLC0415 optional extra
    except ImportError:
        return None
    text = next((settings[name] for name in KEYS if settings.get(name)), "")
    try:
        is_key = text.lstrip().startswith("{")
        account: Any = json.loads(text if is_key else Path(text).expanduser().read_text(encoding="utf-8"))
        signer: Any = RSASigner
        sign: Callable[[bytes], bytes] = signer.from_service_account_info(account).sign
    except (OSError, ValueError, TypeError):  # what obstore signs by is elsewhere
        return None
    return sign_request(signed, "X-Goog", sign, query=NOTHING, headers=headers)
