"""Rows whose file column holds something else than a file, over HTTP: shown, told, replaced and deleted."""

import json
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from sqlalchemy import Text, type_coerce, update

from fastapi_filestore import Filestore
from tests.web.conftest import Serve
from tests.web.models import Base, Document, Ticket
from tests.web.site import Site, problem_in

VALUES = ["ab/held", 5, True, [], {}, [[]], ["ab/held"], {"backend": "web"}, {"backend": "web", "path": 5}]
TEXTS = [*map(json.dumps, VALUES), "ab/held", "", "{", "[" * 5000]
"""Texts that SQLite takes for JSON."""
HIDDEN = "The row says of no file where it is; the operators have been told."


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """The prebuilt routers of a column that may be empty and of one that may not."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Document), prefix="/documents")
        app.include_router(files.router(Ticket), prefix="/tickets")

    async with serve(build=build) as site:
        yield site
        await site.check()


async def damage(site: Site, text: str, table: str = "documents") -> None:
    """Write a text into the file column of every row behind everybody's back."""
    async with site.session() as session:
        connection = await session.connection()
        await connection.execute(update(Base.metadata.tables[table]).values(file=type_coerce(text, Text)))
        await session.commit()


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text[:20]))
async def test_a_row_that_cannot_be_read(site: Site, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Row and list say null and why, the download is a 500 of its own that the log explains, and DELETE works."""
    await site.upload(content=b"kept")
    keys = await site.keys()
    await damage(site, text)

    read, listed = await site.client.get("/documents/1"), await site.client.get("/documents/")
    assert (read.status_code, listed.status_code) == (200, 200)
    assert read.json()["file"] is None
    assert read.json()["file_error"].startswith("The row holds something here that can't be read as a file.")
    assert listed.json()["items"] == [read.json()]

    for method in ("GET", "HEAD"):
        caplog.clear()
        download = await site.client.request(method, "/documents/1/file")
        assert download.status_code == 500
        [record] = caplog.records
        assert "documents.file of the row with the key 1 can't be read" in record.message
        assert f"method={method} path=/documents/1/file" in record.message
    assert problem_in(await site.client.get("/documents/1/file"), 500, "unreadable-file")["detail"] == HIDDEN

    assert (await site.client.patch("/documents/1", json={"title": "renamed"})).json()["file"] is None
    assert (await site.client.delete("/documents/1")).status_code == 204
    assert (await site.client.get("/documents/1")).status_code == 404
    assert await site.keys() == keys
    await site.backend.delete(*keys)


async def test_a_row_that_is_put_right(site: Site) -> None:
    """PUT puts a file where none could be read, and nothing of what was there is deleted."""
    await site.upload(content=b"kept")
    kept = await site.keys()
    await damage(site, '"ab/held"')

    refused = await site.client.put("/documents/1/file", files={"file": b"new"}, headers={"If-Match": '"x"'})
    replaced = await site.client.put("/documents/1/file", files={"file": b"new"})

    assert (refused.status_code, replaced.status_code) == (412, 200)
    assert "file_error" not in replaced.json()
    assert (await site.client.get("/documents/1/file")).content == b"new"
    assert kept < await site.keys()
    await site.backend.delete(*kept)


async def test_a_column_that_is_not_nullable(site: Site) -> None:
    """It shows null all the same."""
    created = await site.upload("/tickets/")
    keys = await site.keys()
    await damage(site, '"ab/held"', "tickets")

    shown = (await site.client.get(created.headers["location"])).json()

    assert shown["file"] is None
    assert shown["file_error"]
    assert (await site.client.delete(created.headers["location"])).status_code == 204
    await site.backend.delete(*keys)


async def test_how_it_is_described(site: Site) -> None:
    """OpenAPI says that a file may be null, and that its error may be there."""
    schema = (await site.client.get("/openapi.json")).json()["components"]["schemas"]["TicketRead"]

    assert {"type": "null"} in schema["properties"]["file"]["anyOf"]
    assert "file_error" in schema["properties"]
    assert "file_error" not in schema["required"]
