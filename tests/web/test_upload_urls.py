"""`POST /upload-url`: where a client may store a file by itself, and what it may store there."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import (
    FileObject,
    FileService,
    Filestore,
    ObstoreBackend,
    StorageBackend,
    StoredObject,
    storages,
)
from tests.servers.seaweedfs import SeaweedFS
from tests.storage.stores import QUICK_RETRIES
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import SIGNING_KEY, Site, documents, problem_in


class Base(DeclarativeBase):
    """A table that no upload URL looks at."""


class Photo(Base):
    """A row that takes pictures only."""

    __tablename__ = "photos"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="web", max_size=700, content_types=["image/*"]))


def signed(app: FastAPI, files: Filestore) -> None:
    """Mount the documents with upload URLs, and the route of signed URLs."""
    app.include_router(files.router(Document, upload_url=True), prefix="/documents")
    app.include_router(files.signed_router())


def ruled(app: FastAPI, files: Filestore) -> None:
    """Mount routers whose files have rules: of their columns, of their own, of both."""
    app.include_router(files.router(Photo, upload_url=True), prefix="/column")
    app.include_router(files.router(Photo, max_size=500, content_types=["*/*"], upload_url=True), prefix="/both")
    app.include_router(files.router(Photo, max_size=900, upload_url=True), prefix="/wider")
    app.include_router(
        files.router(Document, max_size=600, content_types=["image/*"], sniff=True, upload_url=True), prefix="/sniffing"
    )
    app.include_router(files.router(Document, max_size=5000, upload_url=True), prefix="/documents")
    app.include_router(files.signed_router())


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """Documents and signed URLs."""
    async with serve(build=signed, signing_keys=[SIGNING_KEY], max_upload_size=1000, shared=True) as site:
        yield site


async def test_an_upload_url_stores_a_file(site: Site) -> None:
    """URL, method and headers of the answer are all that a client needs; the file is confirmed by its path."""
    query = {"filename": "big.bin", "content_type": "application/x-big"}
    answer = (await site.client.post("/documents/upload-url", params=query)).json()
    sent = await site.client.request(
        answer["method"], answer["upload_url"], content=b"bytes", headers=answer["headers"]
    )
    (path,) = await site.keys()
    file = await FileObject("web", answer["filename"], path=path).confirm_async()

    assert (sent.status_code, file.size, file.state.name) == (201, 5, "STORED")
    assert (answer["filename"], answer["expires_in"], answer["method"]) == ("big.bin", 3600, "PUT")
    assert answer["headers"] == {"Content-Type": "application/x-big"}


async def test_a_confirmed_file_goes_into_a_row(site: Site) -> None:
    """A row takes what a client stored by itself, and refuses what nobody stored."""
    answer = (await site.client.post("/documents/upload-url", params={"filename": "a.txt"})).json()
    await site.client.put(answer["upload_url"], content=b"bytes", headers=answer["headers"])
    (path,) = await site.keys()
    async with site.session() as session:
        service = FileService(session, model=Document)
        await service.create({"title": "t", "file": FileObject("web", "a.txt", path=path)})
        await service.commit()

    assert (await site.client.get("/documents/1/file")).content == b"bytes"
    await site.check()


async def test_upload_urls_are_there_if_asked_for(serve: Serve) -> None:
    """A router signs uploads only with `upload_url=True`."""
    async with serve(build=documents, signing_keys=[SIGNING_KEY]) as site:
        assert (await site.client.post("/documents/upload-url", params={"filename": "a"})).status_code == 405
        assert not any("upload-url" in path for path in site.app.openapi()["paths"])


async def test_an_upload_url_needs_a_signing_key(serve: Serve) -> None:
    """Without one, a store that can't presign is a 501 that says so."""
    async with serve(build=signed) as site:
        response = await site.client.post("/documents/upload-url", params={"filename": "a"})

        assert "signed URLs" in problem_in(response, 501, "signing-unavailable")["detail"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({}, "invalid-fields"),
        ({"filename": ""}, "invalid-fields"),
        ({"filename": "x" * 1025}, "invalid-fields"),
        ({"filename": "a", "content_type": "nonsense"}, "unsupported-content"),
        ({"filename": "a", "content_type": "text/html\r\nX: y"}, "unsupported-content"),
        ({"filename": "a", "content_type": "x" * 256}, "invalid-fields"),
    ],
)
async def test_a_bad_request_for_an_upload_url_is_a_problem(site: Site, query: dict[str, str], name: str) -> None:
    """The name must be there, and the type must be one."""
    problem_in(await site.client.post("/documents/upload-url", params=query), 422, name)


