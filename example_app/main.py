"""The application: a page at /, the prebuilt router at /documents/, and one route written by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, UploadFile
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict

from example_app.database import get_session, tables
from example_app.models import Document
from fastapi_filestore import FileObject, FileService, Filestore

PAGE = Path(__file__).with_name("page")

files = Filestore(get_session)
get_document_service = files.service(Document)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database and the file store, in this order, and close them again."""
    async with tables(), files.lifespan(app):
        yield


app = FastAPI(
    title="Documents",
    summary="Keep documents: upload, list, download, replace, delete.",
    lifespan=lifespan,
    exception_handlers=files.exception_handlers,
)
app.include_router(files.router(Document), prefix="/documents")
app.include_router(files.signed_router())


class DocumentRead(BaseModel):
    """A document as the hand-written route shows it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    file: FileObject
    created_at: datetime


@app.post("/reports", status_code=201, response_model=DocumentRead, tags=["by hand"])
async def upload_report(
    file: UploadFile,
    service: Annotated[FileService[Document], Depends(get_document_service)],
) -> Document:
    """Keep a report: a route of one's own with the same service."""
    name = file.filename or "untitled"
    return await service.create({"title": name, "file": FileObject(filename=name, content=file)})


@app.get("/health", tags=["operations"])
async def health() -> dict[str, str]:
    """Answer that the application runs."""
    return {"status": "ok"}


app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
