"""A backend that fails when told to."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fastapi_filestore import (
    ObjectInfo,
    ObstoreBackend,
    SigningUnavailableError,
    StorageError,
    StorageUnavailableError,
    WrappedBackend,
)
from fastapi_filestore.storage.backend import StorageBackend
from fastapi_filestore.storage.content import Content
from fastapi_filestore.testing import FaultyBackend


@pytest.fixture
async def inner() -> ObstoreBackend:
    """A backend with one object."""
    backend = ObstoreBackend("test", "memory://")
    await backend.put("a", b"hello world")
    return backend


async def keys(backend: StorageBackend) -> list[str]:
    """The keys that a backend lists."""
    return [info.path async for info in backend.list()]


async def _read(backend: StorageBackend) -> bytes:
    return await (await backend.open("a")).read()


OPERATIONS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "put": lambda backend: backend.put("b", b"x"),
    "open": _read,
    "head": lambda backend: backend.head("a"),
    "copy": lambda backend: backend.copy("a", "b"),
    "delete": lambda backend: backend.delete("a"),
    "list": keys,
    "sign": lambda backend: backend.sign("a", expires_in=60),
    "probe": lambda backend: backend.probe(),
}


CHANGES = {"put": ["a", "b"], "copy": ["a", "b"], "delete": list[str]()}
"""What is listed after each operation that changes something."""


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "sign"])
async def test_it_passes_calls_on(inner: ObstoreBackend, operation: str) -> None:
    """Without a failure every operation does what the backend behind it does."""
    faulty = FaultyBackend(inner, lambda call, name: False)
    result = await OPERATIONS[operation](faulty)

    assert faulty.key == inner.key
    assert faulty.calls == [operation]
    if operation in CHANGES:
        assert await keys(inner) == CHANGES[operation]
    else:
        assert result == await OPERATIONS[operation](inner)


@pytest.mark.parametrize("write", [False, True])
async def test_a_probe_writes_only_if_it_may(inner: ObstoreBackend, write: bool) -> None:
    """A probe that is to read only stores nothing."""
    puts = list[str]()

    class Noting(WrappedBackend):
        async def put(self, path: str, content: Content, **options: Any) -> ObjectInfo:
            puts.append(path)
            return await super().put(path, content, **options)

    await FaultyBackend(FaultyBackend(Noting(inner), lambda c, n: False), lambda c, n: False).probe(write=write)

    assert len(puts) == write
    assert await keys(inner) == ["a"]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_it_fails_before(inner: ObstoreBackend, operation: str) -> None:
    """A call that is chosen by name fails, and nothing is done."""
    faulty = FaultyBackend(inner, lambda call, name: name == operation)
    with pytest.raises(StorageUnavailableError):
        await OPERATIONS[operation](faulty)

    assert await keys(inner) == ["a"]


@pytest.mark.parametrize(("operation", "left"), [("put", ["a", "b"]), ("copy", ["a", "b"]), ("delete", [])])
async def test_it_fails_after(inner: ObstoreBackend, operation: str, left: list[str]) -> None:
    """With `after` the work is done and the caller does not learn of it."""
    faulty = FaultyBackend(inner, lambda call, name: True, after=True)
    with pytest.raises(StorageUnavailableError):
        await OPERATIONS[operation](faulty)

    assert await keys(inner) == left


async def test_it_fails_by_number(inner: ObstoreBackend) -> None:
    """A call that is chosen by its number fails, and only that one."""
    faulty = FaultyBackend(inner, lambda call, name: call == 2)
    await faulty.head("a")
    with pytest.raises(StorageUnavailableError):
        await faulty.head("a")
    await faulty.head("a")

    assert faulty.calls == ["head"] * 3


async def test_a_download_that_breaks_off(inner: ObstoreBackend) -> None:
    """With `after` a download begins and breaks off half-way."""
    stream = await FaultyBackend(inner, lambda call, name: True, after=True).open("a")
    chunks = aiter(stream)

    assert await anext(chunks) == b"hello"
    assert stream.info.size == 11
    with pytest.raises(StorageUnavailableError):
        await anext(chunks)


async def test_an_error_of_the_users_choice(inner: ObstoreBackend) -> None:
    """What is raised may be any error."""
    faulty = FaultyBackend(inner, lambda call, name: True, error=lambda: LookupError("mine"))

    with pytest.raises(LookupError, match="mine"):
        await faulty.head("a")


async def test_slowness(inner: ObstoreBackend) -> None:
    """With a delay every call takes its time."""
    started = time.monotonic()
    await FaultyBackend(inner, lambda call, name: False, delay=0.05).head("a")

    assert time.monotonic() - started >= 0.05


async def test_closing(inner: ObstoreBackend) -> None:
    """Closing it closes the backend behind it."""
    faulty = FaultyBackend(inner, lambda call, name: False)
    await faulty.aclose()

    with pytest.raises(StorageError, match="closed"):
        await faulty.head("a")


async def test_signing(inner: ObstoreBackend) -> None:
    """What the backend behind it refuses is refused as it is."""
    with pytest.raises(SigningUnavailableError):
        await FaultyBackend(inner, lambda call, name: False).sign("a", expires_in=60)
