"""Presign URLs that store an object once: whoever holds one can never write over what is there.

Such an object may be taken where it lies. Amazon refuses a second request by its signed `If-None-Match`, Azure by a
signature that may create and not write, Google by a signed generation of 0. Not every server that speaks a store's
protocol heeds that, so each is tried before the first URL.
"""

import base64
import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus

import obstore
from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

from fastapi_filestore.concurrency.shielded import finish
from fastapi_filestore.concurrency.turns import Turn, one_at_a_time
from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.storage.backend import Announcement, SignedURL
from fastapi_filestore.storage.failures.translate import translating
from fastapi_filestore.storage.obstore.google_signing import sign_for_google
from fastapi_filestore.storage.obstore.moving.metadata import check_header
from fastapi_filestore.storage.obstore.opening.credentials import keys_of
from fastapi_filestore.storage.obstore.opening.stores import Connection, Store
from fastapi_filestore.storage.obstore.signing import CREATE, sign_again, sign_blob, sign_url
from fastapi_filestore.storage.paths import LONGEST_ONCE, generate_upload_path
from fastapi_filestore.storage.signing import no_once_url

CHECKSUM = "x-amz-checksum-sha256"
"""The header by which a store of Amazon's kind holds bytes against what was announced."""
TRIAL, OTHER = b"filestore-probe", b"filestore-other"
"""What is stored to try a store, and what it must not take then."""
TRIAL_SECONDS = 60
"""Life of the URLs that a store is tried with."""
STORED = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})
REFUSED = frozenset(range(400, 500)) - {HTTPStatus.TOO_MANY_REQUESTS}
NOT_UNDERSTOOD = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
"""What a store answers that knows nothing of conditions."""


@dataclass(frozen=True, slots=True)
class Heeding:
    """What a store was seen to heed: that an object is stored once, and that its bytes are those announced."""

    once: bool
    checksum: bool = False


@dataclass(slots=True, eq=False)
class OnceSigner:
    """Presigns URLs that write once for one backend, whose store is tried before the first of them.

    Attributes:
        backend: The key of the backend.
        connection: Its store.
        heeding: What the store was seen to heed; None until it could be tried.
        saving: The turn of whoever tries it.
    """

    backend: str
    connection: Connection
    heeding: Heeding | None = None
    saving: Turn | None = None

    async def sign(self, path: str, *, expires_in: int, announced: Announcement) -> SignedURL:
        """Presign an upload URL for the host that browsers reach.

        Raises:
            SigningUnavailableError: The store has no such URLs, there are no keys for them, or it does not heed them.
        """
        if expires_in > LONGEST_ONCE:
            raise no_once_url(self.backend, path, f"lives for {LONGEST_ONCE:,} seconds at the most")
        store = self.connection.store
        if isinstance(store, MemoryStore):
            raise no_once_url(self.backend, path, "has no server here to be sent to")
        # Whether it can be signed at all is known without asking anybody.
        signed = await self._bind(self.connection.signing or store, path, expires_in, announced)
        if self.heeding is None:
            async with one_at_a_time(self):
                if self.heeding is None:
                    self.heeding = await self._try()
        if not self.heeding.once:
            raise no_once_url(self.backend, path, "is not heeded by its store, which takes a second one")
        if CHECKSUM in signed.headers and not self.heeding.checksum:
            unheeded = replace(announced, checksum=None)
            signed = await self._bind(self.connection.signing or store, path, expires_in, unheeded)
        return signed

    async def _bind(self, store: Store, path: str, expires_in: int, announced: Announcement) -> SignedURL:
        content_type = announced.content_type
        signed = await sign_url(
            store, path, backend=self.backend, method="PUT", expires_in=expires_in, content_type=content_type
        )
        bound = await bind_to_one_write(store, path, signed, announced)
        if bound is None:
            raise no_once_url(
                self.backend,
                path,
                "needs keys to sign it with (of S3 given, or by the extra aws; of Azure an account key; of Google a "
                "service account's and the extra google)",
            )
        return bound

    async def _try(self) -> Heeding:
        """Store a small object twice by a URL that writes once, and delete it.

        Raises:
            SigningUnavailableError: The store can't be reached, or refuses the first one: nobody knows what it heeds.
        """
        path = generate_upload_path(TRIAL_SECONDS)
        announced = Announcement(len(TRIAL), "application/octet-stream", hashlib.sha256(TRIAL).hexdigest())
        signed = await self._bind(self.connection.store, path, TRIAL_SECONDS, announced)
        try:
            has_checksum = CHECKSUM in signed.headers
            other = await self._put(signed, OTHER, path) if has_checksum else None
            first = await self._put(signed, TRIAL, path) if other is None or other in REFUSED else other
            if first in NOT_UNDERSTOOD:
                return Heeding(once=False)
            if first not in STORED:
                raise no_once_url(self.backend, path, f"could not be tried: the store answered with {first}")
            second = await self._put(signed, TRIAL, path)
            if second not in STORED and second not in REFUSED:
                raise no_once_url(self.backend, path, f"could not be tried: the store answered with {second}")
            return Heeding(once=second in REFUSED, checksum=has_checksum and other in REFUSED)
        finally:
            with suppress(FilestoreError):
                await finish(self._delete(path))

    async def _put(self, signed: SignedURL, content: bytes, path: str) -> int:
        # It needs more of Python than applications do, until the first such URL.
        from fastapi_filestore.storage.obstore.opening.asking import ask_store  # noqa: PLC0415 - the same

        connection = self.connection
        try:
            answer = await ask_store(connection.store, connection.store_url.bucket, signed, content)
        except OSError as error:
            reason = f"could not be tried: the store can't be reached ({type(error).__name__})"
            raise no_once_url(self.backend, path, reason) from None
        return HTTPStatus.NOT_IMPLEMENTED if answer is None else answer.status

    async def _delete(self, path: str) -> None:
        with translating(self.backend, path):
            await obstore.delete_async(self.connection.store, path)


async def bind_to_one_write(store: Store, path: str, signed: SignedURL, announced: Announcement) -> SignedURL | None:
    """Return a signed upload URL that stores what was announced, once; None if this needs keys we don't have.

    Amazon refuses another length or checksum than was announced, Google another length. Azure checks neither.
    """
    headers = dict[str, str]()
    if announced.content_type is not None:
        headers["Content-Type"] = check_header("Content-Type", announced.content_type)
    url: str | None = None
    if isinstance(store, S3Store) and (keys := await keys_of(store)) is not None:
        headers["If-None-Match"] = "*"
        if announced.checksum is not None:
            headers[CHECKSUM] = base64.b64encode(bytes.fromhex(announced.checksum)).decode()
        # Every client sends the length by itself, and scripts of browsers may not.
        length = {} if announced.size is None else {"Content-Length": str(announced.size)}
        url = sign_again(signed, keys, headers={**headers, **length})
    elif isinstance(store, GCSStore):
        headers["x-goog-if-generation-match"] = "0"
        if announced.size is not None:
            headers["x-goog-content-length-range"] = f"{announced.size},{announced.size}"
        url = await sign_for_google(store, signed, headers)
    elif isinstance(store, AzureStore):
        headers |= signed.headers
        lifetime = signed.expires_at - datetime.now(UTC)
        url = sign_blob(store, path, method="PUT", expires_in=lifetime, permissions=CREATE)
    return None if url is None else SignedURL(url, "PUT", signed.expires_at, headers)
