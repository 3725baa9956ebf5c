"""`Depends(files.uploaded(Document))`: routes of one's own that take uploads."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Form, HTTPException, Request
from pydantic import BaseModel

from fastapi_filestore import ConfigurationError, FileObject, FileService, Filestore, UploadOptions
from tests.web.conftest import Serve
from tests.web.filestores import nothing
from tests.web.models import Album, Book, Document
from tests.web.site import SIGNING_KEY, Site, problem_in
from tests.web.uploading import begin, send
from tests.web.uploads.test_owners import ANN, BOB, who


class New(BaseModel):
    """What a client sends beside the upload."""

    title: str


def own_routes(app: FastAPI, files: Filestore) -> None:
    """Mount routers with uploads, and routes that read their requests in every way."""
    app.include_router(files.router(Document, uploads=UploadOptions(owner=who)), prefix="/documents")
    app.include_router(files.router(Album, field="cover", uploads=True), prefix="/albums")
    app.include_router(files.signed_router())
    app.exception_handlers |= files.exception_handlers
    Uploaded = Annotated[FileObject, Depends(files.uploaded(Document))]  # noqa: N806 - a type
    Documents = Annotated[FileService[Document], Depends(files.service(Document))]  # noqa: N806
    Albums = Annotated[FileService[Album], Depends(files.service(Album))]  # noqa: N806

    @app.post("/form", status_code=201)
    async def by_form(title: Annotated[str, Form()], file: Uploaded, service: Documents) -> int:
        return (await service.create({"title": title, "file": file})).id

    @app.post("/json", status_code=201)
    async def by_json(new: New, file: Uploaded, service: Documents) -> int:
        return (await service.create({"title": new.title, "file": file})).id

    @app.post("/query", status_code=201)
    async def by_query(title: str, file: Uploaded, service: Documents) -> int:
        return (await service.create({"title": title, "file": file})).id

    @app.post("/raw", status_code=201)
    async def by_request(request: Request, file: Uploaded, service: Documents) -> int:
        return (await service.create({"title": request.headers["x-title"], "file": file})).id

    @app.post("/raising")
    async def raising(title: str, file: Uploaded, service: Documents) -> None:
        await service.create({"title": title, "file": file})
        raise HTTPException(418)

    @app.post("/looking")
    async def looking(file: Uploaded) -> str:
        return str(file.filename)

    @app.post("/both")
    async def both(
        cover: Annotated[FileObject, Depends(files.uploaded(Album))], file: Uploaded, service: Albums
    ) -> None:
        raise NotImplementedError

    @app.post("/albums-of-mine", status_code=201)
    async def album(
        booklet: Annotated[FileObject, Depends(files.uploaded(Album, field="booklet"))], rows: Albums
    ) -> int:
        return (await rows.create({"booklet": booklet})).id


def further_routes(app: FastAPI, files: Filestore) -> None:
    """Mount routes that take lists of uploads, and one whose row is of another model."""
    own_routes(app, files)
    app.include_router(files.router(Book, uploads=True), prefix="/books")
    Albums = Annotated[FileService[Album], Depends(files.service(Album))]  # noqa: N806 - a type

    @app.post("/elsewhere", status_code=201)
    async def elsewhere(file: Annotated[FileObject, Depends(files.uploaded(Document))], rows: Albums) -> int:
        return (await rows.create({"booklet": file})).id

    @app.post("/photos-of-mine", status_code=201)
    async def photos(
        photos: Annotated[list[FileObject], Depends(files.uploaded(Album, field="photos"))], rows: Albums
    ) -> int:
        return (await rows.create({"photos": photos})).id

    @app.post("/pages-of-mine")
    async def pages(pages: Annotated[list[FileObject], Depends(files.uploaded(Book, field="pages"))]) -> int:
        return len(pages)


@pytest.fixture
async def site(each_database: str | None, serve: Serve) -> AsyncIterator[Site]:
    """Routes of one's own on each database."""
    async with serve(each_database, build=further_routes, signing_keys=[SIGNING_KEY], shared=True) as site:
        yield site
        await site.check()


