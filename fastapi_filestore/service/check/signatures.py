"""Try out signed URLs as a browser would: fetch what is there, and store something."""

from contextlib import suppress
from http import HTTPStatus

from fastapi_filestore.errors import SigningUnavailableError
from fastapi_filestore.service.check.checked import reason_of, unknown, weak, wrong
from fastapi_filestore.storage.backend import (
    Announcement,
    Answer,
    AskableStore,
    OnceSignedObjects,
    SignedObjects,
    SignedURL,
    StorageBackend,
)
from fastapi_filestore.storage.registry import StorageRegistry
from fastapi_filestore.storage.signing import Method

SECONDS = 120
"""Life of the URLs, so that a clock that is a little off is not what is noticed here."""
COPIED = "what clients store is copied before a row takes it"
BY_THE_APPLICATION = "signed by the application (FILESTORE_SIGNING_KEYS), since the store has no signed URLs"


async def try_reading(registry: StorageRegistry, backend: StorageBackend, path: str, content: bytes) -> str:
    """Sign a URL for reading, and fetch the object by it."""
    if (signed := await _sign(backend, path, "GET")) is None:
        return _try_own(registry, backend, path, "GET")
    answer = await _use(backend, signed)
    if answer.body != content:
        raise wrong("The signed URL gave other bytes than were stored: look after a cache or a proxy in between.")
    return "fetched"


async def try_storing(registry: StorageRegistry, backend: StorageBackend, path: str, content: bytes) -> str:
    """Sign a URL for storing, and store an object by it."""
    if (signed := await _sign(backend, path, "PUT")) is None:
        return _try_own(registry, backend, path, "PUT")
    await _use(backend, signed, content)
    if (await backend.head(path)).size != len(content):
        raise wrong("What was stored by the signed URL has another size: look after a proxy in between.")
    return "stored"


async def try_storing_once(backend: StorageBackend, path: str, content: bytes) -> str:
    """Sign a URL that writes once, store an object by it, and try to store another one; tell why there is none."""
    if not isinstance(backend, OnceSignedObjects):
        return COPIED
    announced = Announcement(len(content), "application/octet-stream")
    try:
        signed = await backend.sign_once(path, expires_in=SECONDS, announced=announced)
    except SigningUnavailableError as refusal:
        return str(refusal)
    await _use(backend, signed, content)
    assert isinstance(backend, AskableStore), "it was asked just now"
    second = await backend.ask(signed, content)
    if second is not None and second.status in (HTTPStatus.OK, HTTPStatus.CREATED):
        raise wrong(
            "The store took a second object by a URL that writes once, so that a client could change what a row holds: "
            "look for a newer release of the store, or for a proxy in front of it that drops headers."
        )
    return "stored once, and taken where it lies"


async def _sign(backend: StorageBackend, path: str, method: Method) -> SignedURL | None:
    if not isinstance(backend, SignedObjects):
        return None
    try:
        return await backend.sign(path, method=method, expires_in=SECONDS)
    except SigningUnavailableError:
        return None


async def _use(backend: StorageBackend, signed: SignedURL, content: bytes | None = None) -> Answer:
    if not isinstance(backend, AskableStore):
        raise unknown("A URL was signed, and can't be tried: the backend has no way to be asked for it (AskableStore).")
    try:
        answer = await backend.ask(signed, content)
    except OSError as error:
        # The store answers where the application reaches it: it is another host that URLs are signed for.
        with suppress(OSError):
            await backend.ask()
            raise weak(
                f"URLs are signed for a host that can't be reached from here ({reason_of(error)}): that is fine if "
                "browsers can, so try one from where they are, or correct PUBLIC_ENDPOINT of the backend."
            ) from None
        raise wrong(f"The host of signed URLs can't be reached ({reason_of(error)}).") from None
    if answer is None:
        raise unknown("A URL was signed, and can't be tried: there is no server behind the backend.")
    if answer.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
        raise wrong(
            f"The store refused its own signed URL with {answer.status}: check the clocks, what the credentials "
            "permit, and that no proxy changes host or path (PUBLIC_ENDPOINT is the host that browsers reach)."
        )
    return answer


def _try_own(registry: StorageRegistry, backend: StorageBackend, path: str, method: Method) -> str:
    if registry.signer is None:
        raise unknown(
            "The store has no signed URLs of its own, or none with these credentials: where you need them (file.url, "
            "upload URLs), set FILESTORE_SIGNING_KEYS and include Filestore.signed_router()."
        )
    signed = registry.signer.sign(backend.key, path, method=method, expires_in=SECONDS)
    registry.signer.verify(signed.url.rpartition("sig=")[2], method=method)
    return BY_THE_APPLICATION
