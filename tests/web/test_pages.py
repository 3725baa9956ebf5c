"""Listings through the router: whole, in order, and steady while rows come and go."""

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from fastapi_filestore import FileService, Filestore
from tests.servers.postgres import Postgres
from tests.web.conftest import Serve
from tests.web.models import Article, Document, Specimen, Ticket
from tests.web.site import Site, problem_in


class ByTitle(FileService[Document]):
    """Documents from A to Z."""

    order_by = "title"


class ByKindBackwards(FileService[Document]):
    """Documents by a column that many share, last first."""

    order_by = "-created_at"


def ordered(service: type[FileService[Document]]) -> Any:
    """Mount the documents with a service that orders them."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Document, service=files.service(service)), prefix="/documents")

    return build


async def fill(site: Site, *titles: str) -> None:
    """Add documents without a file."""
    async with site.session() as session:
        session.add_all([Document(title=title) for title in titles])
        await session.commit()


async def walk(client: AsyncClient, url: str = "/documents/", limit: int = 2) -> list[Any]:
    """Read every page."""
    items: list[Any] = []
    after = None
    for _ in range(20):
        page = (await client.get(url, params={"limit": limit} | ({"after": after} if after else {}))).json()
        items += page["items"]
        after = page["next_cursor"]
        if after is None:
            return items
    raise AssertionError("there are more pages than rows")


TITLES = ("delta", "alpha", "echo", "bravo", "charlie")


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (FileService[Document], list(reversed(TITLES))),
        (ByTitle, sorted(TITLES)),
        (ByKindBackwards, list(reversed(TITLES))),
    ],
)
async def test_pages_are_the_whole_in_order(serve: Serve, service: Any, expected: list[str], limit: int) -> None:
    """Every row is on one page, ties included, and the last page has no cursor."""
    build = None if service == FileService[Document] else ordered(service)
    async with serve(**({"build": build} if build else {})) as site:
        await fill(site, *TITLES)

        assert [row["title"] for row in await walk(site.client, limit=limit)] == expected


async def test_pages_are_the_whole_on_postgres(serve: Serve, postgres_database: Postgres) -> None:
    """A time with a zone, and ties within it, survive the cursor."""
    url = postgres_database.url("postgresql+asyncpg")
    async with serve(url, build=ordered(ByKindBackwards)) as site:
        await fill(site, *TITLES)

        assert [row["title"] for row in await walk(site.client)] == list(reversed(TITLES))


async def test_pages_are_steady_while_rows_come_and_go(site: Site) -> None:
    """Rows added or deleted between two pages neither repeat nor hide the others."""
    await fill(site, *TITLES)
    first = (await site.client.get("/documents/?limit=2")).json()
    await fill(site, "new")
    await site.client.delete(f"/documents/{first['items'][1]['id']}")
    second = (await site.client.get("/documents/", params={"after": first["next_cursor"]})).json()

    assert [row["title"] for row in second["items"]] == ["echo", "alpha", "delta"]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("model", [Ticket, Article])
async def test_keys_of_other_types_are_paged(serve: Serve, model: Any) -> None:
    """UUIDs and text order pages as integers do."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(model), prefix="/rows")

    async with serve(build=build) as site:
        for number in range(5):
            fields = {"title": "t"} if model is Ticket else {"slug": f"ü{number}"}
            await site.client.post("/rows/", files={"file": ("a", b"a")}, data=fields)
        keys = [row["id" if model is Ticket else "slug"] for row in await walk(site.client, "/rows/")]

        assert keys == sorted(keys, reverse=True)
        assert len(set(keys)) == 5


# In ascending order; SQLite has no NaN.
ODD: dict[str, list[Any]] = {
    "ratio": [float("-inf"), 0.5, float("inf"), float("nan")],
    "weight": [Decimal("-Infinity"), Decimal(1), Decimal("Infinity"), Decimal("NaN")],
    "mark": [b"\x00\xff", b"a", b"\xfe", b"\xff\xfe"],
}


@pytest.mark.parametrize("driver", ["sqlite+aiosqlite", "postgresql+asyncpg"])
@pytest.mark.parametrize("order", [f"{sign}{name}" for name in ODD for sign in ("", "-")])
async def test_values_that_json_has_no_word_for_are_paged(
    serve: Serve, order: str, driver: str, request: pytest.FixtureRequest
) -> None:
    """A cursor leads on from numbers that are none, and from bytes that are no text, which others wrote into rows."""
    url = request.getfixturevalue("postgres_database").url(driver) if "postgres" in driver else None
    name = order.lstrip("-")
    values = ODD[name][: 4 if url or name == "mark" else 3]

    class Ordered(FileService[Specimen]):
        order_by = order

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Specimen, service=files.service(Ordered)), prefix="/specimens")

    async with serve(url, build=build) as site:
        async with site.session() as session:
            session.add_all([Specimen(**{name: value}) for value in reversed(values)])
            await session.commit()
        found = [row["id"] for row in await walk(site.client, "/specimens/", limit=1)]

    assert found == sorted(found, reverse=not order.startswith("-"))
    assert len(found) == len(values)


async def test_an_empty_listing_is_one_empty_page(site: Site) -> None:
    """No rows are no error."""
    assert (await site.client.get("/documents/")).json() == {"items": [], "next_cursor": None}


def cursor(value: object) -> str:
    """Forge a cursor."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


GARBAGE = [
    "", "x", "%", "\u00fc", "....", "a" * 5000, cursor([]), cursor(["x"]), cursor([1, 2]), cursor(None),
    cursor([None]), cursor([10**30]), cursor({"id": 1}), "W1td", cursor([[[[]]]]),
]  # fmt: skip


@pytest.mark.parametrize("after", GARBAGE)
async def test_a_garbage_cursor_is_a_problem(site: Site, after: str) -> None:
    """A cursor that this listing did not make is a 422."""
    await fill(site, "t")

    problem_in(await site.client.get("/documents/", params={"after": after}), 422, "invalid-cursor")


@pytest.mark.parametrize("values", [[10**12], [2**31]])
async def test_a_cursor_beyond_the_columns_range_is_a_problem(
    serve: Serve, postgres_database: Postgres, values: list[object]
) -> None:
    """PostgreSQL's refusal of a forged value is the same 422."""
    async with serve(postgres_database.url("postgresql+asyncpg")) as site:
        problem_in(await site.client.get("/documents/", params={"after": cursor(values)}), 422, "invalid-cursor")


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 501}, {"limit": "x"}])
async def test_a_limit_out_of_range_is_a_problem(site: Site, query: dict[str, Any]) -> None:
    """A page has between 1 and 500 rows."""
    problem_in(await site.client.get("/documents/", params=query), 422, "invalid-fields")
