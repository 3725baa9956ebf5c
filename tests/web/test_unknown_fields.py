"""Fields that nobody asked for, as uploaders of browsers send them: ignored, or refused by name."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel

from fastapi_filestore import ConfigurationError, Filestore, Upload
from tests.web.conftest import Serve
from tests.web.models import Document, Paper
from tests.web.site import Site, problem_in

FILE = {"file": ("a.txt", b"x", "text/plain")}
UPPY = {"relativePath": "null", "name": "a.txt", "type": "text/plain"}
DROPZONE = {
    "dzuuid": "f9b1",
    "dzchunkindex": "0",
    "dztotalfilesize": "30",
    "dzchunksize": "10",
    "dztotalchunkcount": "3",
    "dzchunkbyteoffset": "0",
}
CHUNKS = [
    ({"dztotalchunkcount": "3"}, "Dropzone's option `chunking`"),
    ({"flowTotalChunks": "2"}, "Flow.js' option `chunkSize`"),
    ({"resumableTotalChunks": "2"}, "Resumable.js' option `chunkSize`"),
    ({"chunk": "0", "chunks": "2"}, "Plupload's option `chunk_size`"),
    ({"qqtotalparts": "2"}, "Fine Uploader's option `chunking.enabled`"),
]
"""What uploaders say with a chunk, and the option that turns chunks off."""


class Titled(BaseModel):
    """A form of one's own."""

    title: str


class Strict(Titled, extra="forbid"):
    """One that wants to hear of what it does not know."""


class Chunk(BaseModel):
    """The form of a route that puts chunks together by itself."""

    dztotalchunkcount: int


def build(app: FastAPI, files: Filestore) -> None:
    """Mount routers of each kind, and a route of one's own."""
    app.include_router(files.router(Document), prefix="/ignoring")
    app.include_router(files.router(Document, unknown_fields="refuse"), prefix="/refusing")
    app.include_router(files.router(Document, create=Titled), prefix="/own")
    app.include_router(files.router(Document, create=Titled, unknown_fields="refuse"), prefix="/own-refusing")
    app.include_router(files.router(Document, create=Strict), prefix="/strict")
    app.include_router(files.router(Paper, defaults={"owner": lambda: "alice"}), prefix="/papers")

    @app.post("/chunks")
    async def take(upload: Annotated[Upload, Depends(files.upload(fields=Chunk))]) -> Any:
        async for _ in upload:
            pass
        return upload.values

    @app.post("/any")
    async def take_any(upload: Annotated[Upload, Depends(files.upload())]) -> Any:
        async for _ in upload:
            pass
        return upload.fields


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """All of them."""
    async with serve(build=build, shared=True) as site:
        yield site
        await site.check()


@pytest.mark.parametrize("path", ["/ignoring/", "/own/"])
async def test_what_nobody_asked_for_is_ignored(site: Site, path: str) -> None:
    """A new row is made of the fields that it has, and a file is replaced, whatever else the form says."""
    created = await site.client.post(path, files=FILE, data={"title": "t"} | UPPY)
    replaced = await site.client.put("/ignoring/1/file", files=FILE, data=UPPY)

    assert (created.status_code, created.json()["title"]) == (201, "t")
    assert replaced.status_code == 200


async def test_text_in_the_field_of_the_file_is_ignored(site: Site) -> None:
    """FilePond sends its metadata there, before the file."""
    form: Any = [("title", (None, "t")), ("file", (None, "{}")), ("file", ("a.txt", b"content"))]
    created = await site.client.post("/ignoring/", files=form)
    replaced = await site.client.put("/ignoring/1/file", files=form[1:])

    assert (created.status_code, created.json()["file"]["size"]) == (201, 7)
    assert replaced.status_code == 200


@pytest.mark.parametrize("text", ["a.txt", "null", "[]", "{"])
async def test_other_text_in_the_field_of_the_file_is_refused(site: Site, text: str) -> None:
    """What is no metadata was meant to be the file."""
    form: Any = [("title", (None, "t")), ("file", (None, text)), ("file", ("a.txt", b"content"))]
    problem_in(await site.client.post("/ignoring/", files=form), 422, "invalid-fields")


@pytest.mark.parametrize("path", ["/refusing/", "/own-refusing/", "/strict/"])
@pytest.mark.parametrize("name", ["relativePath", "file"])
async def test_what_nobody_asked_for_is_refused_by_name(site: Site, path: str, name: str) -> None:
    """The setting of the router, or a model of one's own, has such a form answered with the field's name."""
    form: Any = [("title", (None, "t")), (name, (None, "{}")), ("file", ("a.txt", b"content"))]
    problem = problem_in(await site.client.post(path, files=form), 422, "invalid-fields")

    assert name in problem["detail"]
    assert [error["loc"] for error in problem["errors"]] == [[name]]
    assert await site.keys() == set()


