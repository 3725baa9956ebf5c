"""Sign URLs of the application's own route, for stores that can't: everything decided is inside the MAC.

A token is `base64url(claims) "." base64url(HMAC-SHA256)`. The key of the MAC is derived from the signing key, the
method and the form of the URL (RFC 5869 does the same with its `info`). So a token that reads can never write, and one
of the first form, which was part of the path and may be in logs and traces, is good for nothing.
"""

import hmac
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal

from fastapi_filestore.errors import ConfigurationError, InvalidSignatureError, SigningUnavailableError
from fastapi_filestore.settings.signing_keys import KEY_REMEDY, problem_of_key
from fastapi_filestore.storage.backend import SignedURL
from fastapi_filestore.storage.base64url import decode_base64url, encode_base64url

Method = Literal["GET", "PUT"]
REACHED_AT: ContextVar[str | None] = ContextVar("fastapi_filestore.reached_at", default=None)
"""The root path at which clients reach the application in the request of now, if there is one."""
MAC_BYTES = sha256().digest_size


@dataclass(frozen=True, slots=True)
class SignedClaims:
    """The claims of a signed URL: one method on one object, with this type and filename, until it expires.

    `max_size` is the most bytes that may be stored, if the limit of the application is not the only one.
    """

    backend: str
    path: str
    expires: int
    content_type: str | None = None
    filename: str | None = None
    max_size: int | None = None


_TYPES = {"backend": str, "path": str, "expires": int, "content_type": str, "filename": str, "max_size": int}
_REQUIRED = frozenset({"backend", "path", "expires"})


@dataclass(frozen=True, slots=True)
class UrlSigner:
    """Makes and checks the application's signed URLs: the first key signs, every key verifies.

    `base_url` is what a token is appended to; `clock` returns seconds since the epoch. A base that is only a path is
    below the root path of the request, or outside of requests below `root_path`. Where it is known that nothing
    answers there it is not `is_served`.
    """

    keys: Sequence[str] = field(repr=False)
    base_url: str
    clock: Callable[[], float] = time.time
    root_path: str = ""
    is_served: bool = True

    def __post_init__(self) -> None:
        problems = [problem_of_key(key) for key in self.keys] or [f"there is none; {KEY_REMEDY}"]
        if problem := next(filter(None, problems), None):
            raise ConfigurationError(f"A signing key can't be used: {problem}.")

    def sign(
        self,
        backend: str,
        path: str,
        *,
        method: Method,
        expires_in: int,
        content_type: str | None = None,
        filename: str | None = None,
        max_size: int | None = None,
    ) -> SignedURL:
        """Make a URL that allows `method` on one object for `expires_in` seconds."""
        claims = SignedClaims(backend, path, int(self.clock()) + expires_in, content_type, filename, max_size)
        given = {name: value for name, value in asdict(claims).items() if value is not None}
        payload = json.dumps(given, separators=(",", ":")).encode()
        token = f"{encode_base64url(payload)}.{encode_base64url(_mac(self.keys[0], method, payload))}"
        # A base that is a whole URL is below no root path.
        reached_at = "" if "://" in self.base_url else REACHED_AT.get()
        root = self.root_path if reached_at is None else reached_at
        return SignedURL(
            url=root + self.base_url + token,
            method=method,
            expires_at=datetime.fromtimestamp(claims.expires, UTC),
            headers={"Content-Type": content_type} if method == "PUT" and content_type else {},
        )

    def verify(self, token: str, *, method: Method) -> SignedClaims:
        """Return what a token allows; `InvalidSignatureError` if it is not one of ours for this method, or expired."""
        parts = token.partition(".")
        try:
            payload, mac = decode_base64url(parts[0]), decode_base64url(parts[2])
        except ValueError:
            raise InvalidSignatureError("mangled") from None
        # Base64 has several spellings of the same bytes; only the one we write is ours.
        if f"{encode_base64url(payload)}.{encode_base64url(mac)}" != token:
            raise InvalidSignatureError("mangled")
        if not self._is_signed(payload, mac, method):
            other: Method = "PUT" if method == "GET" else "GET"
            raise InvalidSignatureError("another-method" if self._is_signed(payload, mac, other) else "unknown-key")
        # Another version of the library, or another program, may have written others.
        members: Any = None
        with suppress(ValueError, RecursionError):
            members = json.loads(payload)
        is_known = isinstance(members, dict) and _REQUIRED <= members.keys() <= _TYPES.keys()
        if not is_known or any(type(value) is not _TYPES[name] for name, value in members.items()):
            raise InvalidSignatureError("unknown-claims")
        claims = SignedClaims(**members)
        if claims.expires <= self.clock():
            raise InvalidSignatureError("expired")
        return claims

    def _is_signed(self, payload: bytes, mac: bytes, method: Method) -> bool:
        # Every key is tried, so the time taken does not tell which one matched.
        matches = [hmac.compare_digest(_mac(key, method, payload), mac) for key in self.keys]
        return any(matches)


def store_without_urls(backend: str, path: str, place: str) -> SigningUnavailableError:
    """Return the error of a backend in a place that signs no URLs, with what does it in its stead."""
    return SigningUnavailableError(
        f"Backend {backend!r} is {place}, which has no signed URLs of its own: set FILESTORE_SIGNING_KEYS, mount "
        "Filestore.signed_router() in the application, and sign through FileObject.sign_async.",
        backend=backend,
        path=path,
    )


def no_once_url(backend: str, path: str, reason: str) -> SigningUnavailableError:
    """Return the error of a backend that has no upload URLs which write once, with what is done without."""
    return SigningUnavailableError(
        f"An upload URL of backend {backend!r} that writes once {reason}: what clients store is copied before a row "
        "takes it.",
        backend=backend,
        path=path,
    )


def _mac(key: str, method: str, payload: bytes) -> bytes:
    purpose_key = hmac.digest(key.encode(), b"fastapi-filestore signed url 2 " + method.encode(), "sha256")
    return hmac.digest(purpose_key, payload, "sha256")
