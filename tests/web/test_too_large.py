"""A 413 states the limit that somebody has set, and how large the file is."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import FileObject, Filestore, StoredObject, Upload, Uploads
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import Site, problem_in

MIB = 1024**2
LIMIT = 20 * MIB


class Base(DeclarativeBase):
    """A table of its own."""


class Small(Base):
    """A row whose column takes less than the settings allow."""

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web", max_size="1 MiB"))


def routes(app: FastAPI, files: Filestore) -> None:
    """Mount what takes files."""
    app.include_router(files.router(Document), prefix="/documents")
    app.include_router(files.router(Small), prefix="/small")

    @app.post("/one")
    async def one(upload: Annotated[Upload, Depends(files.upload(max_size="2 MiB"))]) -> int:
        return len(b"".join([chunk async for chunk in upload]))

    @app.post("/several")
    async def several(uploads: Annotated[Uploads, Depends(files.uploads(field="file", max_files=2))]) -> int:
        return sum([len(b"".join([chunk async for chunk in upload])) async for upload in uploads])

    for error, handler in files.exception_handlers.items():
        app.add_exception_handler(error, handler)


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """Routes with limits of each kind."""
    async with serve(build=routes, max_upload_size="20 MiB", shared=True) as site:
        yield site


@pytest.mark.parametrize("url", ["/documents/", "/small/", "/one"])
@pytest.mark.parametrize("beyond", [1, 3 * MIB, 30 * MIB])
@pytest.mark.parametrize("expects", [False, True])
async def test_the_limit_of_a_file(site: Site, url: str, beyond: int, *, expects: bool) -> None:
    """Whether the length of the form is refused or a file in its middle: it is the file's limit, and its size.

    To the byte where the beginning of the file, the last part, is here; from the form's length where it must not come.
    """
    limit = {"/documents/": LIMIT, "/small/": MIB, "/one": 2 * MIB}[url]
    response = await site.client.post(
        url,
        files={"file": ("a.txt", bytes(limit + beyond), "text/plain")},
        data={"title": "t"},
        headers={"Expect": "100-continue"} if expects else {},
    )
    problem = problem_in(response, 413, "upload-too-large")

    assert problem["limit"] == limit
    assert abs(problem["actual"] - (limit + beyond)) < (250 if expects else 1)
    assert f"the limit is {limit:,} bytes" in problem["detail"]
    assert problem["detail"].startswith(f"The file has about {problem['actual']:,} bytes")


@pytest.mark.parametrize("url", ["/one", "/small/1/file"])
async def test_a_body_that_is_the_file(site: Site, url: str) -> None:
    """Its length is the file's."""
    await site.upload()
    limit = 2 * MIB if url == "/one" else MIB
    send: Any = site.client.post if url == "/one" else site.client.put
    response = await send(url, content=bytes(limit + 7), headers={"Content-Type": "text/plain"})
    problem = problem_in(response, 413, "upload-too-large")

    assert (problem["limit"], problem["actual"]) == (limit, limit + 7)


async def test_several_files_at_once(site: Site) -> None:
    """A form that is longer than all of its files may be is told by what they may be together."""
    content = bytes(30 * MIB)
    response = await site.client.post("/several", files=[("file", ("a", content)), ("file", ("b", content))])
    problem = problem_in(response, 413, "upload-too-large")

    assert problem["limit"] == 2 * LIMIT
    assert abs(problem["actual"] - 2 * len(content)) < 500


async def test_a_small_file_before_other_fields(site: Site) -> None:
    """What is behind a file in the same packet is none of it, and it is stored whole."""
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\ncontent\r\n'
        b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nt\r\n--b--\r\n'
    )
    created = await site.client.post(
        "/documents/", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )

    assert created.status_code == 201
    assert (await site.client.get("/documents/1/file")).content == b"content"
