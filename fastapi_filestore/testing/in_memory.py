"""Keep the files of whole applications in memory: `keeping_files_in_memory`."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from typing import Literal
from unittest.mock import patch
from urllib.parse import quote

from pydantic import SecretStr
from sqlalchemy.orm import configure_mappers

from fastapi_filestore.filestore.lifecycle import Lifecycle
from fastapi_filestore.orm.column.attributes import file_attributes, file_mappers
from fastapi_filestore.orm.ledger.reservations import forget_reservations
from fastapi_filestore.settings import BackendSettings, FilestoreSettings
from fastapi_filestore.settings.named import WithoutBackends, named_backends
from fastapi_filestore.storage.backend import SignedURL, StorageBackend
from fastapi_filestore.storage.from_settings import Wrap, wrapped_by
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from fastapi_filestore.storage.registry import DEFAULT_KEY, StorageRegistry, storages
from fastapi_filestore.storage.wrapped import WrappedBackend, unwrapped

MEMORY = "memory://"
SIGNING_KEY = token_urlsafe(32)


class MemoryBackend(WrappedBackend):
    """A backend in memory that signs URLs as a bucket does, if the application does not; nobody answers to them.

    Downloads are never redirected to them.
    """

    withheld = frozenset({"sign_download", "sign_for_proxy"})

    def __init__(self, key: str, registry: StorageRegistry) -> None:
        memory = ObstoreBackend(key, MEMORY)
        super().__init__(memory)
        self._memory, self._registry = memory, registry

    def __repr__(self) -> str:
        return f"MemoryBackend(key={self.key!r})"

    async def sign(
        self, path: str, *, method: Literal["GET", "PUT"] = "GET", expires_in: int, content_type: str | None = None
    ) -> SignedURL:
        """Return a URL that begins with `memory://`; refuse, as memory does, where the application's signer signs."""
        if self._registry.signer is not None:
            return await self._memory.sign(path, method=method, expires_in=expires_in, content_type=content_type)
        expires_at = datetime.now(UTC) + timedelta(seconds=expires_in)
        url = f"{MEMORY}{quote(self.key)}/{quote(path)}?expires={expires_at.timestamp():.0f}"
        return SignedURL(url, method, expires_at, {"Content-Type": content_type} if content_type else {})


@contextmanager
def keeping_files_in_memory() -> Iterator[dict[str, MemoryBackend]]:
    """Put every backend in memory while the block runs, of applications made before it or in it; give them by name.

    >>> with keeping_files_in_memory() as backends, TestClient(app) as client:
    ...     client.post("/documents/", files={"file": b"hello"})

    That is: those that the settings name, in code, environment or `.env`; those that columns name; and those that code
    has registered. Of `.env` only the names of backends are read; of the environment, all but the options of backends.
    The objects last as long as the block, however often an application starts in it. A backend that is no
    `ObstoreBackend` and that is registered in the block stays as it is: a test has put it there.
    """

    def register_backend(
        registry: StorageRegistry, backend: StorageBackend, *, replace: bool = False, default: bool = False
    ) -> None:
        memory.register_backend(registry, backend, replace=replace, default=default)

    def read_settings(files: Lifecycle) -> FilestoreSettings:
        return memory.read_settings(files)

    with ExitStack() as stack:
        memory = _Memory(stack)
        # Functions, since a method that is put into a class is bound already.
        stack.enter_context(patch.object(StorageRegistry, "register_backend", register_backend))
        stack.enter_context(patch.object(Lifecycle, "read_settings", read_settings))
        stack.callback(_forget_settings)
        stack.callback(forget_reservations)
        memory.replace_registered()
        _forget_settings()
        memory.add_settings()
        memory.add_columns()
        yield memory.backends


def _forget_settings() -> None:
    """Have every application read its settings anew."""
    for files in list(Lifecycle.made):
        vars(files).pop("settings", None)


_register = StorageRegistry.register_backend


