"""Pages end at bytes, too: nothing is lost or shown twice, and what is not on a page is not in memory either."""

import gc
import weakref
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from fastapi_filestore import FileService, InvalidCursorError, StorageBackend
from fastapi_filestore.service.pages import MAX_CURSOR, STEP, size_of
from tests.servers.postgres import Postgres
from tests.service.engines import engine_of
from tests.web.models import Specimen
from tests.web.site import Site

KIB = "n" * 1024


class Specimens(FileService[Specimen]):
    """Specimens on pages of 10 KiB."""

    page_bytes = 10 * 1024


class ByRatio(Specimens):
    """The same by a column that many share."""

    order_by = "-ratio"


async def fill(place: Site, *notes: str) -> None:
    """Add specimens, one a note."""
    async with place.session() as session:
        session.add_all([Specimen(note=note, ratio=number % 3) for number, note in enumerate(notes)])
        outcome = session.commit()
        if outcome is not None:
            await outcome


async def pages(place: Site, service: type[FileService[Specimen]], **options: Any) -> list[list[int]]:
    """Return the ids on every page."""
    limit, found, after = options.pop("limit", 500), list[list[int]](), None
    while not found or after is not None:
        async with place.session() as session:
            page = await service(session, **options).list(limit=limit, after=after)
        found.append([row.id for row in page.items])
        after = page.next_cursor
    return found


@pytest.mark.parametrize("service", [Specimens, ByRatio])
@pytest.mark.parametrize("limit", [4, 50, 500])
async def test_a_page_ends_before_it_is_too_large(
    place: Site, service: type[FileService[Specimen]], limit: int
) -> None:
    """Rows past the limit of bytes come on the next page, each once, whatever the order."""
    await fill(place, *[KIB] * 40)
    found = await pages(place, service, limit=limit)
    ids = [identity for page in found for identity in page]

    assert len(ids) == len(set(ids)) == 40
    assert max(map(len, found)) == min(limit, 7)  # of 1.4 KiB each


async def test_a_cursor_has_a_limit(place: Site) -> None:
    """One that is longer than any URL is none, and nobody takes it to pieces."""
    async with place.session() as session:
        with pytest.raises(InvalidCursorError):
            await Specimens(session).list(after="a" * (MAX_CURSOR + 1))


async def test_a_page_has_a_row_at_least(place: Site) -> None:
    """A row that is larger than a page has one for itself, the last one, too."""
    await fill(place, "n", KIB * 11, KIB * 20, "n", KIB * 11)

    assert await pages(place, Specimens) == [[5], [4], [3], [2], [1]]


async def test_a_page_stays_in_its_scope(place: Site) -> None:
    """Pages of a scope have its rows, all of them, and end at bytes as others do."""
    await fill(place, *[KIB] * 40)
    found = await pages(place, ByRatio, scope=Specimen.ratio == 1)

    assert sorted(identity for page in found for identity in page) == list(range(2, 41, 3))
    assert len(found) == 2


@pytest.mark.parametrize("limit", [1, 50, 500])
async def test_a_page_is_one_statement(place: Site, limit: int) -> None:
    """However many rows it has, and wherever it ends."""
    await fill(place, *[KIB] * 70)
    statements: list[str] = []

    def note(*call: Any) -> None:
        statements.append(call[2])

    async with place.session() as session:
        service = Specimens(session)
        await service.list(limit=1)
        event.listen(engine_of(place), "before_cursor_execute", note)
        await service.list(limit=limit)
        event.remove(engine_of(place), "before_cursor_execute", note)

    assert len([each for each in statements if each.startswith("SELECT")]) == len(statements) == 1


async def test_what_is_not_on_a_page_is_not_in_memory(place: Site) -> None:
    """A page of 500 rows that ends at its seventh has made few of the others into objects, and keeps none."""
    await fill(place, *[KIB] * 400)
    made: list[Any] = []

    def note(target: Any, _: Any) -> None:
        made.append(weakref.ref(target))

    event.listen(Specimen, "load", note)
    async with place.session() as session:
        page = await Specimens(session).list(limit=500)
        gc.collect()
        kept = [ref for ref in made if ref() is not None]
    event.remove(Specimen, "load", note)

    assert len(page.items) == len(kept) == 7
    assert len(made) <= STEP


@pytest.mark.parametrize("level", ["AUTOCOMMIT", "READ COMMITTED"])
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_page_of_postgres(
    postgres_database: Postgres, backend: StorageBackend, driver: str, level: Any
) -> None:
    """A driver whose cursors have names has the same pages, and so has a session that commits by itself."""
    engine = create_async_engine(postgres_database.url(f"postgresql+{driver}"), isolation_level=level)
    async with AsyncSession(engine) as session:
        session.add_all([Specimen(note=KIB) for _ in range(20)])
        await session.commit()
        page = await Specimens(session).list(limit=500)
        rest = await Specimens(session).list(limit=500, after=page.next_cursor)
    await engine.dispose()

    assert (len(page.items), len(rest.items)) == (7, 7)


@pytest.mark.parametrize("level", ["AUTOCOMMIT", "READ COMMITTED"])
async def test_a_page_of_a_plain_session(postgres_database: Postgres, backend: StorageBackend, level: Any) -> None:
    """A session that is not asynchronous reads pages of PostgreSQL likewise."""
    engine = create_engine(postgres_database.url("postgresql+psycopg"), isolation_level=level)
    with Session(engine) as session:
        session.add_all([Specimen(note=KIB) for _ in range(20)])
        session.commit()
        page = await Specimens(session).list(limit=500)
        session.rollback()
    engine.dispose()

    assert (len(page.items), page.next_cursor is None) == (7, False)


@pytest.mark.parametrize(
    ("values", "least"),
    [
        ({"note": "\u00fc" * 1000}, 2000),
        ({"note": "\0" * 1000}, 6000),
        ({"note": "\ud800" * 1000}, 6000),
        ({"blob": b"b" * 3000}, 4000),
        ({"meta": {"key": ["v" * 1000]}}, 1000),
        ({"meta": {"key": float("nan")}}, 1),
        ({"meta": {"key": {1, 2}}}, 1),
        ({"ratio": Decimal("9" * 5000)}, 5000),
        ({"meta": {"key": [[]] * 100}}, 4000),
    ],
)
def test_a_row_is_as_large_as_its_answer(values: dict[str, Any], least: int) -> None:
    """Text counts as it is written in JSON, bytes as base64, whatever a row holds."""
    size = size_of(Specimen(**values))

    assert least <= size <= least * 1.2 + 600
