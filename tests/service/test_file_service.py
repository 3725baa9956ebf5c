"""`FileService` by itself: rows and files through sessions of every kind."""

import asyncio
from typing import Any

import pytest

from fastapi_filestore import (
    ConfigurationError,
    FileService,
    InvalidCursorError,
    InvalidFieldsError,
    ObjectNotFoundError,
    RowConflictError,
    SigningUnavailableError,
    UnsupportedContentError,
)
from tests.service.documents import Documents, documents, file
from tests.web.models import Album, Document
from tests.web.site import Site


async def test_a_row_lives_and_dies_with_its_file(place: Site) -> None:
    """Create, get, open, replace and delete, each committed."""
    async with documents(place) as service:
        row = await service.create({"title": "t", "file": file(b"hello")})
        await service.commit()
        identity = (await service.list()).items[0].id
        ranged = await (await service.open(identity, start=1, end=3)).read()
        await service.replace(identity, file(b"new"))
        await service.commit()
        replaced = await (await service.open(identity)).read()

        assert row is await service.get(identity)
        assert (ranged, replaced, len(await place.keys())) == (b"el", b"new", 1)
        await service.delete(identity)
        await service.commit()
    await place.check_empty()


async def test_nothing_is_kept_without_a_commit(place: Site) -> None:
    """A session that is closed, or rolled back, leaves neither rows nor bytes."""
    async with documents(place) as service:
        await service.create({"title": "t", "file": file()})
        await service.rollback()
        await service.create({"title": "t", "file": file()})

    await place.check_empty()


async def test_a_unit_of_work_commits_or_undoes(place: Site) -> None:
    """Its block is kept as a whole, or not at all; the session works on after an error."""
    async with documents(place) as service:
        with pytest.raises(ZeroDivisionError):
            await fail_after_create(service)
        await place.check_empty()
        async with service.unit_of_work():
            await service.create({"title": "t", "file": file()})

    assert (await place.rows(), len(await place.keys())) == (1, 1)


async def fail_after_create(service: Documents) -> None:
    """Create a row in a unit of work that fails."""
    async with service.unit_of_work():
        await service.create({"title": "t", "file": file()})
        raise ZeroDivisionError


async def test_a_cancelled_unit_of_work_is_undone(place: Site) -> None:
    """Whoever cancels a request in the middle leaves nothing behind."""
    created = asyncio.Event()

    async def work() -> None:
        async with documents(place) as service, service.unit_of_work():
            await service.create({"title": "t", "file": file()})
            created.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await created.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await place.check_empty()


async def test_a_conflict_undoes_the_bytes(place: Site) -> None:
    """A row that the database refuses leaves no object, and the session is usable after a rollback."""
    async with documents(place) as service:
        async with service.unit_of_work():
            await service.create({"title": "t", "file": file()})
        with pytest.raises(RowConflictError):
            async with service.unit_of_work():
                await service.create({"title": "t", "file": file()})

        assert len(await place.keys()) == 1
        assert len((await service.list()).items) == 1


@pytest.mark.parametrize("values", [{"title": "t", "pages": 10**30}, {"title": "t", "pages": 10**30, "file": None}])
async def test_a_value_that_the_column_cannot_hold_is_refused(place: Site, values: dict[str, Any]) -> None:
    """A number out of range is an InvalidFieldsError in every database, and the bytes go."""
    async with documents(place) as service:
        with pytest.raises(InvalidFieldsError, match="out of range"):
            async with service.unit_of_work():
                await service.create({"file": file()} | values)

    await place.check_empty()


async def test_what_the_model_lacks_is_refused(place: Site) -> None:
    """Attributes that the model has not, and values that are no file, are errors before anything is stored."""
    async with documents(place) as service:
        with pytest.raises(InvalidFieldsError, match="nonsense"):
            await service.create({"title": "t", "nonsense": 1, "file": file()})
        with pytest.raises(InvalidFieldsError, match="nonsense"):
            await service.update(1, {"nonsense": 1, "file": file()})
        with pytest.raises(UnsupportedContentError):
            await service.create({"title": "t", "file": "path"})

    await place.check_empty()


async def test_a_url_needs_a_signer(place: Site) -> None:
    """A store that can't presign says what to do."""
    async with documents(place) as service:
        async with service.unit_of_work():
            identity = (await service.create({"title": "t", "file": file()})).id
        with pytest.raises(SigningUnavailableError):
            await service.url(identity)


async def test_bytes_that_are_gone_are_an_error(place: Site) -> None:
    """Opening a file whose object is missing says so; deleting its row works."""
    async with documents(place) as service:
        async with service.unit_of_work():
            identity = (await service.create({"title": "t", "file": file()})).id
        await place.backend.delete(*await place.keys())
        with pytest.raises(ObjectNotFoundError):
            await service.open(identity)
        async with service.unit_of_work():
            await service.delete(identity)

    await place.check_empty()


def test_a_service_must_know_its_model() -> None:
    """A plain FileService needs `model=`."""
    session: Any = None
    with pytest.raises(ConfigurationError, match="model="):
        FileService(session)

    assert FileService(session, model=Album).model is Album
    assert Documents(session).model is Document


@pytest.mark.parametrize(
    ("order", "remedy"), [("nonsense", "no such column"), ("title,-none", "'none'"), ("file", "no order")]
)
async def test_an_order_that_is_none_is_refused(place: Site, order: str, remedy: str) -> None:
    """A column that is not there, or holds files, orders no pages."""
    async with documents(place) as service:
        service.order_by = order
        with pytest.raises(ConfigurationError, match=remedy):
            await service.list()


@pytest.mark.parametrize("order", ["created_at", "-created_at", "kind", "-title", "signed"])
async def test_pages_are_whole_in_every_order(place: Site, order: str) -> None:
    """Rows that share a time, an enum or a flag are each on one page, in every database."""
    async with documents(place) as service:
        service.order_by = order
        async with service.unit_of_work():
            for number in range(5):
                await service.create({"title": f"t{number}", "signed": number % 2 == 0})
        found, after = [], None
        for _ in range(9):
            page = await service.list(limit=2, after=after)
            found += [row.title for row in page.items]
            after = page.next_cursor
            if after is None:
                break

    assert sorted(found) == [f"t{number}" for number in range(5)]
    assert len(found) == 5


async def test_a_cursor_of_another_order_is_refused(place: Site) -> None:
    """A cursor belongs to its order."""
    async with documents(place) as service:
        async with service.unit_of_work():
            for number in range(3):
                await service.create({"title": f"t{number}"})
        cursor = (await service.list(limit=1)).next_cursor
        service.order_by = "title"
        with pytest.raises(InvalidCursorError):
            await service.list(after=cursor)
