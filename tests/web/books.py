"""Books with covers and pages, behind the router."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import Response

from fastapi_filestore import Filestore
from tests.web.conftest import Serve
from tests.web.models import Album, Book
from tests.web.site import Site

COVER = ("cover", ("cover.txt", b"cover", "text/plain"))


def books(app: FastAPI, files: Filestore) -> None:
    """Mount books, and albums, whose files may all be left out."""
    app.include_router(files.router(Book), prefix="/books")
    app.include_router(files.router(Album), prefix="/albums")


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """Serve books and albums."""
    async with serve(build=books, shared=True) as site:
        yield site
        await site.check()


def page(text: str) -> tuple[str, tuple[str, bytes, str]]:
    """Return the part of a form with a page."""
    return "pages", (f"{text}.txt", text.encode(), "text/plain")


async def print_book(site: Site, *pages: str, **fields: str) -> Any:
    """Create a book with a cover and pages."""
    parts = [COVER, *map(page, pages)]
    response = await site.client.post("/books/", files=parts, data={"title": "t", **fields})
    assert response.status_code == 201, response.text
    return response.json()


def names(response: Response) -> list[str]:
    """Return the names of the files of a list, or of a book's pages."""
    found = response.json()
    return [file["filename"] for file in (found if isinstance(found, list) else found["pages"])]