WAYS: dict[str, Any] = {
    "form": lambda upload: ("/form", {"data": {"title": "t", "upload": upload}}),
    "form with a file": lambda upload: ("/form", {"data": {"title": "t", "upload": upload}, "files": {"x": b"x"}}),
    "json": lambda upload: ("/json", {"json": {"title": "t", "upload": upload}}),
    "query": lambda upload: ("/query", {"params": {"title": "t", "upload": upload}}),
    "raw json": lambda upload: ("/raw", {"json": {"upload": upload}, "headers": {"X-Title": "t"}}),
    "raw form": lambda upload: ("/raw", {"data": {"upload": upload}, "headers": {"X-Title": "t"}}),
}


async def post(site: Site, way: str, upload: str, user: dict[str, str] = ANN) -> Any:
    """Send a request that names an upload."""
    url, options = WAYS[way](upload)
    return await site.client.post(url, **options | {"headers": options.get("headers", {}) | user})


@pytest.mark.parametrize("way", WAYS)
async def test_a_route_of_ones_own_takes_an_upload(site: Site, way: str) -> None:
    """Its row has the file; the upload is claimed with it, and not again; others have none of it."""
    upload = await send(site.client, headers=ANN)
    stranger = await post(site, way, upload["id"], BOB)
    created, again = await post(site, way, upload["id"]), await post(site, way, upload["id"])

    problem_in(stranger, 404, "upload-not-found")
    assert created.status_code == 201, created.text
    assert (await site.client.get(f"/documents/{created.json()}/file")).content == b"content"
    assert problem_in(again, 409, "upload-claimed")["location"] == f"/documents/{created.json()}"
    assert again.headers["location"] == f"/documents/{created.json()}"
    assert await site.rows(Document) == 1
    await site.client.delete(f"/documents/{created.json()}")
    assert "location" not in problem_in(await post(site, way, upload["id"]), 409, "upload-claimed")


async def test_a_row_of_another_model(site: Site) -> None:
    """Nobody knows a path for it, and a second claim says why."""
    upload = await send(site.client, headers=ANN)
    created = await site.client.post("/elsewhere", params={"upload": upload["id"]}, headers=ANN)
    again = await site.client.post("/elsewhere", params={"upload": upload["id"]}, headers=ANN)

    assert created.status_code == 201, created.text
    problem = problem_in(again, 409, "upload-claimed")
    assert ("location" in problem, "a route of the application's own wrote" in problem["detail"]) == (False, True)


@pytest.mark.parametrize("url", ["/raising", "/looking"])
async def test_a_route_that_does_not_take_it(site: Site, url: str) -> None:
    """After an error, and where no row has the file, it is an upload still."""
    upload = await send(site.client, headers=ANN)
    params = {"title": "t", "upload": upload["id"]}
    answers = [await site.client.post(url, params=params, headers=ANN) for _ in range(2)]
    state = await site.client.get(upload["url"], headers=ANN)

    assert [answer.status_code for answer in answers] == [418 if url == "/raising" else 200] * 2
    assert state.json()["state"] == "complete"
    assert await site.rows(Document) == 0
    assert (await post(site, "json", upload["id"])).status_code == 201


async def test_a_row_that_can_not_be_written(site: Site) -> None:
    """A conflict is told as ever, and the upload is for the next try."""
    await site.client.post("/documents/", json={"title": "t"}, headers=ANN)
    upload = await send(site.client, headers=ANN)
    problem_in(await post(site, "json", upload["id"]), 409, "row-conflict")
    await site.client.patch("/documents/1", json={"title": "u"})

    assert (await post(site, "json", upload["id"])).status_code == 201


async def test_what_names_none(site: Site) -> None:
    """A request without an id, with an empty one or with two is told so."""
    upload = await send(site.client, headers=ANN)
    bodies: list[Any] = [
        {},
        {"data": {"title": "t"}},
        {"json": {"title": "t"}},
        {"json": []},
        {"params": {"upload": ""}},
    ]
    for body in bodies:
        answer = await site.client.post("/looking", headers=ANN, **body)

        assert problem_in(answer, 422, "invalid-fields")["errors"][0]["loc"] == ["upload"], body
    two = await site.client.post("/looking", params={"upload": f"{upload['id']},{'a' * 43}"}, headers=ANN)
    problem_in(two, 422, "too-many-files")


