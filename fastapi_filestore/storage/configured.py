"""The backends that settings describe, registered for as long as an application runs."""

from asyncio import gather
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi_filestore.errors import ConfigurationError, FilestoreError
from fastapi_filestore.settings import FilestoreSettings
from fastapi_filestore.storage.backend import StorageBackend
from fastapi_filestore.storage.budget import upload_memory
from fastapi_filestore.storage.obstore import ObstoreBackend
from fastapi_filestore.storage.registry import StorageRegistry
from fastapi_filestore.storage.signing import UrlSigner


@asynccontextmanager
async def configured_backends(
    settings: FilestoreSettings, registry: StorageRegistry, *, base_url: str
) -> AsyncIterator[None]:
    """Register the settings' backends while the block runs, and what makes URLs for those that can't presign.

    Args:
        settings: The settings.
        registry: Where the backends are registered.
        base_url: What the token of a signed URL is appended to.

    Raises:
        ConfigurationError: A backend can't be used as it is set up.
    """
    async with AsyncExitStack() as stack:
        for backend in _backends(settings, registry):
            registry.register_backend(backend)
            stack.push_async_callback(backend.aclose)
            stack.callback(registry.unregister_backend, backend.key)
        _choose_default(settings, registry)
        upload_memory.limit = settings.upload_memory
        if signer := _signer(settings, base_url):
            stack.callback(setattr, registry, "signer", registry.signer)
            registry.signer = signer
        if settings.probe:
            await _probe(registry)
        yield


def _backends(settings: FilestoreSettings, registry: StorageRegistry) -> list[ObstoreBackend]:
    # The folder that stands in for missing settings must not join backends registered by hand.
    if "backends" not in settings.model_fields_set and len(registry):
        return []
    return [ObstoreBackend(key, fs=one.url, **one.options()) for key, one in settings.backends.items()]


def _choose_default(settings: FilestoreSettings, registry: StorageRegistry) -> None:
    name = settings.default_backend
    if name is not None and name in registry:
        registry.default_key = name


def _signer(settings: FilestoreSettings, base_url: str) -> UrlSigner | None:
    keys = [key.get_secret_value() for key in settings.signing_keys]
    return UrlSigner(keys, base_url=base_url) if keys else None


async def _probe(registry: StorageRegistry) -> None:
    problems = [each for each in await gather(*map(_problem_of, registry)) if each is not None]
    if problems:
        raise ConfigurationError("\n".join(["Backends that can't be used as they are set up:", *problems]))


async def _problem_of(backend: StorageBackend) -> str | None:
    try:
        await backend.probe()
    except FilestoreError as error:
        return f"- {backend.key}: {error}"
    return None
