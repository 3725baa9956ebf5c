"""Uploads of whole folders: routes that ask for it keep the folder of a file, as data."""

import io
from collections.abc import AsyncIterator
from typing import Annotated, Any
from zipfile import ZipFile

import pytest
from fastapi import Depends, FastAPI, Request, Response
from pydantic import BaseModel

from fastapi_filestore import FileService, Filestore, Upload, Uploads
from tests.web.conftest import Serve
from tests.web.models import Album, Document
from tests.web.site import Site, problem_in


class Titled(BaseModel, extra="forbid"):
    """Fields that know no paths."""

    title: str


def build(app: FastAPI, files: Filestore) -> None:
    """Mount routers and routes that keep folders, and one that does not."""
    get_documents, get_albums = files.service(Document), files.service(Album)
    app.include_router(files.router(Document, keep_folders=True), prefix="/kept")
    app.include_router(files.router(Document, keep_folders=True, unknown_fields="refuse"), prefix="/refusing")
    app.include_router(files.router(Document), prefix="/plain")

    @app.post("/own", status_code=201)
    async def own(
        upload: Annotated[Upload, Depends(files.upload(fields=Titled, keep_folders=True))],
        service: Annotated[FileService[Document], Depends(get_documents)],
    ) -> dict[str, Any]:
        async with service.storing(upload) as file:
            assert isinstance(upload.values, Titled)
            row = await service.create({"title": upload.values.title, "file": file})
        assert row.file is not None
        return {"file": row.file.to_dict(), "folder": row.file.folder}

    @app.put("/body", status_code=201)
    async def body(
        upload: Annotated[Upload, Depends(files.upload(keep_folders=True))],
        service: Annotated[FileService[Document], Depends(get_documents)],
    ) -> str:
        row = await service.create({"title": "t", "file": upload})
        assert row.file is not None
        return row.file.folder

    @app.post("/albums", status_code=201)
    async def album(
        uploads: Annotated[Uploads, Depends(files.uploads(max_files=9, keep_folders=True))],
        service: Annotated[FileService[Album], Depends(get_albums)],
    ) -> list[str]:
        row = await service.create({"photos": uploads})
        return [f"{file.folder}:{file.filename}" for file in row.photos or []]

    @app.get("/albums.zip")
    async def zipped(request: Request, service: Annotated[FileService[Album], Depends(get_albums)]) -> Response:
        (album,) = (await service.list()).items
        return await files.zip_download(request, album.photos or [])


@pytest.fixture
async def place(serve: Serve) -> AsyncIterator[Site]:
    """The application."""
    async with serve(build=build, shared=True) as site:
        yield site
        await site.check()


def file(name: str) -> dict[str, Any]:
    """Return a form's file."""
    return {"file": (name, b"content")}


async def test_a_router_keeps_the_folder_of_a_name(place: Site) -> None:
    """A browser's name with folders is a name, and a folder in the metadata; the object's path has nothing of it."""
    sent = await place.client.post("/kept/", data={"title": "t"}, files=file("photos/2026/ä.txt"))
    row = (await place.client.get(f"/kept/{sent.json()['id']}")).json()

    assert (row["file"]["filename"], row["file"]["metadata"]) == ("ä.txt", {"folder": "photos/2026"})
    assert not any("photos" in key for key in await place.keys())


@pytest.mark.parametrize("prefix", ["/kept/", "/refusing/", "/own"])
@pytest.mark.parametrize("field", ["relativePath", "fullPath"])
@pytest.mark.parametrize("is_first", [True, False])
async def test_a_field_has_the_path(place: Site, prefix: str, field: str, *, is_first: bool) -> None:
    """A field that uploaders send, before the file or behind it, tells the folder, whatever becomes of other fields."""
    path = (field, (None, "photos/a.txt"))
    parts = [("title", (None, "t")), *file("a.txt").items()]
    parts.insert(0 if is_first else 2, path)
    answer = await place.client.post(prefix, files=parts)

    assert answer.status_code == 201, answer.text
    assert answer.json()["file"]["metadata"] == {"folder": "photos"}


async def test_a_replacement_has_its_own_folder(place: Site) -> None:
    """PUT of the router keeps the folder of the new file."""
    sent = await place.client.post("/kept/", data={"title": "t"}, files=file("old/a.txt"))
    put = await place.client.put(f"/kept/{sent.json()['id']}/file", files=file("new/b.txt"))

    assert put.json()["file"]["metadata"] == {"folder": "new"}


async def test_a_body_that_is_the_file(place: Site) -> None:
    """The name in a Content-Disposition may have a folder, too."""
    headers = {"Content-Disposition": 'attachment; filename="photos/a.txt"', "Content-Type": "text/plain"}
    answer = await place.client.put("/body", content=b"content", headers=headers)

    assert answer.json() == "photos"


async def test_each_file_of_a_form_has_its_own(place: Site) -> None:
    """Files of one form have the folders of their names; a field would be of no one of them."""
    parts: list[Any] = [("relativePath", (None, "other/a.txt"))]
    parts += [("files", (name, b"content")) for name in ("a/x.txt", "a/b/x.txt", "x.txt", "../../x.txt", r"C:\d\x.txt")]
    answer = await place.client.post("/albums", files=parts)
    archive = await place.client.get("/albums.zip")

    assert answer.json() == ["a:x.txt", "a/b:x.txt", ":x.txt", ":x.txt", ":x.txt"]
    names = ZipFile(io.BytesIO(archive.content)).namelist()
    assert names == ["a/x.txt", "a/b/x.txt", "x.txt", "x (2).txt", "x (3).txt"]


async def test_nothing_is_kept_unasked(place: Site) -> None:
    """A route that does not ask keeps the name alone, and a file in no folder has none."""
    plain = await place.client.post("/plain/", data={"title": "t", "relativePath": "a/b.txt"}, files=file("a/b.txt"))
    none = await place.client.post("/kept/", data={"title": "u", "relativePath": "null"}, files=file("b.txt"))

    assert plain.json()["file"]["metadata"] == none.json()["file"]["metadata"] == {}


async def test_other_fields_are_refused_as_before(place: Site) -> None:
    """What is no path is as unknown as ever."""
    data = {"title": "t", "relativePath": "a/b.txt", "flavour": "x"}
    problem = problem_in(await place.client.post("/refusing/", data=data, files=file("b.txt")), 422, "invalid-fields")

    assert [error["loc"] for error in problem["errors"]] == [["flavour"]]
