"""What goes wrong behind the application, and what a client is told of it."""

import logging
import os
from collections.abc import AsyncIterator
from errno import EDQUOT, EIO, EMFILE, ENOSPC, EROFS
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import text

from fastapi_filestore import (
    FileObject,
    FileService,
    Filestore,
    FilestoreError,
    ObstoreBackend,
    StoragePermissionError,
    errors,
    storages,
)
from fastapi_filestore.testing import FaultyBackend
from fastapi_filestore.web.problems import KINDS, problem_of
from tests.servers.seaweedfs import SeaweedFS
from tests.storage.stores import QUICK_RETRIES
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import Site, problem_in


def broken(site: Site, *operations: str, **options: Any) -> FaultyBackend:
    """Put a failing backend in the place of the site's."""
    faulty = FaultyBackend(site.backend, lambda _, operation: operation in operations, **options)
    storages.register_backend(faulty, replace=True)
    return faulty


@pytest.mark.parametrize("after", [False, True])
async def test_a_store_that_is_down_is_a_503(site: Site, after: bool) -> None:
    """An upload answers 503 with Retry-After and leaves nothing, even if the store has the bytes all the same."""
    broken(site, "put", after=after)
    response = await site.upload()

    problem_in(response, 503, "store-unavailable")
    assert response.headers["retry-after"] == "5"
    await site.check_empty()


@pytest.mark.parametrize(
    ("number", "status", "name", "words"),
    [
        (ENOSPC, 507, "store-full", "No space left on device, ENOSPC"),
        (EDQUOT, 507, "store-full", "Disk quota exceeded, EDQUOT"),
        (EROFS, 500, "store-error", "Read-only file system, EROFS"),
        (EMFILE, 503, "store-unavailable", "Too many open files, EMFILE"),
        (EIO, 500, "store-error", "Input/output error, EIO"),
    ],
)
async def test_a_disk_that_refuses(
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    number: int,
    status: int,
    name: str,
    words: str,
) -> None:
    """A client hears whether the store is full, down or broken; operators read what the system says, and a remedy."""

    def writev(file: int, pieces: object) -> int:
        raise OSError(number, os.strerror(number))

    local = ObstoreBackend("web", tmp_path / "files")
    async with serve(backend=local) as site:
        storages.register_backend(local, replace=True)
        monkeypatch.setattr(os, "writev", writev)
        response = await site.upload()
        problem_in(response, status, name)

        assert words in caplog.text
        assert not any(word in response.text for word in (words, "web", "disk"))
        await site.check_empty()


async def test_a_replacement_that_fails_leaves_the_old_file(site: Site) -> None:
    """PUT to a store that is down is a 503, and the old bytes are still served."""
    await site.upload(content=b"old")
    broken(site, "put")
    response = await site.client.put("/documents/1/file", files={"file": ("a", b"new")})

    problem_in(response, 503, "store-unavailable")
    assert (await site.client.get("/documents/1/file")).content == b"old"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_download_from_a_store_that_is_down_is_a_503(site: Site, method: str) -> None:
    """GET and HEAD agree."""
    await site.upload()
    broken(site, "open", "head")
    response = await site.client.request(method, "/documents/1/file")

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_missing_object_is_a_404(serve: Serve, method: str) -> None:
    """A row whose bytes are gone is read, its file is not."""
    async with serve() as site:
        await site.upload()
        await site.backend.delete(*await site.keys())
        response = await site.client.request(method, "/documents/1/file")

        assert response.status_code == 404
        assert (await site.client.get("/documents/1")).status_code == 200


async def test_a_row_whose_object_is_missing_can_be_deleted(site: Site) -> None:
    """DELETE needs no bytes."""
    await site.upload()
    await site.backend.delete(*await site.keys())

    assert (await site.client.delete("/documents/1")).status_code == 204
    await site.check_empty()


