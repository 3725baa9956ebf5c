"""Rows that go while bytes move, and stores that are down: what the service leaves, and what it says."""

from typing import Any

import pytest

from fastapi_filestore import (
    FileNotSetError,
    RowNotFoundError,
    StaleRowError,
    StorageUnavailableError,
    storages,
)
from fastapi_filestore.testing import FaultyBackend
from tests.service.documents import documents, file
from tests.web.site import Site


@pytest.mark.parametrize("identity", [1, 10**30])
async def test_an_unknown_row_is_an_error_before_bytes_move(place: Site, identity: int) -> None:
    """Every method that takes an id says that there is none; nothing is stored for it."""
    async with documents(place) as service:
        for call in (
            lambda: service.get(identity),
            lambda: service.require(identity),
            lambda: service.update(identity, {"title": "u"}),
            lambda: service.replace(identity, file()),
            lambda: service.delete(identity),
            lambda: service.file(identity),
            lambda: service.open(identity),
            lambda: service.url(identity),
        ):
            with pytest.raises(RowNotFoundError):
                await call()
            await service.rollback()

    await place.check_empty()


@pytest.mark.parametrize("values", [{"title": "u"}, {"file": b"new"}, {"title": "u", "file": b"new"}])
async def test_a_row_that_goes_meanwhile_is_a_conflict(place: Site, values: dict[str, Any]) -> None:
    """A row that another session deletes after it was read can't be changed; the new bytes go, too."""
    async with documents(place) as service, documents(place) as other:
        async with service.unit_of_work():
            identity = (await service.create({"title": "t", "file": file()})).id
        row = await service.get(identity)
        async with other.unit_of_work():
            await other.delete(identity)
        with pytest.raises(StaleRowError, match="changed or deleted"):
            async with service.unit_of_work():
                await service.update(row.id, {name: file(x) if name == "file" else x for name, x in values.items()})

    await place.check_empty()


async def test_a_row_that_goes_while_bytes_move_is_missing(place: Site) -> None:
    """A row that is deleted during the upload of its new file is not found, and the bytes go."""
    async with documents(place) as service, documents(place) as other:
        async with service.unit_of_work():
            identity = (await service.create({"title": "t", "file": file()})).id

        class Racing(FaultyBackend):
            async def put(self, *arguments: Any, **options: Any) -> Any:
                async with other.unit_of_work():
                    await other.delete(identity)
                return await super().put(*arguments, **options)

        storages.register_backend(Racing(place.backend, lambda *_: False), replace=True)
        with pytest.raises(RowNotFoundError):
            async with service.unit_of_work():
                await service.replace(identity, file(b"new"))

    await place.check_empty()


async def test_a_connection_is_given_back_before_bytes_move(place: Site) -> None:
    """While the store works, the session is in no transaction: on create, and on replace."""
    seen: list[bool] = []
    async with documents(place) as service:
        session: Any = service.session

        def look(_: int, operation: str) -> bool:
            if operation == "put":
                seen.append(session.in_transaction())
            return False

        storages.register_backend(FaultyBackend(place.backend, look), replace=True)
        async with service.unit_of_work():
            row = await service.create({"title": "t", "file": file()})
            identity = row.id
        async with service.unit_of_work():
            await service.replace(identity, file())

    assert seen == [False, False]


async def test_a_store_that_is_down_leaves_the_old_file(place: Site) -> None:
    """A replacement whose bytes can't be stored changes nothing."""
    async with documents(place) as service:
        async with service.unit_of_work():
            identity = (await service.create({"title": "t", "file": file(b"old")})).id
        storages.register_backend(FaultyBackend(place.backend, lambda _, name: name == "put"), replace=True)
        with pytest.raises(StorageUnavailableError):
            async with service.unit_of_work():
                await service.replace(identity, file(b"new"))

        assert await (await service.open(identity)).read() == b"old"


async def test_an_empty_column_is_an_error_of_its_own(place: Site) -> None:
    """A row without a file can be filled, and emptied again."""
    async with documents(place) as service:
        async with service.unit_of_work():
            identity = (await service.create({"title": "t"})).id
        with pytest.raises(FileNotSetError):
            await service.file(identity)
        async with service.unit_of_work():
            await service.replace(identity, file())
        async with service.unit_of_work():
            await service.update(identity, {"file": None})

    assert await place.keys() == set()
