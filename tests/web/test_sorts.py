"""`?sort=` of the router's lists: columns that the service or the router names, and no others."""

from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncSession

from fastapi_filestore import ConfigurationError, FileService, Filestore
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import Site, problem_in


class Sorted(FileService[Document]):
    """Documents that name their columns in the class."""

    sortable = ("title", "pages")


def own_provider() -> Sorted:
    """Make a service without the library's own provider."""
    return Sorted(AsyncSession())


WAYS: dict[str, Any] = {
    "router": lambda files: files.router(Document, sortable=["title", "pages"]),
    "class": lambda files: files.router(Document, service=files.service(Sorted)),
    "service": lambda files: files.router(Document, service=files.service(Document, sortable=["title", "pages"])),
    "other": lambda files: files.router(Document, service=files.service(Sorted, sortable=["title", "pages"])),
}


def mounted(way: str) -> Any:
    """Mount the documents in one of the ways."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(WAYS[way](files), prefix="/documents")

    return build


async def fill(site: Site) -> None:
    """Write rows."""
    async with site.session() as session:
        session.add_all(
            [Document(title=title, pages=pages) for title, pages in zip("cabd", [1, 2, None, 1], strict=True)]
        )
        await session.commit()


async def walk(client: AsyncClient, *sort: str) -> str:
    """Read every page of two rows, and return the titles."""
    titles, after = "", None
    for _ in range(4):
        query: dict[str, Any] = {"limit": 2, "sort": sort, **({"after": after} if after else {})}
        page = (await client.get("/documents/", params=query)).json()
        titles += "".join(row["title"] for row in page["items"])
        after = page["next_cursor"]
        if after is None:
            return titles
    raise AssertionError("there are more pages than rows")


@pytest.mark.parametrize("way", WAYS)
async def test_lists_are_sorted_as_asked(serve: Serve, way: str) -> None:
    """Columns come in one text or several, and the pages after are those of the sort."""
    async with serve(build=mounted(way)) as site:
        await fill(site)

        assert await walk(site.client, "title") == "abcd"
        assert await walk(site.client, "-pages,title") == "acdb"
        assert await walk(site.client, "pages", "-title") == "dcab"
        assert await walk(site.client) == await walk(site.client, "") == "dbac"


async def test_other_columns_and_cursors_are_problems(serve: Serve) -> None:
    """A column that is not named is a 422 that lists those that are; so is a cursor of another sort."""
    async with serve(build=mounted("class")) as site:
        await fill(site)
        problem = problem_in(await site.client.get("/documents/?sort=token"), 422, "invalid-fields")
        cursor = (await site.client.get("/documents/?sort=title&limit=1")).json()["next_cursor"]
        for sort in ("", "&sort=-title", "&sort=title,pages"):
            problem_in(await site.client.get(f"/documents/?after={cursor}{sort}"), 422, "invalid-cursor")

    assert problem["errors"] == [
        {
            "loc": ["query", "sort"],
            "msg": "Sort by title, pages, with - before it for descending; not by 'token'",
            "type": "sort",
        }
    ]


async def test_openapi_shows_the_columns(serve: Serve) -> None:
    """The values are an enumeration, in one text with commas; a router that can't be sorted has no such parameter."""
    async with serve(build=mounted("router")) as site:
        operation = (await site.client.get("/openapi.json")).json()["paths"]["/documents/"]["get"]
    async with serve() as plain:
        without = (await plain.client.get("/openapi.json")).json()["paths"]["/documents/"]["get"]
    sort = next(parameter for parameter in operation["parameters"] if parameter["name"] == "sort")

    assert sort["schema"]["items"]["enum"] == ["title", "-title", "pages", "-pages"]
    assert (sort["explode"], sort.get("required", False)) == (False, False)
    assert [parameter["name"] for parameter in without["parameters"]] == ["limit", "after"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["limit", "after", "sort"]


@pytest.mark.parametrize(
    ("sortable", "words"),
    [("title", r"\['title'\]"), (["nope"], "no such column"), (["-title"], "'-title'"), (["file"], "no order")],
)
def test_wrong_columns_are_told_at_once(sortable: Any, words: str) -> None:
    """What can't be sorted by is refused where it is named."""
    files = Filestore(own_session)
    for make in (files.service, files.router):
        with pytest.raises(ConfigurationError, match=words):
            make(Document, sortable=sortable)


def test_a_provider_has_its_own_columns() -> None:
    """Columns of a router beside a provider would be two answers to one question."""
    files = Filestore(own_session)
    with pytest.raises(ConfigurationError, match="sortable"):
        files.router(Document, service=files.service(Document), sortable=["title"])


async def own_session() -> AsyncSession:
    """Make a session."""
    return AsyncSession()


def test_a_provider_of_ones_own_names_them_by_its_class() -> None:
    """A function that returns a service of a class with sortable columns has them."""
    app = FastAPI()
    app.include_router(Filestore(own_session).router(Document, service=own_provider), prefix="/documents")
    names = [parameter["name"] for parameter in app.openapi()["paths"]["/documents/"]["get"]["parameters"]]

    assert names == ["limit", "after", "sort"]
