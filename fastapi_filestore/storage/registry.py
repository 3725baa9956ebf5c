"""Look backends up by their keys: which bucket a row or a setting means when it says "documents"."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from fastapi_filestore.errors import (
    ConfigurationError,
    DuplicateBackendError,
    OverlappingBackendsError,
    SigningUnavailableError,
    UnknownBackendError,
)
from fastapi_filestore.storage.backend import (
    Announcement,
    DownloadURLs,
    OnceSignedObjects,
    PlacedObjects,
    PublicObjects,
    SignedObjects,
    SignedURL,
    StorageBackend,
)
from fastapi_filestore.storage.paths import require_once_path, require_upload_path
from fastapi_filestore.storage.signing import Method, UrlSigner

DEFAULT_KEY = "default"
URL_SECONDS = 3600
"""How long a signed URL lives unless settings or the caller say otherwise."""


class StorageRegistry:
    """Backends by key, the default among them, and the signer for those that can't presign.

    `url_seconds` is how long a signed URL lives where the caller does not say: FILESTORE_URL_EXPIRY inside a lifespan.
    `max_upload_size` is the most bytes of what a client stores by itself: FILESTORE_MAX_UPLOAD_SIZE there.
    """

    def __init__(self) -> None:
        self._backends: dict[str, StorageBackend] = {}
        self._default: str | None = None
        self.signer: UrlSigner | None = None
        self.url_seconds = URL_SECONDS
        self.max_upload_size: int | None = None
        self.on_register: Callable[[StorageBackend], None] | None = None
        """Hears of every backend that is registered."""

    def register_backend(self, backend: StorageBackend, *, replace: bool = False, default: bool = False) -> None:
        """Make a backend known by its key.

        Args:
            backend: The backend; registering the same one again changes nothing. Another one of that key whose place is
                the same takes its turn, as where start-up code runs twice in one process.
            replace: Take the place of another backend of that key.
            default: Use it for columns and files that name none.

        Raises:
            DuplicateBackendError: A backend of that key and another place is registered, and `replace` was not asked
                for.
            OverlappingBackendsError: A backend of another key holds objects of this one, or the other way round. A row
                says where its object is by key and path, so nobody would know that two of them mean the same object.
        """
        known = self._backends.get(backend.key, backend)
        places = [same_key.place for same_key in (known, backend) if isinstance(same_key, PlacedObjects)]
        is_same = known is backend or (len(places) == 2 and places[0] == places[1])  # noqa: PLR2004 - of both
        if not replace and not is_same:
            raise DuplicateBackendError(backend.key, self._backends)
        if isinstance(backend, PlacedObjects):
            for other in self:
                if (
                    other.key != backend.key
                    and isinstance(other, PlacedObjects)
                    and other.place.overlaps(backend.place)
                ):
                    raise OverlappingBackendsError(backend.key, backend.url, other.key, other.url)
        self._backends[backend.key] = backend
        if self.on_register is not None:
            self.on_register(backend)
        if default:
            self._default = backend.key

    def unregister_backend(self, key: str) -> StorageBackend:
        """Forget a backend and return it; `UnknownBackendError` if there is none of that key."""
        backend = self.get_backend(key)
        del self._backends[key]
        if self._default == key:
            self._default = None
        return backend

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Register again, at the end of the block, what is registered now, and nothing else: for tests."""
        backends, default = dict(self._backends), self._default
        try:
            yield
        finally:
            self._backends, self._default = backends, default

    def get_backend(self, key: str | None = None) -> StorageBackend:
        """Return the backend of a key, or the default one; `UnknownBackendError` lists the known keys."""
        wanted = self.default_key if key is None else key
        if wanted not in self._backends:
            raise UnknownBackendError(wanted, self._backends)
        return self._backends[wanted]

    @property
    def default_key(self) -> str:
        """The key used where none is named: the one chosen, else `default`, else the only one there is."""
        if self._default in self._backends:
            return self._default
        return next(iter(self._backends)) if len(self._backends) == 1 else DEFAULT_KEY

    @default_key.setter
    def default_key(self, key: str) -> None:
        if key not in self._backends:
            raise UnknownBackendError(key, self._backends)
        self._default = key

    def public_url(self, key: str | None, path: str) -> str | None:
        """Return the address at which anybody may fetch an object; None where its backend is private or unknown."""
        wanted = self.default_key if key is None else key
        if wanted not in self._backends:
            return None
        backend = self._backends[wanted]
        return backend.public_url(path) if isinstance(backend, PublicObjects) else None

    async def sign(
        self,
        key: str | None,
        path: str,
        *,
        method: Method = "GET",
        expires_in: int,
        content_type: str | None = None,
        filename: str | None = None,
        max_size: int | None = None,
    ) -> SignedURL:
        """Sign a URL with the store's own signature, or with the application's where the store has none.

        `max_size` is the most bytes that may be stored with it; a store's own signature knows of none.

        Raises:
            ConfigurationError: An upload is to go to a path that no upload URL is signed for.
            SigningUnavailableError: The store has none and no signing key is configured.
        """
        _check_expiry(expires_in)
        if method == "PUT":
            require_upload_path(path, expires_in)
        backend = self.get_backend(key)
        refusal = SigningUnavailableError(
            f"Backend {backend.key!r} has no method `sign`, so it has no signed URLs of its own: set "
            "FILESTORE_SIGNING_KEYS, and include files.signed_router().",
            backend=backend.key,
            path=path,
        )
        if isinstance(backend, SignedObjects):
            try:
                return await backend.sign(path, method=method, expires_in=expires_in, content_type=content_type)
            except SigningUnavailableError as own:
                refusal = own
        return self._signer_instead(refusal).sign(
            backend.key,
            path,
            method=method,
            expires_in=expires_in,
            content_type=content_type,
            filename=filename,
            max_size=max_size,
        )

    async def sign_once(
        self, key: str | None, path: str, *, expires_in: int, announced: Announcement
    ) -> SignedURL | None:
        """Sign a URL that stores what a client announced, once; None where the store has no such URLs.

        Raises:
            ConfigurationError: The path is none that was made for such a URL.
        """
        _check_expiry(expires_in)
        require_once_path(path, expires_in)
        backend = self.get_backend(key)
        if not isinstance(backend, OnceSignedObjects):
            return None
        try:
            return await backend.sign_once(path, expires_in=expires_in, announced=announced)
        except SigningUnavailableError:
            return None

    async def sign_download(
        self, key: str | None, path: str, *, expires_in: int, content_type: str, content_disposition: str, filename: str
    ) -> SignedURL:
        """Sign a URL that answers with this type and disposition: the store's own, else the application's.

        Raises:
            SigningUnavailableError: The store has none, or can't be held to that, and no signing key is configured.
        """
        backend = self.get_backend(key)
        if isinstance(backend, DownloadURLs):
            _check_expiry(expires_in)
            try:
                return await backend.sign_download(
                    path, expires_in=expires_in, content_type=content_type, content_disposition=content_disposition
                )
            except SigningUnavailableError as refusal:
                return self._signer_instead(refusal).sign(
                    backend.key,
                    path,
                    method="GET",
                    expires_in=expires_in,
                    content_type=content_type,
                    filename=filename,
                )
        return await self.sign(key, path, expires_in=expires_in, content_type=content_type, filename=filename)

    def _signer_instead(self, refusal: SigningUnavailableError) -> UrlSigner:
        """Return the application's signer for a store that refused; raise its refusal if there is none."""
        if self.signer is None:
            raise refusal
        return self.signer

    def __iter__(self) -> Iterator[StorageBackend]:
        return iter(tuple(self._backends.values()))

    def __contains__(self, key: object) -> bool:
        return key in self._backends

    def __len__(self) -> int:
        return len(self._backends)


def _check_expiry(expires_in: int) -> None:
    if expires_in <= 0:
        raise ConfigurationError(f"expires_in is {expires_in}: a signed URL needs at least one second.")


storages: Final = StorageRegistry()
"""The process's default registry: what columns and files use unless they are given another."""
