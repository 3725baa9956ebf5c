"""A site whose routes sniff, of each kind one."""

from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI

from fastapi_filestore import FileService, Filestore, Upload, Uploads
from tests.intake.heads import png
from tests.uploads.gallery import NoGif, VirusScan
from tests.web.conftest import Serve
from tests.web.models import Album, Document
from tests.web.site import Site

PNG = png()


def build(app: FastAPI, files: Filestore) -> None:
    """Add a route of each kind."""
    get_documents, get_albums = files.service(Document), files.service(Album)
    routes = APIRouter()

    @routes.post("/images", status_code=201)
    async def image(
        upload: Annotated[
            Upload,
            Depends(files.upload(max_size="1 MB", content_types=["image/*"], sniff=True, validators=[VirusScan()])),
        ],
        service: Annotated[FileService[Document], Depends(get_documents)],
    ) -> dict[str, str | None]:
        sniffed = upload.sniffed_type  # known before a byte is stored
        row = await service.create({"title": upload.filename, "file": upload})
        assert row.file is not None
        return {"sniffed": sniffed, "kept": row.file.content_type}

    @routes.post("/any", status_code=201)
    async def anything(
        upload: Annotated[Upload, Depends(files.upload(sniff=True))],
        service: Annotated[FileService[Document], Depends(get_documents)],
    ) -> str | None:
        await service.create({"title": upload.filename, "file": upload})
        return upload.sniffed_type

    @routes.post("/blind", status_code=201)
    async def blind(
        upload: Annotated[Upload, Depends(files.upload())],
        service: Annotated[FileService[Document], Depends(get_documents)],
    ) -> list[str | None]:
        before = upload.sniffed_type
        await service.create({"title": upload.filename, "file": upload})
        return [before, upload.sniffed_type]

    @routes.post("/firmware", status_code=201)
    async def firmware(
        upload: Annotated[Upload, Depends(files.upload(content_types=["application/octet-stream"], sniff=True))],
        service: Annotated[FileService[Document], Depends(get_documents)],
    ) -> None:
        await service.create({"title": upload.filename, "file": upload})

    @routes.post("/albums", status_code=201)
    async def album(
        photos: Annotated[
            Uploads,
            Depends(files.uploads("photos", max_files=2, content_types=["image/png"], sniff=True)),
        ],
        service: Annotated[FileService[Album], Depends(get_albums)],
    ) -> int:
        row = await service.create({"photos": photos})
        return len(row.photos or [])

    for kind, handler in files.exception_handlers.items():
        app.add_exception_handler(kind, handler)
    app.include_router(routes)
    app.include_router(files.router(Document, sniff=True), prefix="/pages")
    app.include_router(
        files.router(
            Document, max_size="1 KiB", content_types=["image/*"], sniff=True, validators=[NoGif(), VirusScan()]
        ),
        prefix="/documents",
    )


@pytest.fixture
async def sniffing(serve: Serve) -> AsyncIterator[Site]:
    """A site whose routes sniff."""
    async with serve(build=build, shared=True) as site:
        yield site
        await site.check()