@pytest.mark.parametrize(
    ("path", "filename", "content_type", "status"),
    [
        ("/column", "a.png", "image/png", 200),
        ("/column", "a.html", "text/html", 415),
        ("/column", "a.png", None, 415),  # what is declared counts, and nothing is
        ("/both", "a.png", "image/png", 200),
        ("/both", "a.html", "text/html", 415),  # the router takes it, the column does not
        ("/sniffing", "a.png", "image/png", 200),
        ("/sniffing", "a.png", None, 200),  # here the name counts, too
        ("/sniffing", "a.html", None, 415),
        ("/sniffing", "a.png", "text/html", 415),
        ("/documents", "a.html", "text/html", 200),
    ],
)
async def test_an_upload_url_is_for_a_type_that_is_taken(
    serve: Serve, path: str, filename: str, content_type: str | None, status: int
) -> None:
    """A type that the router or its column refuses is a 415, before a byte goes to the store."""
    query = {"filename": filename} | ({} if content_type is None else {"content_type": content_type})
    async with serve(build=ruled, signing_keys=[SIGNING_KEY]) as site:
        response = await site.client.post(f"{path}/upload-url", params=query)

        assert response.status_code == status, response.text
        if status == 415:
            assert problem_in(response, 415, "unsupported-upload")["expected"] == ["image/*"]


@pytest.mark.parametrize(
    ("path", "limit"), [("/column", 700), ("/both", 500), ("/wider", 700), ("/sniffing", 600), ("/documents", 1000)]
)
async def test_an_upload_url_has_the_smallest_limit(serve: Serve, path: str, limit: int) -> None:
    """Router, column and settings: a body past any of their limits is a 413 that leaves nothing."""
    query = {"filename": "a.png", "content_type": "image/png"}
    async with serve(build=ruled, signing_keys=[SIGNING_KEY], max_upload_size=1000) as site:
        answer = (await site.client.post(f"{path}/upload-url", params=query)).json()
        large = await site.client.put(answer["upload_url"], content=b"x" * (limit + 1), headers=answer["headers"])
        assert await site.keys() == set()
        right = await site.client.put(answer["upload_url"], content=b"x" * limit, headers=answer["headers"])

        assert problem_in(large, 413, "upload-too-large")["limit"] == limit
        assert right.status_code == 201


async def test_an_upload_url_of_s3_is_s3s_own(serve: Serve, seaweedfs: SeaweedFS, backend: StorageBackend) -> None:
    """A store that presigns does so: the client talks to it directly, and only as the URL says."""
    options: dict[str, Any] = {
        "aws_endpoint": seaweedfs.endpoint,
        "aws_access_key_id": seaweedfs.access_key,
        "aws_secret_access_key": seaweedfs.secret_key,
        "aws_region": seaweedfs.region,
        "retry_config": QUICK_RETRIES,
    }
    s3 = ObstoreBackend(key="web", fs=f"s3://{seaweedfs.bucket}/upload-url-{id(options)}", **options)
    async with serve(backend=s3, build=signed) as site:
        storages.register_backend(s3, replace=True)
        answer = (await site.client.post("/documents/upload-url", params={"filename": "ä.png"})).json()
        async with AsyncClient() as client:
            sent = await client.put(answer["upload_url"], content=b"bytes", headers=answer["headers"])
            tampered = await client.put(answer["upload_url"] + "0", content=b"evil", headers=answer["headers"])
        (path,) = await site.keys()

        assert (sent.status_code, tampered.status_code) == (200, 403)
        assert answer["upload_url"].startswith(seaweedfs.endpoint)
        assert (await FileObject("web", "a", path=path).confirm_async()).size == 5
        await s3.delete(path)
        storages.register_backend(backend, replace=True)
