"""Stores that accept requests and never answer: given up soon, while slow transfers may take as long as they need."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from fastapi_filestore.errors import StorageTimeoutError
from fastapi_filestore.storage.backend import READ_TIMEOUT
from fastapi_filestore.storage.obstore.moving import liveness
from fastapi_filestore.storage.obstore.opening import client
from fastapi_filestore.storage.obstore.opening.client import CONNECT_TIMEOUT, RETRY_TIMEOUT
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.relay import Relay, relayed
from tests.storage.stores import MIB

LONGEST = timedelta(seconds=30)
"""Within it whoever waits for a store has an answer."""


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the default limits short."""
    monkeypatch.setattr(client, "READ_TIMEOUT", timedelta(seconds=0.5))
    monkeypatch.setattr(client, "RETRY_TIMEOUT", timedelta(seconds=0.4))
    monkeypatch.setattr(liveness, "LOOK", 0.3)


@pytest.fixture
async def relay(seaweedfs: Any) -> AsyncIterator[Relay]:
    """A relay to SeaweedFS."""
    async with relayed(seaweedfs.endpoint) as relay:
        yield relay


@pytest.fixture
def backend(seaweedfs: Any, relay: Relay, hurried: None) -> ObstoreBackend:
    """A backend behind the relay, with the defaults of all limits."""
    return ObstoreBackend(
        "s3",
        f"s3://{seaweedfs.bucket}/{uuid4().hex}",
        aws_endpoint=relay.endpoint,
        aws_access_key_id=seaweedfs.access_key,
        aws_secret_access_key=seaweedfs.secret_key,
        aws_region=seaweedfs.region,
    )


async def _first_chunk(backend: ObstoreBackend) -> None:
    async for _ in await backend.open("k"):
        return


async def _listed(backend: ObstoreBackend) -> None:
    async for _ in backend.list():
        return


async def _sent(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // MIB):
        yield b"x" * MIB


Use = Callable[[ObstoreBackend], Awaitable[Any]]
USES: dict[str, Use] = {
    "small put": lambda backend: backend.put("k", b"x"),
    "put": lambda backend: backend.put("k", b"x" * 2 * MIB),
    "put of a fresh key": lambda backend: backend.put("k", b"x" * 6 * MIB, if_absent=True),
    "parts": lambda backend: backend.put("k", _sent(30 * MIB)),
    "one request": lambda backend: backend.put("k", _sent(10 * MIB), use_multipart=False),
    "big parts": lambda backend: backend.put("k", _sent(30 * MIB), chunk_size=10 * MIB, max_concurrency=1),
    "head": lambda backend: backend.head("k"),
    "first byte": _first_chunk,
    "delete": lambda backend: backend.delete("k"),
    "list": _listed,
    "copy": lambda backend: backend.copy("k", "l"),
    "probe": lambda backend: backend.probe(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
async def test_a_store_that_hangs_is_given_up(backend: ObstoreBackend, relay: Relay, use: Use) -> None:
    """Whatever is asked of a store that accepts and never answers, it is a timeout, and soon."""
    relay.talks.clear()
    async with asyncio.timeout(10):
        with pytest.raises(StorageTimeoutError, match=r"FILESTORE_BACKENDS__S3__TIMEOUT .* silent, now 500ms"):
            await use(backend)


async def test_a_store_that_begins_to_hang_is_given_up(backend: ObstoreBackend, relay: Relay) -> None:
    """A long upload whose store falls silent in the middle ends, although the client waits for its next part."""

    async def content() -> AsyncIterator[bytes]:
        async for chunk in _sent(12 * MIB):
            yield chunk
        relay.talks.clear()
        async for chunk in _sent(30 * MIB):
            yield chunk

    async with asyncio.timeout(10):
        with pytest.raises(StorageTimeoutError):
            await backend.put("k", content())


@pytest.mark.parametrize("size", [3 * MIB, 12 * MIB])
async def test_a_slow_line_is_no_hang(backend: ObstoreBackend, relay: Relay, size: int) -> None:
    """A part may take longer than a store may be silent: while the store lives, a transfer takes what it takes."""
    relay.pause = 0.04
    async with asyncio.timeout(60):
        await backend.put("k", _sent(size))

    relay.pause = 0
    assert (await backend.head("k")).size == size


async def test_a_client_that_pauses_is_no_hang(backend: ObstoreBackend) -> None:
    """Nobody asks a store, nor gives it up, while it has nothing to do."""

    async def content() -> AsyncIterator[bytes]:
        async for chunk in _sent(7 * MIB):
            yield chunk
        await asyncio.sleep(2)
        yield b"x"

    assert (await backend.put("k", content())).size == 7 * MIB + 1


async def test_an_upload_that_is_cancelled_ends_soon_though_the_store_hangs(
    backend: ObstoreBackend, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who ends a process does not wait for a store."""
    monkeypatch.setattr("fastapi_filestore.storage.obstore.moving.put.UNDO_PATIENCE", 0.3)
    monkeypatch.setattr(liveness, "LOOK", 30.0)
    relay.talks.clear()
    task = asyncio.create_task(backend.put("k", _sent(30 * MIB)))
    await asyncio.sleep(0.3)
    task.cancel()
    async with asyncio.timeout(5):
        with pytest.raises(asyncio.CancelledError) as caught:
            await task

    assert "could not be removed" in caught.value.__notes__[0]


def test_the_defaults_add_up() -> None:
    """A store that hangs is given up, and what it may have is given up as well, within half a minute."""
    connecting = RETRY_TIMEOUT + CONNECT_TIMEOUT
    putting, deleting = timedelta(seconds=liveness.LOOK) + READ_TIMEOUT, READ_TIMEOUT

    assert RETRY_TIMEOUT < READ_TIMEOUT, "or a request that was not answered would be tried again"
    assert putting + deleting < LONGEST
    assert connecting + connecting < LONGEST
