"""Uploads that failed and could not be undone: the ledger knows of what they left till it is gone."""

import errno
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fastapi_filestore import FileObject, ObstoreBackend, StorageError, storages
from tests.maintenance.conftest import Site, pending
from tests.maintenance.unfinished import bucket, make
from tests.storage.conftest import boto
from tests.storage.relay import relayed

__all__ = ["boto", "bucket"]
SITES = ["sqlite-async", "postgres-sync"]
MIB = 1024 * 1024


class GoneError(Exception):
    """The content's own error."""


async def broken_off(pieces: int, then: Callable[[], object]) -> AsyncIterator[bytes]:
    """Yield some MiB, then do something, and break off."""
    for _ in range(pieces):
        yield bytes(MIB)
    then()
    raise GoneError


async def add_others(site: Site) -> None:
    """Commit as many rows as make the ledger forget what it has been told to."""
    for _ in range(3):
        await site.add()


async def check_nothing_stays(site: Site, backend: ObstoreBackend) -> None:
    """Let every intent fall due: the sweep leaves no more than the rows' objects."""
    await site.let_fall_due()
    await site.sweep()
    unfinished = [one.path async for one in backend.unfinished_uploads()]
    held = {info.path async for info in backend.list()}

    assert unfinished == []
    assert [one.kind.value for one in await site.audit()] == []
    assert len(held) == 3


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the disk be as a kernel leaves it that could not write: what is there stays, and nothing is confirmed."""

    def begin() -> None:
        def refuse(number: int) -> Any:
            def refused(*_: Any, **__: Any) -> None:
                raise OSError(number, os.strerror(number))

            return refused

        for name, number in (("fdatasync", errno.EIO), ("fsync", errno.EIO), ("unlink", errno.EROFS)):
            monkeypatch.setattr(os, name, refuse(number))

    return begin


@pytest.mark.parametrize("site", SITES, indirect=True)
async def test_a_disk_that_is_read_only_now(
    site: Site, shelf: ObstoreBackend, read_only: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program hears what failed first; what could not be removed is, once that can be done again."""
    read_only()
    with pytest.raises(StorageError, match=r"'shelf' in .* did not confirm .* EIO") as caught:
        await site.add()
    monkeypatch.undo()
    assert len(site.objects()) == 1
    assert "may be there still" in " ".join(caught.value.__notes__)
    await add_others(site)

    await check_nothing_stays(site, shelf)


@pytest.mark.parametrize("site", SITES, indirect=True)
@pytest.mark.parametrize("pieces", [1, 8])
async def test_content_that_breaks_off_on_such_a_disk(
    site: Site, shelf: ObstoreBackend, read_only: Callable[[], None], monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    """That it is the content's own error says nothing of what is left."""
    with pytest.raises(GoneError):
        await site.add(file=FileObject(filename="a.bin", content=broken_off(pieces, read_only)))
    monkeypatch.undo()
    await add_others(site)

    await check_nothing_stays(site, shelf)


@pytest.mark.parametrize("site", SITES, indirect=True)
async def test_content_that_breaks_off_while_the_store_is_away(
    site: Site, bucket: ObstoreBackend, seaweedfs: Any
) -> None:
    """A multipart upload that could not be aborted is, by the sweep of its intent."""
    async with relayed(seaweedfs.endpoint) as relay:
        away = make(seaweedfs, "shelf", aws_endpoint=relay.endpoint, retry_config={"max_retries": 0})
        storages.register_backend(away, replace=True)

        def leave() -> None:
            relay.is_away = True

        with pytest.raises(GoneError):
            await site.add(file=FileObject(filename="a.bin", content=broken_off(16, leave)))
        relay.is_away = False
        assert len([one async for one in away.unfinished_uploads()]) == 1
        await add_others(site)

        await check_nothing_stays(site, away)


@pytest.mark.parametrize("site", SITES, indirect=True)
async def test_content_that_breaks_off(site: Site, shelf: ObstoreBackend) -> None:
    """Where all was undone the ledger has nothing to remember."""
    with pytest.raises(GoneError):
        await site.add(file=FileObject(filename="a.bin", content=broken_off(8, lambda: None)))
    await site.add(file=pending())

    assert len(site.objects()) == 1
    assert not await site.intents() & site.objects()
