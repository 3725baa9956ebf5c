"""What clients of tus leave to the server: where an upload is for them, and the type of a file that they don't tell."""

from base64 import b64encode

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response

from fastapi_filestore import Filestore
from tests.web.conftest import Serve
from tests.web.models import Photo
from tests.web.several import Entry
from tests.web.site import problem_in

TUS = {"Tus-Resumable": "1.0.0"}


def photos(app: FastAPI, files: Filestore) -> None:
    """Mount a column that takes pictures only."""
    app.include_router(files.router(Photo, uploads=True), prefix="/photos")


def below_a_prefix(app: FastAPI, files: Filestore) -> None:
    """Mount them behind a proxy that takes a prefix away, and says so."""
    photos(app, files)
    app.root_path = "/api"


async def begun(client: AsyncClient, headers: dict[str, str], **metadata: str) -> Response:
    """Begin an upload of five bytes."""
    pairs = ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in metadata.items())
    return await client.post(
        "/photos/uploads", headers={**TUS, "Upload-Length": "5", "Upload-Metadata": pairs, **headers}
    )


@pytest.mark.parametrize(
    ("headers", "place"),
    [
        ({}, "uploads/"),
        ({"Origin": "https://elsewhere.example"}, "uploads/"),
        ({"Origin": "http://app.example:8000", "Host": "app.example"}, "uploads/"),
        ({"Origin": "null"}, "uploads/"),
        ({"Origin": "http://[::1"}, "uploads/"),
        ({"Origin": "https://app.example", "Host": "app.example"}, "/api/photos/uploads/"),
    ],
)
async def test_where_an_upload_is(serve: Serve, headers: dict[str, str], place: str) -> None:
    """A URL is relative to what the client asked for; pages of the same host get the whole path, with its prefix."""
    async with serve(build=below_a_prefix, shared=True) as site:
        answer = await begun(site.client, headers, filename="a.png")

        assert answer.status_code == 201
        assert answer.headers["Location"].rpartition("/")[0] + "/" == place


@pytest.mark.parametrize(
    ("metadata", "status"),
    [
        ({"filename": "a.png"}, 201),
        ({"filename": "a.png", "filetype": ""}, 201),
        ({"filename": "a.png", "filetype": "application/octet-stream"}, 201),
        ({"filename": "a.png", "filetype": "no type"}, 201),
        ({"filename": "a.bin", "filetype": "image/png"}, 201),
        ({"filename": "a.png", "filetype": "text/html"}, 415),
        ({"filename": "a.bin"}, 415),
        ({}, 415),
    ],
)
async def test_the_type_of_a_file(serve: Serve, metadata: dict[str, str], status: int) -> None:
    """A type that says nothing gives way to that of the name, as in a form."""
    async with serve(build=photos, shared=True) as site:
        assert (await begun(site.client, {}, **metadata)).status_code == status


async def test_a_part_has_no_type(serve: Serve) -> None:
    """Name and type are told of the upload that is made of parts, which is judged by them; each part has a size."""
    async with serve(build=photos, shared=True) as site:
        part = await begun(site.client, {"Upload-Concat": "partial"})
        large = await begun(site.client, {"Upload-Concat": "partial", "Upload-Length": "9000000"})
        url = "/photos/" + part.headers["Location"]
        sent = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        await site.client.patch(url, headers=sent, content=b"bytes")
        whole = {**TUS, "Upload-Concat": f"final;{url}", "Upload-Metadata": "filename " + b64encode(b"a.txt").decode()}
        refused = await site.client.post("/photos/uploads", headers=whole)

        assert part.status_code == 201
        assert problem_in(large, 413, "upload-too-large")["limit"] == 700
        assert problem_in(refused, 415, "unsupported-upload")


def entries(app: FastAPI, files: Filestore) -> None:
    """Mount rows whose first column takes less than the others."""
    app.include_router(files.router(Entry, uploads=True), prefix="/entries")


@pytest.mark.parametrize(("field", "most"), [("cover", 100), ("back", 1000), ("pages", 1000)])
@pytest.mark.parametrize("said", ["at first", "later", "never"])
async def test_a_column_has_its_own_limit(serve: Serve, field: str, most: int, said: str) -> None:
    """Each column takes what it says, whatever the first one does, and whenever a client tells the length."""
    metadata = {
        "Upload-Metadata": f"filename {b64encode(b'a.txt').decode()},field {b64encode(field.encode()).decode()}"
    }
    content = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}

    async def send(client: AsyncClient, size: int) -> Response:
        length = {"Upload-Length": str(size)}
        first = length if said == "at first" else {"Upload-Defer-Length": "1"}
        begun = await client.post("/entries/uploads", headers={**TUS, **metadata, **first})
        if begun.status_code != 201:
            return begun
        then = length if said == "later" else {}
        url = f"/entries/{begun.headers['Location']}"
        return await client.patch(url, headers={**content, **then}, content=b"x" * size)

    async with serve(build=entries, max_upload_size=1000, shared=True) as site:
        described = await site.client.options("/entries/uploads")
        right, large = await send(site.client, most), await send(site.client, most + 1)

        assert described.headers["Tus-Max-Size"] == "1000"
        assert right.status_code == 204, right.text
        assert problem_in(large, 413, "upload-too-large")["limit"] == most
