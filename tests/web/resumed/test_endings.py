"""Requests that end in the middle of an upload: what came is kept, or nothing of it where the bytes must be whole."""

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from fastapi_filestore import StorageBackend, storages
from fastapi_filestore.testing import FaultyBackend
from tests.web.resumed.conftest import Open, held, remembered, stored
from tests.web.resumed.replicas import Replica

EVERYWHERE = pytest.mark.parametrize(
    ("url", "backend"),
    [
        ("sqlite+aiosqlite", "local"),
        ("sqlite", "memory"),
        ("postgresql+asyncpg", "seaweedfs"),
        ("postgresql+psycopg", "memory"),
    ],
    indirect=True,
)
CONTENT = b"0123456789"


@contextmanager
def failing(site: Replica, what: str) -> Iterator[None]:
    """Let the database be away for statements that begin so, or for each COMMIT."""

    def fail(*arguments: Any) -> None:
        statement = next((argument for argument in arguments if isinstance(argument, str)), "COMMIT")
        if statement.startswith(what):
            raise OperationalError(
                statement, {}, Exception("server closed the connection"), connection_invalidated=True
            )

    name = "commit" if what == "COMMIT" else "before_cursor_execute"
    event.listen(site.engine, name, fail)
    try:
        yield
    finally:
        event.remove(site.engine, name, fail)


def checksum(content: bytes) -> str:
    """Return the value of Upload-Checksum."""
    return f"sha256 {b64encode(sha256(content).digest()).decode()}"


@EVERYWHERE
async def test_a_client_that_vanishes(site: Replica) -> None:
    """What came of it is kept, again and again, and the upload is whole in the end."""
    path = await site.begin(10)
    for offset, content in ((0, b"012"), (3, b"3456")):
        sending = site.sending(path, offset, content)
        await sending.read()
        sending.vanish()
        await sending.end()

        assert await site.offset(path) == offset + len(content)
    assert (await site.patch(path, 7, b"789")).status_code == 204
    assert (await site.claim(path)).content == CONTENT


async def test_a_client_that_says_nothing_before_it_goes(site: Replica) -> None:
    """It leaves the upload as it was, free for the next one at once."""
    path = await site.begin(10)
    sending = site.sending(path, 0)
    sending.vanish()
    await sending.end()

    assert await site.offset(path) == 0
    assert (await site.patch(path, 0, CONTENT)).status_code == 204


@pytest.mark.parametrize("pace", [{"upload_silence": 0.2}, {"upload_rate_seconds": 0.2}])
async def test_a_client_that_is_too_slow(run: Open, pace: dict[str, float]) -> None:
    """What came of it is kept when it is cut off."""
    async with run(**pace) as site:
        path = await site.begin(10)
        sending = site.sending(path, 0, b"012")
        await sending.end()

        assert await site.offset(path) == 3
        assert (await site.patch(path, 3, b"3456789")).status_code == 204


@EVERYWHERE
async def test_a_request_that_is_cancelled(site: Replica) -> None:
    """A server that ends cancels it: what came is kept before it ends."""
    path = await site.begin(10)
    sending = site.sending(path, 0, b"0123")
    await sending.read()
    await asyncio.sleep(0.05)
    sending.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending.end()

    assert await site.offset(path) == 4
    assert (await site.patch(path, 4, b"456789")).status_code == 204
    assert (await site.claim(path)).content == CONTENT


@EVERYWHERE
@pytest.mark.parametrize("more", [False, True], ids=["wrong", "broken off"])
async def test_bytes_with_a_checksum_are_all_or_none(site: Replica, backend: StorageBackend, more: bool) -> None:
    """Those of another checksum, or that broke off, leave no byte and no object."""
    path = await site.begin(10)
    sending = site.sending(path, 0, Upload_Checksum=checksum(CONTENT))
    sending.send(b"01234" if more else b"abcdefghij", more=more)
    if more:
        sending.vanish()
    status = await sending.end()

    assert status == (499 if more else 460)
    assert (await site.offset(path), await stored(backend)) == (0, set())
    right = await site.patch(path, 0, CONTENT, Upload_Checksum=checksum(CONTENT))
    assert right.status_code == 204
    assert (await site.claim(path)).content == CONTENT


