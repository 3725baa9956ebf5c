"""The application: a page at /, the prebuilt router at /documents/, routes written by hand, and perhaps /admin."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, true
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from example_app.database import create_tables, data_folder, engine, get_session
from example_app.models import Document
from example_app.signing import keep_signing_key, tell_of_own_key
from example_app.staff import add_staff_pages
from fastapi_filestore import FileObject, FileService, Filestore, Upload

# Time and level before the lines of all libraries; uvicorn's own stay as they are.
logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(message)s")

PAGE = Path(__file__).with_name("page")
PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; connect-src 'self'; frame-src 'self'; img-src 'self'; script-src 'self'; "
        "style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing from another host, nothing inline, in no frame."""


class DocumentService(FileService[Document]):
    """Documents, the newest first."""

    order_by = "-created_at"


def matching(
    search: Annotated[str, Query(max_length=200, description="What titles have in them.")] = "",
) -> ColumnElement[bool]:
    """Return the condition of the documents that a client looks for: all, if it says nothing."""
    return Document.title.icontains(search, autoescape=True) if search else true()


files = Filestore(get_session)
get_document_service = files.service(DocumentService)
get_matching_documents = files.service(DocumentService, scope=matching)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the database and the file store, in this order, and close them again."""
    try:
        with files.starting():
            if data_folder is not None:
                keep_signing_key(data_folder)
            await create_tables()
        async with files.lifespan(app):
            if data_folder is not None:
                tell_of_own_key(data_folder, files.settings)
            yield
    finally:
        await engine.dispose()


app = FastAPI(
    title="Documents",
    summary="Keep documents: upload, list, download, replace, delete.",
    lifespan=lifespan,
    exception_handlers=files.exception_handlers,
    redirect_slashes=False,  # a redirect would go to whatever host the request names
)
# Nobody logs in here, so whoever knows the id of an upload may go on with it.
app.include_router(files.router(Document, service=get_matching_documents, uploads=True), prefix="/documents")
app.include_router(files.signed_router())
app.include_router(files.readiness())  # GET /ready


class ReportRead(BaseModel):
    """A document as the hand-written route shows it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    file: FileObject
    created_at: datetime


@app.post("/reports", status_code=201, response_model=ReportRead, tags=["by hand"])
async def upload_report(
    upload: Annotated[Upload, Depends(files.upload())],
    service: Annotated[FileService[Document], Depends(get_document_service)],
) -> Document:
    """Keep a report: a route of one's own with the same service."""
    return await service.create({"title": upload.filename, "file": upload})


@app.get("/reports/{identity}/url", tags=["by hand"], responses={404: {"description": "There is no such document."}})
async def report_url(
    identity: UUID, service: Annotated[FileService[Document], Depends(get_document_service)]
) -> dict[str, str]:
    """Sign a URL of a document's file, for whoever is to have it without asking for more."""
    return {"url": await service.url(identity)}


@app.get("/documents.zip", tags=["by hand"], **files.download_route)
@app.head("/documents.zip", include_in_schema=False)
async def zip_documents(
    request: Request,
    service: Annotated[FileService[Document], Depends(get_document_service)],
    identities: Annotated[list[UUID], Query(alias="id", min_length=1, max_length=100)],
) -> Response:
    """Send the files of some documents as one archive."""
    documents = [await service.get(identity) for identity in dict.fromkeys(identities)]
    return await files.zip_download(request, [document.file for document in documents], filename="documents.zip")


@app.get("/health", tags=["operations"])
async def health() -> dict[str, str]:
    """Answer that the application runs."""
    return {"status": "ok"}


class Page(StaticFiles):
    """The files of the page, with headers that keep anything else out of it."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file of the page."""
        response = await super().get_response(path, scope)
        if isinstance(response, RedirectResponse):  # from /scripts/.. and the like, to whatever host the request names
            raise HTTPException(404)
        response.headers.update(PAGE_HEADERS)
        return response


add_staff_pages(app)
# Uploads that go on where they were cut off: a script of the library, for any page.
app.mount("/modules", Page(packages=[("fastapi_filestore", "scripts")]), name="modules")
app.mount("/", Page(directory=PAGE, html=True), name="page")
