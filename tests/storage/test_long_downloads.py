"""A download that lasts longer than the store, or what is between, lets an answer last: it is taken up again."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from fastapi_filestore.errors import ObjectNotFoundError, PreconditionFailedError, StorageError
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.relay import relayed
from tests.storage.stores import MIB, QUICK_RETRIES

BODY = b"".join(number.to_bytes(8, "big") for number in range(3 * MIB // 8))
NO_RETRIES = {"max_retries": 0}


def through(server: Any, endpoint: str, prefix: str, **options: Any) -> ObstoreBackend:
    """Return a backend that reaches a server by another endpoint."""
    given: dict[str, Any] = {
        "aws_endpoint": endpoint,
        "aws_access_key_id": server.access_key,
        "aws_secret_access_key": server.secret_key,
        "aws_region": server.region,
        "retry_config": NO_RETRIES,
    }
    return ObstoreBackend("s3", f"s3://{server.bucket}/{prefix}", **(given | options))


@pytest.fixture
async def prefix(seaweedfs: Any) -> str:
    """A prefix with an object of 3 MiB in it."""
    prefix = uuid4().hex
    await through(seaweedfs, seaweedfs.endpoint, prefix).put("k", BODY)
    return prefix


@pytest.mark.parametrize(("start", "end"), [(0, None), (5, 3 * MIB - 7)])
async def test_broken_answers(seaweedfs: Any, prefix: str, start: int, end: int | None) -> None:
    """Each answer that breaks off is followed by a request for the rest, until all bytes are there."""
    async with relayed(seaweedfs.endpoint) as relay:
        relay.cut = MIB
        stream = await through(seaweedfs, relay.endpoint, prefix).open("k", start=start, end=end)

        assert await stream.read() == BODY[start:end]
        assert len(relay.requests) > 1


async def test_a_limit_for_the_whole_answer(seaweedfs: Any, prefix: str) -> None:
    """Where a whole answer may last a second only, a reader who takes three gets every byte."""
    backend = through(seaweedfs, seaweedfs.endpoint, prefix, client_options={"timeout": 1}, retry_config=QUICK_RETRIES)
    read = bytearray()
    async for chunk in await backend.open("k"):
        read += chunk
        await asyncio.sleep(0.25)

    assert bytes(read) == BODY


async def test_an_object_that_changed(seaweedfs: Any, prefix: str) -> None:
    """Bytes of two states are never put together: the rest of a replaced or deleted object is refused."""
    straight = through(seaweedfs, seaweedfs.endpoint, prefix)
    for change, error in ((straight.put("k", b"y" * len(BODY)), PreconditionFailedError), (
        straight.delete("k"), ObjectNotFoundError,
    )):  # fmt: skip
        async with relayed(seaweedfs.endpoint) as relay:
            relay.cut = MIB
            stream = aiter(await through(seaweedfs, relay.endpoint, prefix).open("k"))
            await anext(stream)
            await change
            with pytest.raises(error):
                [chunk async for chunk in stream]


async def test_a_store_that_brings_nothing_more(seaweedfs: Any, prefix: str) -> None:
    """Answers that bring no byte are not asked for for ever."""
    async with relayed(seaweedfs.endpoint) as relay:
        relay.cut = MIB
        stream = aiter(await through(seaweedfs, relay.endpoint, prefix).open("k"))
        await anext(stream)
        await relay.closed.wait()
        relay.cut = 0
        with pytest.raises(StorageError):
            [chunk async for chunk in stream]

        assert len(relay.requests) <= 3


async def test_a_closed_stream_lets_go(seaweedfs: Any, prefix: str) -> None:
    """A stream that is closed half-way closes its connection to the store."""
    # More than fits on the way, or the answer might have come to its end already.
    await through(seaweedfs, seaweedfs.endpoint, prefix).put("big", bytes(48 * MIB))
    async with relayed(seaweedfs.endpoint) as relay:
        stream = await through(seaweedfs, relay.endpoint, prefix).open("big")
        await anext(aiter(stream))
        before = relay.closed.is_set()
        await stream.aclose()
        async with asyncio.timeout(5):
            await relay.closed.wait()

        assert not before
