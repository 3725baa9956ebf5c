"""What a process refuses, or fails to store, leaves nothing behind for a sweeper to look at."""

from collections.abc import Iterator

import pytest

from fastapi_filestore import FileObject
from fastapi_filestore.orm.ledger.ledger import DEFAULT_BLOCK
from fastapi_filestore.orm.ledger.reservations import release_reservations
from tests.maintenance.conftest import Site, pending


def broken() -> FileObject:
    """Return a file whose content fails half-way."""

    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise ValueError("That was all.")

    return FileObject(filename="a.txt", content=pieces())


async def _fail(site: Site) -> None:
    async with site.service() as service:
        with pytest.raises(ValueError, match="That was all"):
            async with service.unit_of_work():
                await service.create({"file": broken()})


async def test_keys_of_refused_content_are_forgotten_with_the_next_block(site: Site) -> None:
    """Whoever is refused again and again does not make the ledger grow: there is one block of keys in it."""
    for _ in range(70):
        await _fail(site)

    assert len(await site.intents()) <= DEFAULT_BLOCK


async def test_keys_of_refused_content_are_forgotten_in_the_end(site: Site) -> None:
    """An application that stops has no intents of what it refused."""
    await _fail(site)
    await release_reservations()

    assert await site.intents() == site.objects() == set()


async def test_a_file_stored_in_vain_under_a_lock(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """An error under SQLite's write lock does not wait for the lock: the intent is forgotten once it is given up."""
    row = await site.add()

    async def refuse() -> None:
        async with site.service() as service, service.unit_of_work(), service.storing(pending(), field="file"):
            await service.lock_file(row.id, field="file")
            raise ValueError("Too late.")

    with pytest.raises(ValueError, match="Too late"):
        await refuse()
    await release_reservations()

    assert caplog.messages == []
    assert site.objects() == {row.file.path}
    assert await site.intents() == set()
