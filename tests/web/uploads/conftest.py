"""Albums, books and documents that take uploads, on SQLite and on PostgreSQL, in sessions of both kinds."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from fastapi_filestore import Filestore
from tests.web.conftest import Serve
from tests.web.models import Album, Article, Book, Document
from tests.web.site import SIGNING_KEY, Site

KINDS = {
    "sqlite": None,
    "sqlite-sync": "sqlite:///{tmp_path}/web.db",
    "postgres": "postgresql+asyncpg",
    "postgres-sync": "postgresql+psycopg",
}


def taking_uploads(app: FastAPI, files: Filestore) -> None:
    """Mount models with a nullable file, with several columns, and with a list."""
    app.include_router(files.router(Document, uploads=True), prefix="/documents")
    app.include_router(files.router(Album, field="cover", uploads=True), prefix="/albums")
    app.include_router(files.router(Article, uploads=True), prefix="/articles")
    app.include_router(files.router(Book, uploads=True), prefix="/books")
    app.include_router(files.signed_router())


@pytest.fixture(params=["sqlite"])
async def site(request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[Site]:
    """An application that takes uploads; rows and objects agree at the end."""
    url = KINDS[request.param]
    if request.param.startswith("postgres"):
        url = request.getfixturevalue("postgres_database").url(url)
    elif url is not None:
        url = url.format(tmp_path=request.getfixturevalue("tmp_path"))
    async with serve(url, build=taking_uploads, signing_keys=[SIGNING_KEY], shared=True) as site:
        yield site
        await site.check()
