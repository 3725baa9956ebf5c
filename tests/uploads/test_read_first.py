"""Uploads that are read beside their form, or whose beginning could not be read, are stored whole or refused."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI

from fastapi_filestore import ContentConsumedError, FileObject, FileService, Filestore, Upload, UploadError, Uploads
from tests.uploads.passing_over import albums, assert_unharmed, form
from tests.web.conftest import Serve
from tests.web.models import Album, Document
from tests.web.site import Site

__all__ = ["albums"]


async def test_empty_files_are_stored(albums: Site) -> None:
    """Files of no bytes that are stored as they come are files like others."""

    async def stored(uploads: Uploads) -> list[Upload]:
        async with albums.session() as session:
            service = FileService(session, model=Album)
            row = await service.create({"photos": uploads})
            assert [photo.size for photo in row.photos or []] == [0, 0]
            await service.commit()
        return []

    async def nothing(site: Site, uploads: list[Upload]) -> None: ...

    albums.app.state.lose, albums.app.state.store = stored, nothing

    assert (await albums.client.post("/plain", files=form(b"", b""))).json() == "stored"


async def test_tasks_that_fall_behind_the_form(albums: Site) -> None:
    """Files that tasks store while the form is read on are stored whole, or refused; never a part of one."""
    contents = [bytes([65 + number]) * 200_000 for number in range(5)]

    async def in_tasks(uploads: Uploads) -> list[Upload]:
        saves = []
        async for upload in uploads:
            saves.append(asyncio.create_task(FileObject("web").save_async(upload)))
            await asyncio.sleep(0)
        results = await asyncio.gather(*saves, return_exceptions=True)
        files = [file for file in results if isinstance(file, FileObject)]
        assert {type(result) for result in results} <= {FileObject, ContentConsumedError}
        assert {await file.get_content_async() for file in files} <= set(contents)
        for file in files:
            await file.delete_async()
        return []

    albums.app.state.lose, albums.app.state.store = in_tasks, _no_file
    await albums.client.post("/plain", files=form(*contents))
    await assert_unharmed(albums)


async def _no_file(site: Site, uploads: list[Upload]) -> None:
    raise ContentConsumedError("There is none.")


@pytest.fixture
async def peeked(serve: Serve) -> AsyncIterator[Site]:
    """A site whose route looks at a file, and stores it though that failed."""

    def build(app: FastAPI, files: Filestore) -> None:
        @app.post("/peeked")
        async def peek(
            upload: Annotated[Upload, Depends(files.upload(max_size=1000))],
            service: Annotated[FileService[Document], Depends(files.service(Document))],
        ) -> None:
            with pytest.raises(UploadError):
                await upload.peek(5000)
            await service.create({"title": "t", "file": upload})

    async with serve(build=build) as site:
        yield site


async def test_a_file_whose_beginning_could_not_be_read(peeked: Site, caplog: pytest.LogCaptureFixture) -> None:
    """An upload that failed while a route looked at it has no end, so it is not stored as what came of it."""
    response = await peeked.client.post("/peeked", content=_long(), headers={"content-type": "text/plain"})

    assert response.status_code == 500
    assert "ContentConsumedError: The reading of this content was broken off" in caplog.text
    await peeked.check_empty()


async def _long() -> AsyncIterator[bytes]:
    for _ in range(10):
        yield b"x" * 200
