"""Uploads on every kind of store: where it heeds URLs that write once a row takes the object where it lies."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.pool import StaticPool

from fastapi_filestore import Filestore, FilestoreSettings, ObstoreBackend, storages
from tests.storage.stores import MAKERS
from tests.web.conftest import Serve
from tests.web.models import Base
from tests.web.site import SIGNING_KEY, Site, problem_in, session_dependency
from tests.web.uploading import begin, put, send
from tests.web.uploads.conftest import taking_uploads

CONTENT = b"content of a file"


@pytest.fixture(params=["seaweedfs", "azurite", "local"])
async def site(request: pytest.FixtureRequest, serve: Serve, backend: ObstoreBackend) -> AsyncIterator[Site]:
    """An application whose files are in a store of some kind."""
    fs, options = MAKERS[request.param](request)
    store = ObstoreBackend(key="web", fs=fs, **options)
    async with serve(backend=store, build=taking_uploads, signing_keys=[SIGNING_KEY]) as site:
        storages.register_backend(store, replace=True)
        yield site
        await site.check()
        storages.register_backend(backend, replace=True)


async def test_a_life_on_a_store(site: Site) -> None:
    """Begun, stored, claimed, read, deleted: nothing is left, and a second file by the same URL is refused or swept."""
    async with httpx.AsyncClient() as outside:
        upload = await begin(site.client, filename="ä b.txt", size=len(CONTENT))
        client = site.client if upload["direct"]["url"].startswith("/") else outside
        stored = await put(client, upload, CONTENT)
        second = await put(client, upload, b"x" * len(CONTENT))
    created = await site.client.post("/documents/", json={"title": "t", "upload": upload["id"]})
    location = created.headers["location"]

    assert stored.is_success
    assert second.status_code in {403, 409, 412}
    assert created.json()["file"]["filename"] == "ä b.txt"
    assert (await site.client.get(f"{location}/file")).content == CONTENT
    assert len(await site.keys()) == 1
    problem_in(
        await site.client.post("/documents/", json={"title": "u", "upload": upload["id"]}), 409, "upload-claimed"
    )
    await site.client.delete(location)
    await site.check_empty()


async def test_a_refusal_on_a_store(site: Site) -> None:
    """What is larger than the column takes stays out of the row, and goes with its upload."""
    async with httpx.AsyncClient() as outside:
        upload = await begin(site.client, at="/books/uploads", field="back")
        client = site.client if upload["direct"]["url"].startswith("/") else outside
        stored = await put(client, upload, CONTENT)
    refused = await site.client.post(f"{upload['url']}/complete")

    assert (stored.status_code, refused.status_code) in {(200, 413), (201, 413), (413, 409)}
    assert (await site.client.delete(upload["url"])).status_code == 204
    await site.check_empty()


async def test_a_database_with_one_connection(backend: ObstoreBackend) -> None:
    """In memory, where there is no second connection, uploads work all the same."""
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    get_session = session_dependency(async_sessionmaker(engine), asynchronous=True)
    files = Filestore(get_session, settings=FilestoreSettings(_env_file=None, signing_keys=[SIGNING_KEY]))
    app = FastAPI()
    taking_uploads(app, files)
    transport = httpx.ASGITransport(app)
    async with files.lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://site") as client:
        upload = await send(client)
        created = await client.post("/documents/", json={"title": "t", "upload": upload["id"]})
        again = await client.post("/documents/", json={"title": "u", "upload": upload["id"]})

        assert (created.status_code, again.status_code) == (201, 409), created.text
        assert (await client.get(f"{created.headers['location']}/file")).content == b"content"
        assert (await client.delete(created.headers["location"])).status_code == 204
    assert [info async for info in backend.list()] == []
    await engine.dispose()