@pytest.mark.parametrize("name", ["id", "token", "created_at", "_internal"])
async def test_what_a_client_may_not_set_is_refused(site: Site, name: str) -> None:
    """A column that the application or the database fills in is no addition of an uploader."""
    form = {"title": "t", name: "1"}
    refused = problem_in(await site.client.post("/ignoring/", files=FILE, data=form), 422, "invalid-fields")
    assert name == "_internal" or "unless create= of the router has it" in refused["detail"]
    problem_in(await site.client.post("/papers/", files=FILE, data={"title": "t", "owner": "b"}), 422, "invalid-fields")


@pytest.mark.parametrize("path", ["/ignoring/", "/refusing/"])
async def test_a_plain_default_is_the_clients_and_a_computed_one_is_not(site: Site, path: str) -> None:
    """`default=False` may be set; a default of a function or the database is refused, and the remedy is named."""
    form = {"title": "t", "signed": "true"}
    created = await site.client.post(path, files=FILE, data=form)
    changed = await site.client.patch("/ignoring/1", json={"created_at": "2020-01-01T00:00:00Z", "file": None})
    problem = problem_in(changed, 422, "invalid-fields")
    refused = await site.client.post(path, files=FILE, data=form | {"token": "x"})

    assert created.json()["signed"] is True
    assert {error["loc"][0]: "update= of the router" in error["msg"] for error in problem["errors"]} == {
        "created_at": True,
        "file": False,
    }
    assert "create= of the router" in problem_in(refused, 422, "invalid-fields")["detail"]


async def test_json_is_refused_as_ever(site: Site) -> None:
    """A PATCH with a field that is none is refused."""
    await site.client.post("/ignoring/", files=FILE, data={"title": "t"})
    problem = problem_in(await site.client.patch("/ignoring/1", json={"nonsense": "1"}), 422, "invalid-fields")

    assert problem["errors"][0]["loc"] == ["nonsense"]


@pytest.mark.parametrize("path", ["/ignoring/", "/refusing/", "/own/", "/any"])
@pytest.mark.parametrize(("fields", "option"), CHUNKS)
async def test_a_chunk_is_refused_with_the_option(serve: Serve, path: str, fields: dict[str, str], option: str) -> None:
    """A part of a file is not stored as if it were one, and the sentence says what to turn off."""

    def explained(app: FastAPI, files: Filestore) -> None:
        for kind, handler in files.exception_handlers.items():
            app.add_exception_handler(kind, handler)
        build(app, files)

    async with serve(build=explained, shared=True) as site:
        problem = problem_in(
            await site.client.post(path, files=FILE, data={"title": "t"} | fields), 400, "malformed-upload"
        )

        assert option in problem["detail"]
        assert await site.keys() == set()


async def test_a_whole_file_in_one_chunk_is_a_file(site: Site) -> None:
    """So does Dropzone send it with `forceChunking`."""
    created = await site.client.post(
        "/ignoring/", files=FILE, data={"title": "t"} | DROPZONE | {"dztotalchunkcount": "1"}
    )

    assert created.status_code == 201


async def test_a_chunk_is_its_routes_where_it_is_asked_for(site: Site) -> None:
    """A route whose fields know of chunks takes them."""
    assert (await site.client.post("/chunks", files=FILE, data=DROPZONE)).json() == {"dztotalchunkcount": 3}


@pytest.mark.parametrize(
    ("headers", "files"),
    [
        ({"content-range": "bytes 0-9/30"}, FILE),
        ({"upload-length": "30"}, {"file": (None, "{}")}),
    ],
)
async def test_a_chunk_of_a_header_is_refused(site: Site, headers: dict[str, str], files: Any) -> None:
    """JQuery File Upload and FilePond say in a header that more is to come."""
    response = await site.client.post("/ignoring/", files=files, headers=headers)

    assert "chunk" in problem_in(response, 400, "malformed-upload")["detail"].lower()


async def test_a_file_in_another_field_is_told_as_one(site: Site) -> None:
    """The name under which it came, and the one under which it is taken."""
    response = await site.client.post("/ignoring/", files={"files[]": b"x"}, data={"title": "t"})
    problem = problem_in(response, 422, "missing-file")

    assert "'files[]'" in problem["detail"]
    assert "'file'" in problem["detail"]


async def test_a_file_without_a_name_is_told_as_one(site: Site) -> None:
    """It is text to every server, so the sentence says that the filename is missing."""
    response = await site.client.post("/ignoring/", files={"file": (None, b"\x89PNG"), "title": (None, "t")})

    assert "has no filename" in problem_in(response, 422, "missing-file")["detail"]


def test_a_wrong_setting_is_told_at_once() -> None:
    """A router knows two words for what becomes of such fields."""
    unknown: Any = "forbid"

    with pytest.raises(ConfigurationError, match="'ignore' or 'refuse'"):
        Filestore(lambda: None).router(Document, unknown_fields=unknown)
