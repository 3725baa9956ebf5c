"""advanced-alchemy as its documentation shows it: FileObject with `content=await file.read()`, service.create."""

from typing import Annotated, Any
from uuid import UUID

from advanced_alchemy.base import UUIDAuditBase
from advanced_alchemy.extensions.fastapi import AdvancedAlchemy, SQLAlchemyAsyncConfig
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from advanced_alchemy.types import FileObject, StoredObject
from advanced_alchemy.types.file_object import storages
from advanced_alchemy.types.file_object.backends.obstore import ObstoreBackend
from fastapi import Depends, Response, UploadFile
from sqlalchemy.orm import Mapped, mapped_column

from benchmarks.contenders.application import PLACE, application, guards

storages.register_backend(ObstoreBackend(key="documents", fs=PLACE.store()))


class Document(UUIDAuditBase):
    """A row with a file."""

    __tablename__ = "documents"

    title: Mapped[str]
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="documents"))


class DocumentService(SQLAlchemyAsyncRepositoryService[Document]):
    """What the route calls."""

    class Repository(SQLAlchemyAsyncRepository[Document]):
        """Where the rows are."""

        model_type = Document

    repository_type = Repository


config = SQLAlchemyAsyncConfig(
    connection_string=PLACE.url(asynchronous=True), commit_mode="autocommit", create_all=True
)


app = application()
alchemy = AdvancedAlchemy(config=config, app=app)
Service = Annotated[Any, Depends(alchemy.provide_service(DocumentService))]


@app.post("/documents/", status_code=201, dependencies=guards())
async def upload_file(file: UploadFile, service: Service, response: Response) -> dict[str, Any]:
    """Upload file to storage backend."""
    document = await service.create(
        {
            "title": file.filename or "untitled",
            "file": FileObject(
                backend="documents",
                filename=file.filename or "file",
                content_type=file.content_type or "application/octet-stream",
                content=await file.read(),
            ),
        }
    )
    response.headers["Location"] = f"/documents/{document.id}"
    return {"id": document.id, "title": document.title, "filename": document.file.filename}


@app.get("/documents/{identity}/file")
async def read_file(identity: UUID, service: Service) -> Response:
    """Send a file, which its documentation reads whole."""
    document = await service.get(identity)
    return Response(await document.file.get_content_async(), media_type=document.file.content_type)
