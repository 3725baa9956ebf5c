"""Uploads for a column that chooses its folder by the row: complete before that is known, and there afterwards."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from hashlib import sha256
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, Filestore, ObstoreBackend, StoredObject, add_ledger, add_uploads, storages
from fastapi_filestore.testing import assert_no_orphans
from tests.storage.stores import MAKERS
from tests.web.conftest import Serve
from tests.web.site import SIGNING_KEY, Site, problem_in
from tests.web.tus_sending import begin_tus, id_of, patch
from tests.web.uploading import CONTENT, begin, put

AT = "/bills/uploads"


class Base(DeclarativeBase):
    """The tables of these tests."""


def of_row(row: Mapping[str, Any]) -> str:
    """Choose the folder of a row by who it is of and what it is called."""
    return f"{row['tenant']}/{row['title']}/"


class Bill(Base):
    """A row with files in a folder of its own."""

    __tablename__ = "bills"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[str]
    title: Mapped[str] = mapped_column(unique=True)
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="web", prefix=of_row))
    pages: Mapped[list[FileObject]] = mapped_column(StoredObject(backend="web", prefix=of_row, multiple=True))
    scans: Mapped[list[FileObject]] = mapped_column(StoredObject(backend="web", prefix="scans/", multiple=True))


add_ledger(Base.metadata)
UPLOADS = add_uploads(Base.metadata)


def build(app: FastAPI, files: Filestore) -> None:
    """Mount the bills of one tenant."""
    app.include_router(files.router(Bill, uploads=True, defaults={"tenant": lambda: "acme"}), prefix="/bills")
    app.include_router(files.signed_router())


@pytest.fixture(params=["memory"])
async def site(request: pytest.FixtureRequest, serve: Serve, backend: ObstoreBackend) -> AsyncIterator[Site]:
    """Bills in a store of some kind; in the end each object is in a row."""
    fs, options = MAKERS[request.param](request)
    store = ObstoreBackend(key="web", fs=fs, **options)
    async with serve(backend=store, build=build, signing_keys=[SIGNING_KEY]) as site:
        async with site.session() as session:
            await (await session.connection()).run_sync(Base.metadata.create_all)
            await session.commit()
        storages.register_backend(store, replace=True)
        yield site
        await check(site)
        storages.register_backend(backend, replace=True)


async def check(site: Site) -> None:
    """Assert that rows and objects agree."""
    async with site.session() as session:
        await assert_no_orphans(session, site.backend, Bill, UPLOADS.upload, UPLOADS.segment)


async def sent_by(site: Site, way: str, **metadata: str) -> str:
    """Send an upload by some way, and return its id."""
    if way == "direct":
        upload = await begin(site.client, AT, **metadata)
        async with AsyncClient() as outside:
            client = site.client if upload["direct"]["url"].startswith("/") else outside
            assert (await put(client, upload)).is_success
        return str(upload["id"])
    identity = id_of(await begin_tus(site.client, len(CONTENT), AT, filename="a.txt", **metadata))
    await patch(site.client, identity, [CONTENT] if way == "once" else [CONTENT[:3], CONTENT[3:]], AT)
    return identity


@pytest.mark.parametrize("site", ["memory", "local", "seaweedfs"], indirect=True)
@pytest.mark.parametrize("way", ["direct", "once", "twice"])
async def test_a_new_row(site: Site, way: str) -> None:
    """An upload is complete before anybody knows of the row, and then its file is in the folder of that, alone."""
    upload = await sent_by(site, way, sha256=sha256(CONTENT).hexdigest())
    completed = await site.client.post(f"{AT}/{upload}/complete")
    created = await site.client.post("/bills/", json={"title": "may", "upload": upload})
    keys = await site.keys()

    assert (completed.status_code, completed.json().get("state")) == (200, "complete"), completed.text
    assert created.status_code == 201, created.text
    assert created.json()["file"]["checksum"] == sha256(CONTENT).hexdigest()
    assert (await site.client.get(f"{created.headers['location']}/file")).content == CONTENT
    assert [key.startswith("acme/may/") for key in keys] == [True]
    again = await site.client.post("/bills/", json={"title": "june", "upload": upload})
    assert problem_in(again, 409, "upload-claimed")["location"] == created.headers["location"]
    await site.client.delete(created.headers["location"])
    assert await site.keys() == set()


async def test_a_row_that_is_there(site: Site) -> None:
    """Another file, and more of a list, go to the folder of their row; a column with one folder copies nothing."""
    fields = ["file", "file", "pages", "pages", "scans"]
    uploads = [await sent_by(site, "once", field=field) for field in fields]
    created = await site.client.post("/bills/", data={"title": "may", "upload": f"{uploads[0]},{uploads[2]}"})
    place = created.headers["location"]
    before = {key for key in await site.keys() if key.startswith("scans/")}
    answers = [
        await site.client.put(f"{place}/file", json={"upload": uploads[1]}),
        await site.client.post(f"{place}/pages", json={"upload": uploads[3]}),
        await site.client.post(f"{place}/scans", data={"upload": uploads[4]}),
    ]
    keys = await site.keys()

    assert [answer.status_code for answer in answers] == [200, 201, 201], [answer.text for answer in answers]
    assert (sum(key.startswith("acme/may/") for key in keys), len(keys)) == (3, 4)
    assert before == {key for key in keys if key.startswith("scans/")} != set()


async def test_a_row_that_is_refused(site: Site) -> None:
    """Its copy goes, and the upload is for the next row, wherever that has its folder."""
    await site.client.post("/bills/", json={"title": "may", "upload": await sent_by(site, "once")})
    upload = await sent_by(site, "twice")
    refused = await site.client.post("/bills/", json={"title": "may", "upload": upload})
    await check(site)
    count = len(await site.keys())
    created = await site.client.post("/bills/", json={"title": "june", "upload": upload})

    problem_in(refused, 409, "row-conflict")
    assert count == 2
    assert created.status_code == 201, created.text
    assert sorted(key.split("/")[1] for key in await site.keys()) == ["june", "may"]


async def test_of_five_at_once_one_has_it(site: Site) -> None:
    """The others are told where it is, and their copies go."""
    upload = await sent_by(site, "direct")
    claims = [site.client.post("/bills/", json={"title": f"t{number}", "upload": upload}) for number in range(5)]
    answers = await asyncio.gather(*claims)
    (created,) = [answer for answer in answers if answer.status_code == 201]

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 4, [answer.text for answer in answers]
    assert {answer.headers["location"] for answer in answers} == {created.headers["location"]}
    assert [key.split("/")[:2] for key in await site.keys()] == [["acme", created.json()["title"]]]
