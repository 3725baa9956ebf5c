"""Where clients store by upload URLs: paths of their own, below which no row, no prefix and no path of a user's lies.

Whoever holds an upload URL may use it again until it expires. So what lies here is copied to another path before a row
takes it. The path says when its URL expires: until then an audit takes nothing for an orphan.
"""

import re
import secrets
import time

from fastapi_filestore.errors import ConfigurationError, InvalidKeyError
from fastapi_filestore.storage.keys import forms_in_stores

UPLOADS = ".filestore-uploads"
"""The folder of what clients store by upload URLs."""
UPLOAD_GRACE = 3600
"""Seconds after the end of an upload URL in which what was stored with it may still come into a row."""

_UPLOAD_PATH = re.compile(rf"{re.escape(UPLOADS)}/([0-9a-f]{{8}})[0-9a-f]{{32}}")
_LAST_MOMENT = 0xFFFFFFFF


def generate_upload_path(expires_in: int) -> str:
    """Return a fresh path, which nobody can guess, for a URL that expires in some seconds."""
    expires = min(int(time.time()) + 1 + expires_in, _LAST_MOMENT)
    return f"{UPLOADS}/{expires:08x}{secrets.token_hex(16)}"


def is_upload_path(path: str) -> bool:
    """Tell whether a path is one that upload URLs are signed for."""
    return _UPLOAD_PATH.fullmatch(path) is not None


def upload_expiry(path: str) -> int:
    """Return when the URL of an upload path expires, in seconds since the epoch; 0 for any other path."""
    found = _UPLOAD_PATH.fullmatch(path)
    return 0 if found is None else int(found[1], 16)


def leads_to_uploads(path: str) -> bool:
    """Tell whether a store may keep an object of this path where clients store by upload URLs, however it is spelt."""
    # A local disk may take capitals for small letters.
    text = path.lower()
    return UPLOADS in text and any(form.partition("/")[0] == UPLOADS for form in forms_in_stores(text))


def refuse_uploads(path: str) -> None:
    """Raise `InvalidKeyError` if a path that somebody chose is where clients store by upload URLs."""
    if leads_to_uploads(path):
        raise InvalidKeyError(
            f"The object key {path!a} is below {UPLOADS}, where clients store by upload URLs and may overwrite it: "
            "choose another path, or none, and it gets one of its own.",
            key=path,
        )


def require_upload_path(path: str, expires_in: int) -> None:
    """Raise `ConfigurationError` unless an upload URL may be signed for a path that lives for some seconds."""
    if not is_upload_path(path):
        raise ConfigurationError(
            f"No upload URL can be signed for {path!a}: whoever holds it could overwrite the object when a row has it. "
            f"Leave path= out: the file gets a path below {UPLOADS}, and `await file.confirm_async()`, or the service, "
            "copies what was stored there to a path of its own."
        )
    if time.time() + expires_in > upload_expiry(path) + UPLOAD_GRACE:
        raise ConfigurationError(
            f"The upload URL of {path!a} can't live for {expires_in:,} seconds from now on: what is stored there is "
            "cleared away before. Sign a new FileObject."
        )
