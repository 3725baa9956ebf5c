"""Register the backends that settings describe for as long as an application runs."""

from asyncio import gather
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias
from weakref import WeakKeyDictionary

from fastapi_filestore.concurrency.forks import forkable_lock
from fastapi_filestore.errors import ConfigurationError, DuplicateBackendError, FilestoreError
from fastapi_filestore.events import ACCEL_UNREADABLE, FILES_BELOW_FOLDER
from fastapi_filestore.logs import describe_error, redact
from fastapi_filestore.settings import BackendSettings, FilestoreSettings, variable
from fastapi_filestore.storage.backend import Closable, StorageBackend
from fastapi_filestore.storage.budget import upload_memory
from fastapi_filestore.storage.fallbacks import probe_store
from fastapi_filestore.storage.obstore.process import WORKERS
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from fastapi_filestore.storage.registry import StorageRegistry
from fastapi_filestore.storage.signing import UrlSigner
from fastapi_filestore.storage.wrapped import unwrapped

Wrap: TypeAlias = Callable[[StorageBackend], StorageBackend]
"""What is given a backend that the settings make, and returns the one to register."""


@asynccontextmanager
async def registering_backends(
    settings: FilestoreSettings,
    registry: StorageRegistry,
    *,
    base_url: str,
    is_served: bool = True,
    root_path: str = "",
    wrap: Wrap | None = None,
) -> AsyncIterator[None]:
    """Register the settings' backends while the block runs, and what makes URLs for those that can't presign.

    Args:
        settings: The settings.
        registry: Where the backends are registered.
        base_url: What the token of a signed URL is appended to.
        is_served: Whether the application has a route there, as far as is known.
        root_path: What goes before a base that is only a path, outside of requests.
        wrap: Given each backend that the settings make, and returns the one to register; None for the same.

    Raises:
        ConfigurationError: A backend can't be used as it is set up.
        ForkedProcessError: None can be used, since this process was forked by one that used them.
    """
    async with AsyncExitStack() as stack:
        with _guard:
            running = [shared.backend for shared in _running.get(registry, {}).values()]
            by_hand = [backend for backend in registry if backend not in running]
        # The folder that stands in for missing settings must not join backends registered by hand.
        if "backends" in settings.model_fields_set or not by_hand:
            for key, backend_settings in settings.backends.items():
                await stack.enter_async_context(_registering(key, backend_settings, registry, wrap))
        for backend in map(unwrapped, registry):
            if isinstance(backend, ObstoreBackend):
                WORKERS.refuse_forked(backend=backend.key)
                if "backends" not in settings.model_fields_set and not by_hand:
                    FILES_BELOW_FOLDER.tell(backend=backend.key, folder=backend.folder)
        upload_memory.limit = settings.upload_memory
        keys = [key.get_secret_value() for key in settings.signing_keys]
        signer = UrlSigner(keys, base_url=base_url, root_path=root_path, is_served=is_served) if keys else None
        wishes = Wishes(settings.url_expiry, settings.max_upload_size, signer, settings.default_backend)
        stack.enter_context(applying_wishes(registry, wishes))
        if settings.probe:
            await _probe_all(registry, write=settings.probe is True)
        _tell_of_obstacles(settings, registry)
        yield


@dataclass(slots=True)
class _Running:
    """A backend that several applications of one process, with the same settings, have registered together."""

    settings: BackendSettings
    made: ObstoreBackend
    wrap: Wrap | None
    backend: StorageBackend
    users: int = 0

    async def aclose(self) -> None:
        """Close the backend, and the one inside, which a wrapper may leave open."""
        try:
            if isinstance(self.backend, Closable):
                await self.backend.aclose()
        finally:
            await self.made.aclose()


_running: "WeakKeyDictionary[StorageRegistry, dict[str, _Running]]" = WeakKeyDictionary()
_guard = forkable_lock()
"""Held by whoever registers or unregisters: blocks of several threads may begin and end at once."""


@asynccontextmanager
async def _registering(
    key: str, settings: BackendSettings, registry: StorageRegistry, wrap: Wrap | None
) -> AsyncIterator[None]:
    """Register a backend while the block runs, or use the one that another has registered by the same settings."""
    with _guard:
        running = _running.setdefault(registry, {})
        shared = running.get(key)
        if shared is None or key not in registry or registry.get_backend(key) is not shared.backend:
            made = _make_backend(key, settings)
            shared = _Running(settings, made, wrap, made if wrap is None else wrapped_by(wrap, made))
            if key in registry:  # by hand, and whose it is must outlive this block
                raise DuplicateBackendError(key, [known.key for known in registry], _BY_HAND)
            registry.register_backend(shared.backend)
            running[key] = shared
        elif differing := _differing_settings(key, shared, settings, wrap):
            raise DuplicateBackendError(key, [known.key for known in registry], _BY_OTHERS.format(", ".join(differing)))
        shared.users += 1
    try:
        yield
    finally:
        with _guard:
            shared.users -= 1
            is_last = shared.users == 0
            if is_last:
                running.pop(key, None)
                if key in registry and registry.get_backend(key) is shared.backend:
                    registry.unregister_backend(key)
        if is_last:
            await shared.aclose()


