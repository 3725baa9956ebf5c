"""What an application wraps around the backends of its settings."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from fastapi_filestore import (
    ConfigurationError,
    DuplicateBackendError,
    FileObject,
    Filestore,
    FilestoreSettings,
    ObjectInfo,
    StorageBackend,
    StorageRegistry,
    StorageUnavailableError,
    WrappedBackend,
)
from fastapi_filestore.service.check.checked import Outcome
from fastapi_filestore.storage.backend import DownloadURLs, LocalObjects, PlacedObjects, SignedObjects, UploadRemains
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from fastapi_filestore.testing import FaultyBackend

WRONG = Outcome.WRONG


class Counted(WrappedBackend):
    """Counts heads."""

    heads = 0

    async def head(self, path: str) -> ObjectInfo:
        """Count, and pass on."""
        self.heads += 1
        return await super().head(path)


def filestore(folder: Path, registry: StorageRegistry, wrap: Any, **settings: Any) -> Filestore:
    """Return a file store of two backends."""
    backends = {"a": {"url": f"file://{folder}"}, "b": {"url": "memory://"}}
    given = FilestoreSettings(backends=backends, _env_file=None, **settings)
    return Filestore(settings=given, registry=registry, wrap=wrap)


@pytest.mark.parametrize("probe", [False, True])
async def test_each_backend_is_wrapped(tmp_path: Path, probe: bool) -> None:
    """Each backend of the settings is given to the function, and what it returns is registered, and closed."""
    registry, wrapped = StorageRegistry(), dict[str, Counted]()

    def wrap(backend: StorageBackend) -> StorageBackend:
        return wrapped.setdefault(backend.key, Counted(backend))

    async with filestore(tmp_path, registry, wrap, probe=probe).opened():
        assert list(registry) == list(wrapped.values())
        await registry.get_backend("a").put("k", b"x")
        before = wrapped["a"].heads
        await registry.get_backend("a").head("k")
        assert (before, wrapped["a"].heads, wrapped["b"].heads) == ((2, 3, 2) if probe else (0, 1, 0))

    assert len(registry) == 0
    with pytest.raises(Exception, match="closed"):
        await wrapped["a"].head("k")


async def test_a_failing_store_by_it(tmp_path: Path) -> None:
    """What tests make fail may be wrapped around the application's own."""
    registry = StorageRegistry()

    def wrap(backend: StorageBackend) -> StorageBackend:
        return FaultyBackend(backend, lambda call, name: name == "put")

    async with filestore(tmp_path, registry, wrap).opened():
        with pytest.raises(StorageUnavailableError):
            await FileObject("a", "a.txt", content=b"x", registry=registry).save_async()


@pytest.mark.parametrize(
    "wrap", [lambda backend: None, lambda backend: "a", lambda backend: ObstoreBackend("other", "memory://")]
)
async def test_what_is_no_backend(tmp_path: Path, wrap: Any) -> None:
    """A function that returns none, or one of another key, is told with the key and the remedy."""
    with pytest.raises(ConfigurationError, match=r"wrap= .* of the backend 'a': .*WrappedBackend"):
        async with filestore(tmp_path, StorageRegistry(), wrap).opened():
            pass


async def test_two_applications_that_differ(tmp_path: Path) -> None:
    """Applications of one process share a backend only if they wrap it alike."""
    registry = StorageRegistry()
    async with filestore(tmp_path, registry, Counted).opened(), filestore(tmp_path, registry, Counted).opened():
        with pytest.raises(DuplicateBackendError, match="wrap="):
            async with filestore(tmp_path, registry, None).opened():
                pass


def test_a_wrapped_backend_can_do_what_the_one_inside_can(tmp_path: Path) -> None:
    """It has the optional parts of the one inside, and no others; what is withheld it has not."""

    class Sealed(WrappedBackend):
        withheld = frozenset({"sign", "sign_download", "sign_for_proxy", "folder"})

    inner = ObstoreBackend("a", tmp_path)
    whole, sealed, faulty = WrappedBackend(inner), Sealed(inner), FaultyBackend(inner, lambda call, name: False)
    protocols = (DownloadURLs, LocalObjects, PlacedObjects, SignedObjects, UploadRemains)

    assert [isinstance(whole, protocol) for protocol in protocols] == [True] * 5
    assert [isinstance(sealed, protocol) for protocol in protocols] == [False, False, True, False, True]
    assert not isinstance(WrappedBackend(faulty), PlacedObjects)


@pytest.mark.parametrize("is_running", [False, True])
async def test_a_check_asks_what_is_wrapped(tmp_path: Path, is_running: bool) -> None:
    """A check asks the wrapped backends, those that run already among them, and finds nothing wrong."""
    wrapped = list[Counted]()

    def wrap(backend: StorageBackend) -> StorageBackend:
        wrapped.append(Counted(backend))
        return wrapped[-1]

    files = filestore(tmp_path, StorageRegistry(), wrap)
    async with files.opened() if is_running else nullcontext():
        answers = [answer async for answer in files.check()]

    assert [answer for answer in answers if answer.subject.startswith("backend") and answer.outcome is WRONG] == []
    assert len(wrapped) == 2
    assert all(backend.heads for backend in wrapped)


async def test_a_wrapper_that_can_not_be_closed(tmp_path: Path) -> None:
    """The backend inside is closed even if closing what is around it fails."""

    class Stuck(Counted):
        async def aclose(self) -> None:
            raise OSError(5, "stuck")

    registry = StorageRegistry()
    files = filestore(tmp_path, registry, lambda backend: Stuck(backend) if backend.key == "a" else backend)
    with pytest.raises(OSError, match="stuck"):
        async with files.opened():
            stuck = registry.get_backend("a")

    with pytest.raises(Exception, match="closed"):
        await stuck.head("k")
