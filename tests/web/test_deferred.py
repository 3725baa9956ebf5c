"""File columns that are not read with their rows: deferred ones, and what a query of the application left out."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from sqlalchemy import event, select
from sqlalchemy.orm import Mapped, load_only, mapped_column

from fastapi_filestore import FileObject, FileService, Filestore, StoredObject
from fastapi_filestore.orm.sessions import run_in_session
from tests.service.engines import engine_of
from tests.web.conftest import Serve
from tests.web.models import Base
from tests.web.site import Site

KINDS = ["sqlite", "sqlite+aiosqlite", "postgresql+psycopg", "postgresql+asyncpg"]


class Draft(Base):
    """A row whose file is read when it is asked for."""

    __tablename__ = "drafts"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="web"), deferred=True)


class Sealed(Base):
    """A row whose files must not be read by chance."""

    __tablename__ = "sealed"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"), deferred=True, deferred_raiseload=True)
    pages: Mapped[list[FileObject] | None] = mapped_column(
        StoredObject(backend="web", multiple=True), deferred=True, deferred_raiseload=True
    )


class Bundle(Base):
    """A row with a group of deferred files."""

    __tablename__ = "bundles"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="web"), deferred=True, deferred_group="files")
    back: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"), deferred=True, deferred_group="files")
    pages: Mapped[list[FileObject] | None] = mapped_column(StoredObject(backend="web", multiple=True), deferred=True)


class BundleRead(BaseModel):
    """What is told of one."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    file: FileObject
    back: FileObject | None
    pages: list[FileObject] | None


class Thin(FileService[Bundle]):
    """A service that reads rows without what it does not need itself."""

    async def get(self, identity: object) -> Bundle:
        """Read the title alone."""
        thin = select(Bundle).where(Bundle.id == identity).options(load_only(Bundle.title, raiseload=True))
        return await run_in_session(self.session, lambda session: session.scalars(thin).one())


def deferred(app: FastAPI, files: Filestore) -> None:
    """Serve all of them."""
    app.include_router(files.router(Draft), prefix="/drafts")
    app.include_router(files.router(Sealed, field="file"), prefix="/sealed")
    app.include_router(files.router(Bundle, read=BundleRead), prefix="/bundles")
    app.include_router(files.router(Bundle, read=BundleRead, service=files.service(Thin)), prefix="/thin")


@pytest.fixture(params=KINDS)
async def site(request: pytest.FixtureRequest, serve: Serve, tmp_path: Any) -> AsyncIterator[Site]:
    """The application over a database of each kind."""
    is_sqlite = request.param.startswith("sqlite")
    url = f"{request.param}:///{tmp_path}/web.db"
    if not is_sqlite:
        url = request.getfixturevalue("postgres_database").url(request.param)
    async with serve(url, build=deferred, shared=True) as site:
        yield site


@pytest.mark.parametrize("path", ["/drafts", "/sealed"])
async def test_a_deferred_main_file(site: Site, path: str) -> None:
    """A row is created, shown and listed without its deferred file, which is served, replaced and deleted."""
    created = await site.upload(f"{path}/", b"first")
    file = f"{path}/{created.json()['id']}/file"
    served = await site.client.get(file)
    etag = {"If-Match": served.headers["ETag"]}
    replaced = await site.client.put(file, files={"file": ("b.txt", b"second")}, headers=etag)
    row, listed = await site.client.get(f"{path}/1"), await site.client.get(f"{path}/")
    patched = await site.client.patch(f"{path}/1", json={"title": "other"})

    assert (created.status_code, served.content) == (201, b"first")
    assert replaced.status_code == 200
    assert (await site.client.get(file)).content == b"second"
    assert row.json() == {"id": 1, "title": "t"}
    assert listed.json()["items"] == [row.json()]
    assert patched.json() == {"id": 1, "title": "other"}
    assert (await site.client.delete(f"{path}/1")).status_code == 204
    assert await site.keys() == set()


@pytest.mark.parametrize("path", ["/bundles", "/thin"])
async def test_deferred_files_that_are_shown(site: Site, path: str) -> None:
    """What `read=` shows of deferred columns is read in one statement for a page, and has its URL in each answer."""
    parts: list[Any] = [(name, ("a.txt", name.encode())) for name in ("file", "back", "pages", "pages")]
    _, created = [await site.client.post(f"{path}/", files=parts, data={"title": title}) for title in "ab"]
    seen: list[str] = []
    event.listen(engine_of(site), "before_cursor_execute", lambda *call: seen.append(call[2]))
    listed = (await site.client.get(f"{path}/")).json()["items"]
    count = sum("FROM bundles" in statement for statement in seen)
    row = (await site.client.get(f"{path}/2")).json()

    assert (created.status_code, count) == (201, 2)
    assert row == listed[0] == created.json()
    urls = [row["file"]["url"], row["back"]["url"], *(page["url"] for page in row["pages"])]
    assert urls[:2] == [f"{path}/2/file", f"{path}/2/back"]
    assert [(await site.client.get(url)).text for url in urls] == ["file", "back", "pages", "pages"]
    order = [page["id"] for page in row["pages"]][::-1]
    turned = await site.client.patch(f"{path}/2", json={"pages": order})
    assert [page["id"] for page in turned.json()["pages"]] == order
    added = await site.client.post(f"{path}/2/pages", files=parts[2:3])
    assert [page["url"] is not None for page in added.json()["pages"]] == [True] * 3
    assert (await site.client.delete(f"{path}/2/back")).status_code == 204
    for identity in (1, 2):
        await site.client.delete(f"{path}/{identity}")
    assert await site.keys() == set()


@pytest.mark.parametrize("model", [Draft, Sealed, Bundle])
async def test_the_service_reads_what_is_deferred(site: Site, model: Any) -> None:
    """Files are returned, locked and replaced, of rows that the session has read without them, too."""
    async with site.session() as session:
        service: FileService[Any] = FileService(session, model=model)
        async with service.unit_of_work():
            row = await service.create({"title": "t", "file": FileObject(filename="a", content=b"first")})
            identity = row.id
    async with site.session() as session:
        service = FileService(session, model=model)
        async with service.unit_of_work():
            thin = select(model).options(load_only(model.title, raiseload=True))
            read = await run_in_session(session, lambda session: session.scalars(thin).all())
            file = await service.file(identity, field="file")
            assert await file.get_content_async() == b"first"
            assert await service.lock_file(identity, field="file") == file
            await service.replace(identity, FileObject(filename="b", content=b"second"), field="file")
            assert read[0] is await service.get(identity)
    async with site.session() as session:
        service = FileService(session, model=model)
        async with service.unit_of_work():
            assert await (await service.file(identity, field="file")).get_content_async() == b"second"
            await service.delete(identity)
    assert await site.keys() == set()