@pytest.mark.parametrize("after", [False, True], ids=["before", "after the work"])
async def test_a_store_that_fails(run: Open, backend: StorageBackend, after: bool) -> None:
    """The offset is what it was, no object is left, and the next request is as welcome."""
    storages.unregister_backend(backend.key)
    faulty = FaultyBackend(backend, lambda number, operation: operation == "put" and number < 3, after=after)
    storages.register_backend(faulty)
    async with run() as site:
        path = await site.begin(10)
        failed = await site.patch(path, 0, CONTENT)

        assert (failed.status_code, await site.offset(path), await stored(backend)) == (503, 0, set())
        while (await site.patch(path, 0, CONTENT)).status_code != 204:
            assert len(faulty.calls) < 20
        assert await stored(backend) == await held(site)


@pytest.mark.parametrize("url", ["sqlite+aiosqlite", "sqlite", "postgresql+asyncpg"], indirect=True)
@pytest.mark.parametrize("what", ["UPDATE filestore_uploads", "INSERT INTO filestore_segments", "COMMIT"])
async def test_a_database_that_is_away_after_the_object(site: Replica, backend: StorageBackend, what: str) -> None:
    """Nothing is kept of it, in either of them, and the client sends it again."""
    path = await site.begin(10)
    sending = site.sending(path, 0, CONTENT[:4])
    await sending.read()
    with failing(site, what):
        sending.send(CONTENT[4:], more=False)
        status = await sending.end()

    left = await stored(backend)

    assert (status, await site.offset(path)) == (503, 0)
    assert left <= await remembered(site)  # of a COMMIT without an answer nobody knows
    assert (await site.patch(path, 0, CONTENT)).status_code == 204
    assert (await site.claim(path)).content == CONTENT


async def test_an_upload_is_kept_by_segments(run: Open, backend: StorageBackend) -> None:
    """By the setting, what has come is kept while the request goes on, and is one file in the end."""
    async with run(upload_segment=4) as site:
        path = await site.begin(10)
        sending = site.sending(path, 0, b"01")
        sending.send(b"23456789", more=True)
        await sending.read()
        first = await site.offset(path)
        for _ in range(1000):
            if (first := await site.offset(path)) == 8:
                break
            await asyncio.sleep(0.01)
        sending.send(b"", more=False)
        status = await sending.end()

        assert (first, status, await site.offset(path)) == (8, 204, 10)
        assert len(await stored(backend)) == 3
        assert (await site.claim(path)).content == CONTENT
        assert await stored(backend) == await held(site)


async def test_a_checksum_is_of_all_segments(run: Open, backend: StorageBackend) -> None:
    """What must be whole is kept as a whole, whatever the setting says."""
    async with run(upload_segment=4) as site:
        path = await site.begin(10)
        refused = await site.patch(path, 0, b"abcdefghij", Upload_Checksum=checksum(CONTENT))

        assert (refused.status_code, await site.offset(path), await stored(backend)) == (460, 0, set())
        assert (await site.patch(path, 0, CONTENT, Upload_Checksum=checksum(CONTENT))).status_code == 204


async def test_too_many_bytes_are_refused_after_the_segments_before(run: Open) -> None:
    """More than was announced is refused; the segments that were kept before stay."""
    async with run(upload_segment=4) as site:
        path = await site.begin(10)
        sending = site.sending(path, 0, b"0123")
        await sending.read()
        sending.send(b"456789ab", more=False)

        assert await sending.end() == 413
        assert await site.offset(path) == 4
        assert (await site.patch(path, 4, b"456789")).status_code == 204
