"""Uploads of several segments become one object: once, by whichever process, and judged as a whole."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fastapi_filestore import ObstoreBackend, StorageBackend, WrappedBackend, storages
from fastapi_filestore.storage.backend import ObjectInfo, ObjectStream
from fastapi_filestore.storage.content import Content, read_content
from fastapi_filestore.testing import FaultyBackend
from fastapi_filestore.uploads.beginnings import forget
from tests.web.resumed.conftest import Open, held, stored
from tests.web.resumed.replicas import BACKEND, VERSION, Replica

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


@pytest.mark.parametrize("is_known", [True, False])
async def test_on_a_local_disk_no_byte_is_stored_twice_by_us(
    run: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_known: bool
) -> None:
    """The kernel joins the segments, and they are read for their digest only where other processes brought some."""
    backend = ObstoreBackend(BACKEND, tmp_path / "files")
    storages.register_backend(backend, replace=True)
    opened, open_ = list[str](), backend.open

    async def note(path: str, **range_: int) -> ObjectStream:
        opened.append(path)
        return await open_(path, **range_)

    monkeypatch.setattr(backend, "open", note)
    async with run() as site:
        path = await site.begin(10)
        for offset, content in ((0, b"0123"), (4, b"456"), (7, b"789")):
            await site.patch(path, offset, content)
            if not is_known:
                forget(path.rpartition("/")[2])
        monkeypatch.setattr(backend, "put", None)
        row = await site.client.post("/clips/", json={"upload": path.rpartition("/")[2]})
        opened_before = len(opened)
        file = await site.client.get(f"{row.headers['location']}/file")

        assert (row.status_code, file.content) == (201, b"0123456789")
        assert row.json()["file"]["checksum"] == sha256(b"0123456789").hexdigest()
        assert opened_before == (0 if is_known else 1)
        assert await stored(backend) == await held(site)


async def test_a_backend_around_another_one(run: Open, tmp_path: Path) -> None:
    """What changes bytes on their way puts them together itself: the bytes of its objects are not those of files."""
    storages.register_backend(Inverting(ObstoreBackend(BACKEND, tmp_path / "files")), replace=True)
    async with run() as site:
        path = await site.begin(10)
        for offset, content in ((0, b"0123"), (4, b"456789")):
            await site.patch(path, offset, content)

        assert (await site.claim(path)).content == b"0123456789"


class Inverting(WrappedBackend):
    """Stores bytes with all bits inverted, but for the first one of each object."""

    async def put(self, path: str, content: Content, **options: Any) -> ObjectInfo:
        """Store them so."""
        chunks = [chunk async for chunk in read_content(content).chunks()]
        return await self.inner.put(path, inverted(chunks), **options)

    async def open(self, path: str, *, start: int = 0, end: int | None = None) -> ObjectStream:
        """Read them so."""
        stream = await self.inner.open(path)
        content = inverted([chunk async for chunk in stream])[start:end]
        return ObjectStream(stream.info, start, start + len(content), iterated(content))


def inverted(chunks: list[bytes]) -> bytes:
    """Return bytes with all bits inverted, but for the first byte."""
    content = b"".join(chunks)
    return content[:1] + bytes(255 - byte for byte in content[1:])


async def iterated(content: bytes) -> AsyncIterator[bytes]:
    """Iterate bytes."""
    yield content