@pytest.mark.parametrize(
    "wrong", [{"aws_secret_access_key": "wrong-secret"}, {"aws_access_key_id": "nobody"}, {"bucket": "no-such-bucket"}]
)
async def test_a_store_set_up_wrongly_is_a_500_without_its_setup(
    serve: Serve, seaweedfs: SeaweedFS, wrong: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """The client learns nothing of bucket, endpoint or key; the operators find the cause in the log."""
    options = {
        "aws_endpoint": seaweedfs.endpoint,
        "aws_access_key_id": seaweedfs.access_key,
        "aws_secret_access_key": seaweedfs.secret_key,
        "aws_region": seaweedfs.region,
        "retry_config": QUICK_RETRIES,
    } | {name: value for name, value in wrong.items() if name != "bucket"}
    s3: Any = ObstoreBackend(key="web", fs=f"s3://{wrong.get('bucket', seaweedfs.bucket)}/problems", **options)
    async with serve() as site:
        storages.register_backend(s3, replace=True)
        with caplog.at_level(logging.ERROR, "fastapi_filestore"):
            response = await site.upload()

        problem_in(response, 500, "store-error")
        assert not any(word in response.text for word in ("bucket", "s3", "127.0.0.1", seaweedfs.access_key))
        (line,) = [record.message for record in caplog.records if ".problem " in record.message]
        assert line.startswith("fastapi_filestore.problem problem=store-error status=500 error=")
        assert "method=POST path=/documents/" in line
        assert seaweedfs.secret_key not in caplog.text
        assert await site.rows() == 0


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_is_of_an_error(kind: type[FilestoreError]) -> None:
    """The table holds errors of the library only, with statuses that HTTP has."""
    assert getattr(errors, kind.__name__) is kind
    assert 400 <= KINDS[kind].status < 600


def test_what_is_internal_stays_inside() -> None:
    """An error about a store says nothing of it."""
    problem = problem_of(StoragePermissionError("AKIAEXAMPLE may not put s3://bucket/key", backend="b", path="k"))

    assert problem.status_code == 500
    assert "AKIA" not in str(problem.body)
    assert "bucket" not in str(problem.body)


# -- routes of one's own -------------------------------------------------------------------------------


def by_hand(app: FastAPI, files: Filestore) -> None:
    """Add routes that a user would write."""
    get_document_service = files.service(Document)

    @app.get("/read/{identity}")
    async def read(identity: int, service: Annotated[FileService[Document], Depends(get_document_service)]) -> str:
        return (await service.get(identity)).title

    @app.get("/raw")
    async def raw() -> None:
        await FileObject("web", path="aa/missing").get_content_async()

    @app.get("/teapot")
    async def teapot(service: Annotated[FileService[Document], Depends(get_document_service)]) -> None:
        raise HTTPException(418, "short and stout")


async def test_errors_of_hand_written_routes_are_problems_if_asked_for(serve: Serve) -> None:
    """With `files.exception_handlers` each error of the library is a problem, and FastAPI's stay FastAPI's."""

    def build(app: FastAPI, files: Filestore) -> None:
        by_hand(app, files)
        for error, handler in files.exception_handlers.items():
            app.add_exception_handler(error, handler)

    async with serve(build=build) as site:
        problem_in(await site.client.get("/read/1"), 404, "row-not-found")
        problem_in(await site.client.get("/raw"), 404, "object-not-found")
        assert (await site.client.get("/teapot")).json() == {"detail": "short and stout"}


async def test_errors_of_hand_written_routes_have_their_status_anyway(serve: Serve) -> None:
    """Without the handlers, an error behind the provider is FastAPI's own body with the same status."""
    async with serve(build=by_hand) as site:
        response = await site.client.get("/read/1")

        assert (response.status_code, response.json()) == (404, {"detail": "There is no Document with the id 1."})


async def test_a_stream_that_breaks_is_no_complete_download(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A store that fails in the middle ends the connection, not the file, and the log says why."""
    await site.upload(content=b"x" * 100)
    stream = await site.backend.open(next(iter(await site.keys())))

    async def torn() -> AsyncIterator[bytes]:
        yield b"x" * 10
        raise StoragePermissionError("torn")

    class Torn(FaultyBackend):
        async def open(self, path: str, *, start: int = 0, end: int | None = None) -> Any:
            return type(stream)(stream.info, 0, 100, torn())

    storages.register_backend(Torn(site.backend, lambda *_: False), replace=True)

    with pytest.raises(AssertionError):  # httpx's word for an answer without an end
        await site.client.get("/documents/1/file")
    assert "fastapi_filestore.broken_off" in caplog.text


async def test_a_row_of_another_library_is_served(site: Site) -> None:
    """A row whose type no header can carry is a download of bytes."""
    await site.upload(content=b"content")
    async with site.session() as session:
        wrong = {"kind": "text/html\r\nX-Injected: yes"}
        await session.execute(text("UPDATE documents SET file = json_set(file, '$.content_type', :kind)"), wrong)
        await session.commit()
    download = await site.client.get("/documents/1/file")

    assert (download.status_code, download.headers["content-type"]) == (200, "application/octet-stream")
    assert "x-injected" not in download.headers
