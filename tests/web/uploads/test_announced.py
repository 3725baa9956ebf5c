"""`POST …/uploads`: what a client may announce, and where it may store that by itself."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient

from fastapi_filestore import ConfigurationError, Filestore, ObstoreBackend, StorageBackend, storages
from tests.servers.seaweedfs import SeaweedFS
from tests.storage.stores import QUICK_RETRIES
from tests.web.conftest import Serve
from tests.web.filestores import nothing
from tests.web.mapped import Photo as PhotoWithoutUploads
from tests.web.models import Document, Photo
from tests.web.site import SIGNING_KEY, Site, documents, problem_in
from tests.web.uploading import begin, put


def direct(app: FastAPI, files: Filestore) -> None:
    """Mount the documents with uploads, and the route of signed URLs."""
    app.include_router(files.router(Document, uploads=True), prefix="/documents")
    app.include_router(files.signed_router())


def ruled(app: FastAPI, files: Filestore) -> None:
    """Mount routers whose files have rules: of their columns, of their own, of both."""
    app.include_router(files.router(Photo, uploads=True), prefix="/column")
    app.include_router(files.router(Photo, max_size=500, content_types=["*/*"], uploads=True), prefix="/both")
    app.include_router(files.router(Photo, max_size=900, uploads=True), prefix="/wider")
    app.include_router(
        files.router(Document, max_size=600, content_types=["image/*"], sniff=True, uploads=True), prefix="/sniffing"
    )
    app.include_router(files.router(Document, max_size=5000, uploads=True), prefix="/documents")
    app.include_router(files.signed_router())


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """Documents and signed URLs."""
    async with serve(build=direct, signing_keys=[SIGNING_KEY], max_upload_size=1000, shared=True) as site:
        yield site
        await site.check()


async def test_what_a_client_is_told(site: Site) -> None:
    """URL, method and headers are all that a client needs; the upload is asked for at its URL."""
    upload = await begin(site.client, filename="big.bin", content_type="application/x-big", size=5)
    stored = await put(site.client, upload, b"bytes")
    again = (await site.client.get(upload["url"])).json()

    assert stored.status_code == 201
    assert (upload["filename"], upload["content_type"], upload["size"]) == ("big.bin", "application/x-big", 5)
    assert (upload["state"], upload["field"], upload["received"]) == ("open", "file", 0)
    assert (upload["direct"]["method"], upload["direct"]["headers"]) == ("PUT", {"Content-Type": "application/x-big"})
    assert again == upload | {"direct": None}
    assert upload["url"] == f"/documents/uploads/{upload['id']}"


async def test_routers_have_uploads_if_asked(serve: Serve) -> None:
    """A router keeps uploads only with `uploads=`."""
    async with serve(build=documents, signing_keys=[SIGNING_KEY], shared=True) as site:
        assert (await site.client.post("/documents/uploads", json={"filename": "a"})).status_code == 405
        assert not any("uploads" in path for path in site.app.openapi()["paths"])


async def test_without_a_signing_key_there_is_no_url(serve: Serve) -> None:
    """Where neither store nor application can sign, `direct` is empty: tus works all the same."""
    async with serve(build=direct, shared=True) as site:
        assert (await begin(site.client))["direct"] is None


@pytest.mark.parametrize(
    ("announced", "place"),
    [
        ({}, ["filename"]),
        ({"filename": ""}, ["filename"]),
        ({"filename": "x" * 1025}, ["filename"]),
        ({"filename": "a", "content_type": "x" * 256}, ["content_type"]),
        ({"filename": "a", "size": -1}, ["size"]),
        ({"filename": "a", "size": "5.5"}, ["size"]),
        ({"filename": "a", "sha256": "abc"}, ["sha256"]),
        ({"filename": "a", "field": "title"}, ["field"]),
        ({"filename": "a", "owner": "ann"}, ["owner"]),
        ([], []),
        ("text", []),
    ],
)
async def test_a_bad_announcement_is_a_problem(site: Site, announced: Any, place: list[str]) -> None:
    """What is missing, no value or unknown is named."""
    problem = problem_in(await site.client.post("/documents/uploads", json=announced), 422, "invalid-fields")

    assert problem["errors"][0]["loc"] == place


@pytest.mark.parametrize("content_type", ["nonsense", "text/html\r\nX: y", "text/ä", ""])
async def test_a_type_that_is_none_is_refused(site: Site, content_type: str) -> None:
    """The type must be one that a header can hold."""
    response = await site.client.post("/documents/uploads", json={"filename": "a", "content_type": content_type})

    assert response.status_code == 422, response.text


@pytest.mark.parametrize(
    ("path", "filename", "content_type", "status"),
    [
        ("/column", "a.png", "image/png", 201),
        ("/column", "a.html", "text/html", 415),
        ("/column", "a.png", None, 415),  # what is declared counts, and nothing is
        ("/both", "a.png", "image/png", 201),
        ("/both", "a.html", "text/html", 415),  # the router takes it, the column does not
        ("/sniffing", "a.png", "image/png", 201),
        ("/sniffing", "a.png", None, 201),  # here the name counts, too
        ("/sniffing", "a.html", None, 415),
        ("/sniffing", "a.png", "text/html", 415),
        ("/documents", "a.html", "text/html", 201),
    ],
)
async def test_an_upload_is_of_a_type_that_is_taken(
    serve: Serve, path: str, filename: str, content_type: str | None, status: int
) -> None:
    """A type that the router or its column refuses is a 415, before a byte goes to the store."""
    announced = {"filename": filename} | ({} if content_type is None else {"content_type": content_type})
    async with serve(build=ruled, signing_keys=[SIGNING_KEY], shared=True) as site:
        response = await site.client.post(f"{path}/uploads", json=announced)

        assert response.status_code == status, response.text
        if status == 415:
            assert problem_in(response, 415, "unsupported-upload")["expected"] == ["image/*"]


@pytest.mark.parametrize(
    ("path", "limit"), [("/column", 700), ("/both", 500), ("/wider", 700), ("/sniffing", 600), ("/documents", 1000)]
)
async def test_an_upload_has_the_smallest_limit(serve: Serve, path: str, limit: int) -> None:
    """Router, column and settings: what is larger than any of them is a 413 when it is announced, and when it comes."""
    picture = {"filename": "a.png", "content_type": "image/png"}
    async with serve(build=ruled, signing_keys=[SIGNING_KEY], max_upload_size=1000, shared=True) as site:
        announced = await site.client.post(f"{path}/uploads", json=picture | {"size": limit + 1})
        upload = await begin(site.client, f"{path}/uploads", **picture)
        large = await put(site.client, upload, b"x" * (limit + 1))
        assert await site.keys() == set()
        right = await put(site.client, upload, b"x" * limit)

        assert problem_in(announced, 413, "upload-too-large")["limit"] == limit
        assert problem_in(large, 413, "upload-too-large")["limit"] == limit
        assert right.status_code == 201


async def test_a_url_of_s3_is_s3s_own(serve: Serve, seaweedfs: SeaweedFS, backend: StorageBackend) -> None:
    """A store that presigns does so: the client talks to it directly, once, and only as the URL says."""
    options: dict[str, Any] = {
        "aws_endpoint": seaweedfs.endpoint,
        "aws_access_key_id": seaweedfs.access_key,
        "aws_secret_access_key": seaweedfs.secret_key,
        "aws_region": seaweedfs.region,
        "retry_config": QUICK_RETRIES,
    }
    s3 = ObstoreBackend(key="web", fs=f"s3://{seaweedfs.bucket}/direct-{id(options)}", **options)
    async with serve(backend=s3, build=direct) as site:
        storages.register_backend(s3, replace=True)
        async with AsyncClient() as client:
            upload = await begin(site.client, filename="ä.png", size=5)
            url = upload["direct"]["url"]
            tampered = await client.put(f"{url}0", content=b"evil!", headers=upload["direct"]["headers"])
            sent = await put(client, upload, b"bytes")
            again = await put(client, upload, b"other")
        (path,) = await site.keys()
        created = await site.client.post("/documents/", json={"title": "t", "upload": upload["id"]})
        assert created.status_code == 201, created.text

        assert url.startswith(seaweedfs.endpoint)
        assert (sent.status_code, tampered.status_code, again.status_code) == (200, 403, 412)
        assert (await site.client.get(f"{created.headers['location']}/file")).content == b"bytes"
        assert await site.keys() == {path}  # without a copy
        await site.client.delete(created.headers["location"])
        await site.check_empty()
        storages.register_backend(backend, replace=True)


def test_uploads_need_their_tables() -> None:
    """A metadata without them stops the program where the router is made, and the message names what to call."""
    with pytest.raises(ConfigurationError, match=r"add_ledger\(Base.metadata\) and add_uploads\(Base.metadata\)"):
        Filestore(nothing).router(PhotoWithoutUploads, uploads=True)
