"""Uploads of several segments become one object: once, by whichever process, and judged as a whole."""

import asyncio

import pytest

from fastapi_filestore import StorageBackend, storages
from fastapi_filestore.testing import FaultyBackend
from tests.web.resumed.conftest import Open, held, stored
from tests.web.resumed.replicas import VERSION, Replica

PAIRS = [("sqlite+aiosqlite", "local"), ("sqlite", "memory"), ("postgresql+asyncpg", "seaweedfs")]
EVERYWHERE = pytest.mark.parametrize(("url", "backend"), PAIRS, indirect=True)


async def parts_of(site: Replica, *contents: bytes) -> list[str]:
    """Upload some parts and return their paths."""
    paths = [await site.begin(len(content), Upload_Concat="partial") for content in contents]
    for path, content in zip(paths, contents, strict=True):
        assert (await site.patch(path, 0, content)).status_code == 204
    return paths


async def join(site: Replica, *paths: str) -> str:
    """Begin an upload that is made of others."""
    return await site.begin(-1, Upload_Concat=f"final;{' '.join(paths)}")


@EVERYWHERE
async def test_two_processes_put_it_together_once(run: Open, backend: StorageBackend) -> None:
    """Both are asked for it at the same time: one does it, the other one waits, and one row has it."""
    storages.unregister_backend(backend.key)
    storages.register_backend(counted := FaultyBackend(backend, lambda number, operation: False, delay=0.2))
    async with run() as site, run() as other:
        path = await site.begin(10)
        for offset, content in ((0, b"0123"), (4, b"456789")):
            await site.patch(path, offset, content)
        counted.calls.clear()
        answers = await asyncio.gather(*(each.client.post(f"{path}/complete") for each in (site, other)))

        assert [answer.json().get("state") for answer in answers] == ["complete"] * 2, [a.text for a in answers]
        assert counted.calls.count("put") == 1
        assert await stored(backend) == await held(site)
        assert (await other.claim(path)).content == b"0123456789"


@EVERYWHERE
async def test_a_part_of_two(site: Replica) -> None:
    """A part that two uploads are made of stays until both have it."""
    one, two = await parts_of(site, b"0123", b"456789")
    first, second = await join(site, one, two), await join(site, two, one)

    assert (await site.claim(first)).content == b"0123456789"
    assert (await site.claim(second)).content == b"4567890123"
    assert [await site.offset(path) for path in (one, two)] == [-404, -404]


async def test_a_part_that_is_gone(site: Replica) -> None:
    """What is made of a part that was ended meanwhile is refused, and nothing is left of it once that ends, too."""
    one, two = await parts_of(site, b"0123", b"456789")
    final = await join(site, one, two)
    await site.client.delete(one, headers=VERSION)
    refused = await site.client.post("/clips/", json={"upload": final.rpartition("/")[2]})

    assert refused.status_code == 409, refused.text
    assert refused.json()["type"].endswith("upload-part")
    for path in (final, two):
        assert (await site.client.delete(path, headers=VERSION)).status_code == 204