class _Memory:
    """The backends in memory of one block, and what puts them in the places of others."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._standing = dict[tuple[StorageRegistry, str], StorageBackend]()
        self._restored = set[StorageRegistry]()
        self._by_hand = set[StorageRegistry]()
        self.backends = dict[str, MemoryBackend]()

    def register_backend(
        self, registry: StorageRegistry, backend: StorageBackend, *, replace: bool, default: bool
    ) -> None:
        """Register what a test's own code registers: what is stored elsewhere is in memory instead."""
        self._by_hand.add(registry)
        ours = unwrapped(backend)
        if isinstance(ours, ObstoreBackend) and ours.url != MEMORY:
            self.stand_in(registry, backend.key, default=default)
        else:
            self._keep(registry)
            stands = self._standing.get((registry, backend.key))
            is_ours = stands is not None and backend.key in registry and registry.get_backend(backend.key) is stands
            _register(registry, backend, replace=replace or is_ours, default=default)

    def read_settings(self, files: Lifecycle) -> FilestoreSettings:
        """Return the settings of an application, whose backends are in memory and registered."""
        settings, are_named = _settings_in_memory(files)
        if are_named or files.registry not in self._by_hand:
            for key in settings.backends:
                self.stand_in(files.registry, key, default=key == settings.default_backend, wrap=files.wrap)
        return settings

    def replace_registered(self) -> None:
        """Replace all backends that are registered."""
        registries = {storages, *(files.registry for files in Lifecycle.made)}
        for registry in registries:
            default = registry.default_key
            for backend in registry:
                self._by_hand.add(registry)
                self.stand_in(registry, backend.key, default=backend.key == default)

    def add_settings(self) -> None:
        """Add those that applications name, also for one whose lifespan no test runs; what wraps them waits for it."""
        for files in list(Lifecycle.made):
            settings, are_named = _settings_in_memory(files)
            if are_named or files.registry not in self._by_hand:
                for key in settings.backends:
                    self.stand_in(files.registry, key, default=key == settings.default_backend)

    def add_columns(self) -> None:
        """Add those backends that columns name and that are not registered."""
        configure_mappers()
        for mapper in file_mappers():
            for attribute in file_attributes(mapper):
                column = attribute.type
                if column.backend is not None and column.backend not in column.registry:
                    self.stand_in(column.registry, column.backend)

    def stand_in(self, registry: StorageRegistry, key: str, *, default: bool = False, wrap: Wrap | None = None) -> None:
        """Register a backend in memory by a key, wherever objects of that key are otherwise."""
        self._keep(registry)
        place = registry, key
        if place not in self._standing or (wrap is not None and isinstance(self._standing[place], MemoryBackend)):
            known = self._standing.get(place)
            made = known if isinstance(known, MemoryBackend) else MemoryBackend(key, registry)
            self.backends[key] = made
            self._standing[place] = made if wrap is None else wrapped_by(wrap, made)
            _register(registry, self._standing[place], replace=True)
        if default:
            registry.default_key = key

    def _keep(self, registry: StorageRegistry) -> None:
        if registry not in self._restored:
            self._restored.add(registry)
            self._stack.enter_context(registry.restoring())


def _settings_in_memory(files: Lifecycle) -> tuple[FilestoreSettings, bool]:
    """Return settings whose backends are in memory, and whether any are named; to registries it looks as if none."""
    given = files.given_settings
    if given is None:
        named = named_backends()
        are_named = bool(named.names)
        backends = {name: BackendSettings(url=MEMORY) for name in named.names or {DEFAULT_KEY}}
        settings: FilestoreSettings = WithoutBackends(backends=backends, default_backend=named.default)
    else:
        are_named = "backends" in given.model_fields_set
        settings = given.model_copy(update={"backends": dict.fromkeys(given.backends, BackendSettings(url=MEMORY))})
    if files.honours_signed_urls and not settings.signing_keys:  # which may be in `.env`
        settings = settings.model_copy(update={"signing_keys": (SecretStr(SIGNING_KEY),)})
    settings.model_fields_set.discard("backends")
    return settings, are_named
