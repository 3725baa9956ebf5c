"""A probe tries a backend as it is used: what is wrapped around it, and what a class of one's own does."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from fastapi_filestore import (
    ConfigurationError,
    Filestore,
    FilestoreSettings,
    ObjectInfo,
    ObstoreBackend,
    StorageBackend,
    StorageError,
    StorageRegistry,
    WrappedBackend,
)
from fastapi_filestore.storage.content import Content
from fastapi_filestore.storage.fallbacks import probe_store
from fastapi_filestore.testing import FaultyBackend

READ = ["head"]
WRITTEN = ["head", "put", "head", "delete"]


class Calls:
    """Notes the calls of the backend that it is a part of."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.calls = list[str]()

    async def put(self, path: str, content: Content, **options: Any) -> ObjectInfo:
        """Note it, and store."""
        self.calls.append("put")
        stored: ObjectInfo = await super().put(path, content, **options)  # type: ignore[misc]
        return stored

    async def head(self, path: str) -> ObjectInfo:
        """Note it, and ask."""
        self.calls.append("head")
        told: ObjectInfo = await super().head(path)  # type: ignore[misc]
        return told

    async def delete(self, *paths: str) -> None:
        """Note it, and delete."""
        self.calls.append("delete")
        await super().delete(*paths)  # type: ignore[misc]


class Counted(Calls, WrappedBackend):
    """A wrapper that notes its calls."""


class Derived(Calls, ObstoreBackend):
    """A backend of ours whose calls were overridden."""


class Delegating:
    """A wrapper that somebody wrote by hand."""

    def __init__(self, inner: StorageBackend) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def head(self, path: str) -> ObjectInfo:
        """Refuse."""
        raise StorageError("refused by hand")


class Refusing(WrappedBackend):
    """A wrapper that fails with an error of its own where something is stored."""

    async def put(self, path: str, content: Content, **options: Any) -> ObjectInfo:
        """Fail."""
        raise RuntimeError("no key of the vault\nand more")


async def paths(backend: StorageBackend) -> list[str]:
    """Return what a backend lists."""
    return [info.path async for info in backend.list()]


@pytest.mark.parametrize(("write", "calls"), [(False, READ), (True, WRITTEN)])
@pytest.mark.parametrize("make", [lambda folder: Counted(ObstoreBackend("a", folder)), lambda f: Derived("a", f)])
async def test_calls_that_are_overridden_are_tried(tmp_path: Path, make: Any, write: bool, calls: list[str]) -> None:
    """What is done around a backend, or instead of what its base class does, is tried, and leaves nothing."""
    backend = make(tmp_path)
    await probe_store(backend, write=write)

    assert backend.calls == calls
    assert await paths(backend) == []


@pytest.mark.parametrize(
    "wrap", [WrappedBackend, lambda inner: WrappedBackend(Counted(inner)), lambda inner: Counted(Counted(inner))]
)
async def test_what_only_the_backend_inside_can_tell(tmp_path: Path, wrap: Any) -> None:
    """A folder that is gone, which no call tells of, is told by the probe inside, which writes nothing."""
    (folder := tmp_path / "folder").mkdir()
    backend = wrap(ObstoreBackend("a", folder))
    folder.rmdir()
    with pytest.raises(StorageError, match="has no folder"):
        await probe_store(backend, write=True)

    assert not folder.exists()


async def test_a_probe_of_its_own(tmp_path: Path) -> None:
    """A class that defines a probe is asked by that alone, with or without its argument."""
    asked = list[object]()

    class Old(Counted):
        async def probe(self) -> None:
            asked.append("old")

    class New(Counted):
        async def probe(self, *, write: bool = True) -> None:
            asked.append(write)

    for kind in (Old, New):
        for write in (False, True):
            await probe_store(backend := kind(ObstoreBackend("a", tmp_path)), write=write)
            assert backend.calls == []

    assert asked == ["old", "old", False, True]


async def test_a_wrapper_by_hand(tmp_path: Path) -> None:
    """A class that passes on all that it lacks has no probe of its own."""
    with pytest.raises(StorageError, match="by hand"):
        await probe_store(Delegating(ObstoreBackend("a", tmp_path)), write=False)


@pytest.mark.parametrize("after", [False, True])
async def test_a_probe_that_fails_leaves_nothing(tmp_path: Path, after: bool) -> None:
    """What a store keeps all the same is deleted."""

    def fails(_: int, name: str) -> bool:
        return name == "put"

    class Unprobed(FaultyBackend):
        delete = FaultyBackend.delete  # so that its calls are tried

    inner = ObstoreBackend("a", tmp_path)
    with pytest.raises(StorageError):
        await probe_store(Unprobed(inner, fails, after=after), write=True)

    assert await paths(inner) == []


def started(backends: Iterable[str], folder: Path, wrap: Any, **settings: Any) -> Filestore:
    """Return a file store of backends in folders."""
    made = {key: {"url": f"file://{folder / key}"} for key in backends}
    given = FilestoreSettings(backends=made, _env_file=None, **settings)
    return Filestore(settings=given, registry=StorageRegistry(), wrap=wrap)


async def test_an_error_of_a_wrapper_stops_the_start(tmp_path: Path) -> None:
    """An error that is none of ours is one line of the start's, with its backend, its class and its cause."""
    wrap: dict[str, Any] = {"a": Refusing, "b": WrappedBackend}
    wrap["c"] = lambda inner: FaultyBackend(inner, lambda call, name: True)
    files = started("abc", tmp_path, lambda inner: wrap[inner.key](inner), probe=True)
    with pytest.raises(ConfigurationError) as caught:
        async with files.opened():
            pass

    first, of_a, of_c = str(caught.value).splitlines()
    assert "FILESTORE_PROBE=read" in first
    assert of_a == "- a: Refusing has raised RuntimeError: no key of the vault (a backend raises a StorageError)"
    assert of_c == "- c: The store is down, as the test wants it."
    assert isinstance(caught.value.__cause__, RuntimeError)
    async with started("a", tmp_path, Refusing, probe="read").opened():
        pass


async def test_an_error_of_a_wrapper_is_not_ready(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Readiness asks what is wrapped, and the log names the backend whose wrapper raises an error of its own."""

    class Locked(WrappedBackend):
        async def head(self, path: str) -> ObjectInfo:
            raise RuntimeError("locked")

    files = started("a", tmp_path, Locked)
    app = FastAPI(lifespan=files.lifespan)
    app.include_router(files.readiness())
    async with files.lifespan(app), AsyncClient(transport=ASGITransport(app), base_url="http://site") as client:
        answer = await client.get("/ready")

    assert answer.status_code == 503
    assert "locked" not in answer.text
    assert [text for text in caplog.messages if "not_ready" in text] == [
        'fastapi_filestore.not_ready part="backend a" error="RuntimeError: locked"'
    ]