def _make_backend(key: str, settings: BackendSettings) -> ObstoreBackend:
    try:
        return ObstoreBackend(key, fs=settings.url, **settings.options())
    except ConfigurationError as error:
        # It calls options as code does.
        raise ConfigurationError(f"{error} Its settings begin with {variable('backends', key, '')}.") from None


def wrapped_by(wrap: Wrap, made: StorageBackend) -> StorageBackend:
    """Return what a wrapper makes of a backend; `ConfigurationError` if that is no backend of its key."""
    wrapped: object = wrap(made)
    if not isinstance(wrapped, StorageBackend) or wrapped.key != made.key:
        what = (
            f"a backend of the key {wrapped.key!r}" if isinstance(wrapped, StorageBackend) else type(wrapped).__name__
        )
        raise ConfigurationError(
            f"wrap= of Filestore made {what} of the backend {made.key!r}: let it return one of the same key, such as "
            "an object of a subclass of WrappedBackend, or the backend itself."
        )
    return wrapped


_OWN = "a StorageRegistry() of its own (registry=mine of its Filestore and of its StoredObject columns)"
_BY_HAND = f"by the application's code, and the settings describe one as well: leave out one, or give one {_OWN}"
_BY_OTHERS = (
    "by another application of this process, whose settings differ in {}: give both the same settings, one of them "
    f"another name of the backend, or {_OWN}"
)


def _differing_settings(key: str, shared: _Running, settings: BackendSettings, wrap: Wrap | None) -> list[str]:
    """Return which settings differ from those of a backend that runs; two spellings of one place do not."""
    names = [name for name, value in settings if getattr(shared.settings, name) != value]
    if names == ["url"]:
        names = [] if _make_backend(key, settings).place == shared.made.place else names
    # Of the others, a secret may be one.
    shown = {"url": f"URL ({shared.settings.url} there, {settings.url} here)"}
    return [shown.get(name, name.upper()) for name in names] + ["wrap="] * (wrap != shared.wrap)


def _tell_of_obstacles(settings: FilestoreSettings, registry: StorageRegistry) -> None:
    """Log what keeps nginx in front from reading a local folder: it would answer 403 to every download."""
    for backend in map(unwrapped, registry):
        own = settings.backends.get(backend.key)
        is_read = ((own and own.downloads) or settings.downloads) == "accel"
        if is_read and isinstance(backend, ObstoreBackend) and (obstacle := backend.obstacle_to_others()) is not None:
            ACCEL_UNREADABLE.tell(
                backend=backend.key,
                folder=str(backend.folder),
                remedy=f"before nginx can read what is stored, {obstacle}",
            )


async def _probe_all(registry: StorageRegistry, *, write: bool) -> None:
    async def failure_of(backend: StorageBackend) -> tuple[StorageBackend, Exception] | None:
        try:
            await probe_store(backend, write=write)
        except Exception as error:  # noqa: BLE001 - a class of somebody else's may raise anything
            return backend, error
        return None

    failures = [failure for failure in await gather(*map(failure_of, registry)) if failure is not None]
    if failures:
        tried = " (an object is stored in each, and deleted; FILESTORE_PROBE=read does neither)" if write else ""
        lines = [f"Backends that can't be used as they are set up{tried}:"]
        lines += [f"- {backend.key}: {_reason_of(backend, error)}" for backend, error in failures]
        foreign = [error for _, error in failures if not isinstance(error, FilestoreError)]
        raise ConfigurationError("\n".join(lines)) from next(iter(foreign), None)


def _reason_of(backend: StorageBackend, error: Exception) -> str:
    if isinstance(error, FilestoreError):
        return str(error)
    return f"{type(backend).__name__} has raised {redact(describe_error(error))} (a backend raises a StorageError)"


@dataclass(frozen=True, slots=True, eq=False)
class Wishes:
    """The wishes of one application for its registry; None where it wants nothing."""

    url_seconds: int
    max_upload_size: int | None
    signer: UrlSigner | None = None
    default: str | None = None


@dataclass(slots=True)
class _Standing:
    """The state of a registry before the first application, and what those that run want, the oldest first."""

    before: Wishes
    running: list[Wishes] = field(default_factory=list[Wishes])


_standings: "WeakKeyDictionary[StorageRegistry, _Standing]" = WeakKeyDictionary()


@contextmanager
def applying_wishes(registry: StorageRegistry, wishes: Wishes) -> Iterator[None]:
    """Have a registry be as an application wants while the block runs, whichever of several ends first."""
    with _guard:
        before = Wishes(registry.url_seconds, registry.max_upload_size, registry.signer)
        standing = _standings.setdefault(registry, _Standing(before))
        standing.running.append(wishes)
        _apply(registry, standing)
    try:
        yield
    finally:
        with _guard:
            standing.running.remove(wishes)
            _apply(registry, standing)
            if not standing.running:
                del _standings[registry]


def _apply(registry: StorageRegistry, standing: _Standing) -> None:
    wanted = [standing.before, *standing.running]
    registry.url_seconds, registry.max_upload_size = wanted[-1].url_seconds, wanted[-1].max_upload_size
    registry.signer = next((wishes.signer for wishes in reversed(wanted) if wishes.signer is not None), None)
    default = next((wishes.default for wishes in reversed(wanted) if wishes.default is not None), None)
    if default is not None and default in registry:
        registry.default_key = default
