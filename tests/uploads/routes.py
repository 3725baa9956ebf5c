"""Hand-written routes that take uploads, as a user would write them."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, UploadFile
from pydantic import BaseModel, Field

from fastapi_filestore import FileService, Filestore, Upload, UploadError, Uploads
from tests.web.models import Album, Document

SEEN: list[str] = []
"""What happened, in order."""


class ReportFields(BaseModel):
    """The fields beside a report."""

    title: str = Field(max_length=10)
    pages: int = 1


class NoVirus:
    """Refuses what begins like the EICAR test file."""

    async def validate(self, head: bytes, upload: Any) -> None:
        """Look at the beginning."""
        if head.startswith(b"X5O!P%@AP"):
            raise UploadError(f"{upload.filename} holds a virus.")


def authorize() -> None:
    """Note when authorization ran."""
    SEEN.append("authorized")


def build(app: FastAPI, files: Filestore) -> None:
    """Add the routes."""
    get_documents, get_albums = files.service(Document), files.service(Album)
    reports = APIRouter(dependencies=[Depends(authorize)])

    @reports.post("/reports", status_code=201)
    async def report(
        upload: Annotated[
            Upload,
            Depends(
                files.upload(max_size="3 MB", content_types=["application/pdf", "image/*"], validators=[NoVirus()])
            ),
        ],
        service: Annotated[FileService[Document], Depends(get_documents)],
    ) -> dict[str, Any]:
        SEEN.append("read")
        row = await service.create({"title": upload.filename, "file": upload})
        assert row.file is not None
        return {"id": row.id, "checksum": row.file.checksum, "same": row.file.checksum == upload.checksum}

    @reports.post("/described", status_code=201)
    async def described(
        upload: Annotated[Upload, Depends(files.upload("paper", fields=ReportFields))],
        service: Annotated[FileService[Document], Depends(get_documents)],
    ) -> dict[str, Any]:
        async with service.storing(upload) as file:
            assert isinstance(upload.values, ReportFields)
            row = await service.create({**upload.values.model_dump(), "file": file})
        return {"title": row.title, "pages": row.pages, "fields": dict(upload.fields)}

    @reports.post("/albums", status_code=201)
    async def album(
        photos: Annotated[
            Uploads, Depends(files.uploads("photos", max_files=3, content_types=["image/png"], fields=ReportFields))
        ],
        service: Annotated[FileService[Album], Depends(get_albums)],
    ) -> list[str]:
        row = await service.create({"photos": photos})
        return [photo.filename for photo in row.photos or []]

    @reports.post("/forgotten")
    async def forgotten(
        upload: Annotated[Upload, Depends(files.upload())],
        service: Annotated[FileService[Document], Depends(get_documents)],
    ) -> int | None:
        async with service.storing(upload) as file:
            return file.size

    @reports.post("/classic", status_code=201)
    async def classic(
        file: UploadFile, service: Annotated[FileService[Document], Depends(get_documents)]
    ) -> int | None:
        row = await service.create({"title": file.filename, "file": file})
        return row.file.size if row.file else None

    app.include_router(files.router(Document), prefix="/documents")
    app.include_router(files.router(Album, field="cover"), prefix="/albums-of")
    app.include_router(reports)