async def test_what_is_not_there_is_told(site: Site) -> None:
    """An upload whose bytes never came is a conflict here, too."""
    upload = await begin(site.client, headers=ANN)

    problem_in(await post(site, "json", upload["id"]), 409, "upload-incomplete")


async def test_a_column_is_named(site: Site) -> None:
    """An upload is for one column; one of another is none."""
    booklet = await send(site.client, at="/albums/uploads", field="booklet")
    cover = await send(site.client, at="/albums/uploads")
    created = await site.client.post("/albums-of-mine", json={"upload": booklet["id"]})

    assert created.status_code == 201, created.text
    assert (await site.client.get(f"/albums/{created.json()}/booklet")).content == b"content"
    problem_in(await site.client.post("/albums-of-mine", json={"upload": cover["id"]}), 404, "upload-not-found")


@pytest.mark.parametrize("way", ["json", "data", "params"])
async def test_a_list_takes_several(site: Site, way: str) -> None:
    """A column of several files has all that are named, in their order, or the one; each of them once."""
    uploads = [await send(site.client, b"%d" % n, "/albums/uploads", filename=f"{n}", field="photos") for n in range(3)]
    one, two, three = [upload["id"] for upload in uploads]
    named = [[two, one] if way == "json" else f"{two},{one}", three]
    bodies: list[Any] = [{way: {"upload": ids}} for ids in named]
    created = [await site.client.post("/photos-of-mine", **body) for body in bodies]
    again = await site.client.post("/photos-of-mine", json={"upload": [one, three]})
    albums = [(await site.client.get(f"/albums/{answer.json()}")).json() for answer in created]

    assert [answer.status_code for answer in created] == [201, 201], [answer.text for answer in created]
    assert [[photo["filename"] for photo in album["photos"]] for album in albums] == [["1", "0"], ["2"]]
    assert problem_in(again, 409, "upload-claimed")["location"] == f"/albums/{created[0].json()}"


async def test_a_list_that_no_row_takes(site: Site) -> None:
    """More than the column may have, or what the route does not keep, are uploads still."""
    uploads = [await send(site.client, at="/books/uploads", field="pages") for _ in range(5)]
    ids = [upload["id"] for upload in uploads]
    many = await site.client.post("/pages-of-mine", json={"upload": ids})
    few = await site.client.post("/pages-of-mine", json={"upload": ids[:4]})
    cover = await send(site.client, at="/books/uploads")

    problem = problem_in(many, 422, "too-many-files")
    assert (problem["limit"], problem["actual"], few.json()) == (4, 5, 4)
    assert [(await site.client.get(upload["url"])).json()["state"] for upload in uploads] == ["complete"] * 4 + ["open"]
    mixed = await site.client.post("/pages-of-mine", json={"upload": [ids[0], cover["id"]]})
    problem_in(mixed, 404, "upload-not-found")


async def test_an_owner_that_a_test_replaces(serve: Serve) -> None:
    """`dependency_overrides` says whose uploads are, of the router and of routes of one's own."""
    async with serve(build=own_routes, signing_keys=[SIGNING_KEY]) as site:
        site.app.dependency_overrides[who] = lambda: "test"
        upload = await send(site.client)

        assert (await site.client.post("/query", params={"title": "t", "upload": upload["id"]})).status_code == 201


def test_mistakes_are_told_at_the_start() -> None:
    """No router of the model has uploads, or two have, or there is no such column."""
    files = Filestore(nothing)
    with pytest.raises(ConfigurationError, match="make its router first"):
        files.uploaded(Document)
    for _ in range(2):
        files.router(Document, uploads=True)
    with pytest.raises(ConfigurationError, match="name one by service="):
        files.uploaded(Document)
    files.router(Album, uploads=True)
    with pytest.raises(ConfigurationError, match="nonsense"):
        files.uploaded(Album, field="nonsense")
