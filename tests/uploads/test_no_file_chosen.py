"""What a browser sends for a file input that was left empty: no file, and never an empty one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request, UploadFile
from httpx import Response
from starlette.datastructures import FormData

from fastapi_filestore import FileObject, FileService, Filestore, NoFileChosenError, Upload, Uploads
from tests.web.conftest import Serve
from tests.web.models import Album
from tests.web.site import Site, problem_in

CHOSEN = b'--b\r\nContent-Disposition: form-data; name="cover"; filename="a.txt"\r\n\r\nchosen\r\n'
UNCHOSEN = b'--b\r\nContent-Disposition: form-data; name="cover"; filename=""\r\n\r\n%s\r\n'
"""A part as browsers send it for an empty input, and with bytes, as no browser does."""


async def send(site: Site, path: str, *parts: bytes, method: str = "POST") -> Response:
    """Send a form."""
    headers = {"content-type": "multipart/form-data; boundary=b"}
    return await site.client.request(method, path, content=b"".join(parts) + b"--b--\r\n", headers=headers)


async def _assign(service: FileService[Album], cover: UploadFile) -> None:
    (await service.get(1)).cover = cover  # type: ignore[assignment]


async def _store_first(service: FileService[Album], cover: UploadFile) -> None:
    async with service.storing(cover, field="cover") as file:
        await service.update(1, {"cover": file})


async def _as_content(service: FileService[Album], cover: UploadFile) -> None:
    await service.update(1, {"cover": FileObject(filename="a.txt", content=cover)})


WAYS: dict[str, Callable[[FileService[Album], UploadFile], Awaitable[object]]] = {
    "create": lambda service, cover: service.create({"cover": cover}),
    "update": lambda service, cover: service.update(1, {"cover": cover}),
    "replace": lambda service, cover: service.replace(1, cover, field="cover"),
    "stored": _store_first,
    "assigned": _assign,
    "in a list": lambda service, cover: service.update(1, {"photos": [FileObject(content=b"a"), cover]}),
    "content": _as_content,
    "saved": lambda service, cover: FileObject("web").save_async(cover),
}


async def form_of(request: Request) -> AsyncIterator[FormData]:
    """Read a form in Starlette's own way."""
    async with request.form() as form:
        yield form


def build(app: FastAPI, files: Filestore) -> None:
    """Add the router, and routes that are given files in every way that there is."""
    Service = Annotated[FileService[Album], Depends(files.service(Album))]  # noqa: N806 - a type
    app.include_router(files.router(Album, field="cover"), prefix="/albums")

    @app.post("/form")
    async def by_form(form: Annotated[Any, Depends(form_of)], service: Service, way: str) -> None:
        await WAYS[way](service, form["cover"])

    @app.post("/list")
    async def in_list(form: Annotated[Any, Depends(form_of)], service: Service) -> None:
        await service.update(1, {"photos": form.getlist("cover")})

    @app.post("/streamed")
    async def streamed(service: Service, upload: Annotated[Upload, Depends(files.upload("cover"))]) -> None:
        await service.update(1, {"cover": upload})

    @app.post("/streamed-list")
    async def streamed_list(
        service: Service, uploads: Annotated[Uploads, Depends(files.uploads("cover", max_files=5))]
    ) -> None:
        await service.update(1, {"photos": uploads})


@pytest.fixture
async def albums(serve: Serve) -> AsyncIterator[Site]:
    """A site with an album whose cover is chosen by a form."""
    async with serve(build=build) as site:
        site.app.exception_handlers |= site.files.exception_handlers
        async with site.session() as session:
            session.add(Album(id=1, cover=FileObject(content=b"old"), photos=[FileObject(content=b"old")]))
            await session.commit()
        yield site
        await site.check()


FORMS = [f"/form?way={way}" for way in WAYS]


@pytest.mark.parametrize("route", [*FORMS, "/list", "/streamed", "/streamed-list"])
async def test_an_empty_input_is_refused(albums: Site, route: str) -> None:
    """It is a 422 that names the field, and the stored file stays."""
    response = await send(albums, route, UNCHOSEN % b"")

    assert problem_in(response, 422, "missing-file")["field"] == "cover"
    async with albums.session() as session:
        album = await session.get(Album, 1)
    assert await album.cover.get_content_async() == await album.photos[0].get_content_async() == b"old"
    assert len(await albums.keys()) == 2


async def test_an_empty_input_beside_another(albums: Site) -> None:
    """A list of which one was not chosen is refused whole."""
    response = await send(albums, "/list", CHOSEN, UNCHOSEN % b"")

    problem_in(response, 422, "missing-file")
    assert len(await albums.keys()) == 2


@pytest.mark.parametrize("route", ["/form?way=create", "/form?way=assigned", "/form?way=content"])
async def test_an_empty_file_is_one(albums: Site, route: str) -> None:
    """A file of no bytes that was chosen has a name, and is stored."""
    response = await albums.client.post(route, files={"cover": ("empty.txt", b"")})

    assert response.status_code == 200, response.text
    async with albums.session() as session:
        newest = (await session.get(Album, 2)) or await session.get(Album, 1)
    assert newest.cover.size == 0


async def test_the_router_replaces_nothing_by_it(albums: Site) -> None:
    """PUT of the router with an empty input is 422, too."""
    response = await send(albums, "/albums/1/file", UNCHOSEN % b"", method="PUT")

    assert problem_in(response, 422, "missing-file")["field"] == "cover"


async def test_the_router_makes_a_row_without_it(albums: Site) -> None:
    """POST of the router with an empty input makes a row that has no file, where the column may be empty."""
    response = await send(albums, "/albums/", UNCHOSEN % b"")

    assert (response.status_code, response.json()["cover"]) == (201, None)


@pytest.mark.parametrize("route", ["/streamed", "/streamed-list"])
async def test_bytes_without_a_name(albums: Site, route: str) -> None:
    """Bytes that come under an empty name are not dropped in silence: 400, and the form leaves nothing."""
    response = await send(albums, route, CHOSEN, UNCHOSEN % b"nameless")

    assert "has no name" in problem_in(response, 400, "malformed-upload")["detail"]
    assert len(await albums.keys()) == 2


def test_an_upload_that_knows_no_field() -> None:
    """One made by hand, without the headers of a form, is refused as well."""
    with pytest.raises(NoFileChosenError, match="No file was chosen: ") as caught:
        FileObject(content=UploadFile(_Nothing(), filename="", size=0))  # type: ignore[arg-type]

    assert caught.value.field is None


class _Nothing:
    """A file without bytes."""

    def read(self, size: int = -1) -> bytes:
        """Return nothing."""
        return b""
