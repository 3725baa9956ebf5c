"""An application with much of what people write: several routers of a model, enums, models and routes of their own."""

from enum import Enum, IntEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import JSON
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import (
    FileObject,
    FileService,
    Filestore,
    StoredObject,
    Upload,
    Uploads,
    add_ledger,
    add_uploads,
)
from tests.web import models
from tests.web.filestores import nothing


class Base(DeclarativeBase):
    """Tables whose classes have the names of others."""

    type_annotation_map: ClassVar = {dict[str, Any]: JSON}


add_ledger(Base.metadata)
add_uploads(Base.metadata)


class Color(Enum):
    """Words."""

    RED = "red"
    LIGHT_BLUE = "light blue"


class Grade(IntEnum):
    """Numbers."""

    LOW = 1
    HIGH = 2


class JobApplication(Base):
    """A row with a name of two words, two files and enums that may be null."""

    __tablename__ = "applications"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str]
    color: Mapped[Color | None]
    grade: Mapped[Grade]
    answers: Mapped[dict[str, Any] | None]
    cv: Mapped[FileObject] = mapped_column(StoredObject(backend="web"))
    photo: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))


class Portfolio(Base):
    """A row with a file of some types and a list."""

    __tablename__ = "portfolios"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    cover: Mapped[FileObject] = mapped_column(StoredObject(backend="web", max_size="64 KiB", content_types=["image/*"]))
    works: Mapped[list[FileObject]] = mapped_column(StoredObject(backend="web", multiple=True, max_files=3))


class Meta(BaseModel):
    """Fields beside an upload."""

    title: Annotated[str, Field(min_length=1, description="What it is about.")]
    color: Color = Color.RED
    grade: Grade | None = None
    tags: list[str] = []


class ApplicationRead(BaseModel):
    """A row as its people see it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    color: Color | None
    cv: FileObject | None


class ApplicationFields(BaseModel):
    """What may be sent of a row, new or not."""

    name: Annotated[str, Field(max_length=50)] = "nobody"
    color: Color | None = None
    grade: Grade = Grade.LOW


class Received(BaseModel):
    """A model that comes and goes."""

    meta: Meta | None = None
    files: list[FileObject] = []


class Document(Base):
    """A class of the same name as that of another module."""

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    color: Mapped[Color]
    file: Mapped[FileObject] = mapped_column(StoredObject(backend="web"))


def own_routes() -> FastAPI:
    """Return the application, described."""
    files, app = Filestore(nothing), FastAPI(title="Own routes", version="1")
    app.exception_handlers |= files.exception_handlers
    app.include_router(files.router(models.Document, uploads=True), prefix="/documents")
    app.include_router(files.router(models.Document, uploads=True), prefix="/papers")
    app.include_router(files.router(Document), prefix="/colored/documents")
    app.include_router(files.router(models.Ticket), prefix="/tickets")
    app.include_router(files.router(models.Album, field="cover", downloads="redirect"), prefix="/albums")
    app.include_router(files.router(JobApplication, field="cv", uploads=True), prefix="/applications")
    app.include_router(files.router(Portfolio), prefix="/portfolios")
    inner = APIRouter(prefix="/v2", tags=["second"])
    fields = ApplicationFields
    custom = files.router(JobApplication, field="photo", read=ApplicationRead, create=fields, update=fields)
    inner.include_router(custom, prefix="/applications")
    app.include_router(inner)
    app.include_router(files.signed_router())

    @app.post("/one")
    async def send_one(upload: Annotated[Upload, Depends(files.upload())]) -> FileObject:
        return FileObject(content=upload)

    @app.post("/one-with-fields/{number}")
    async def send_one_with_fields(number: int, upload: Annotated[Upload, Depends(files.upload(fields=Meta))]) -> Meta:
        raise NotImplementedError

    @app.post("/pictures")
    async def send_picture(upload: Annotated[Upload, Depends(files.upload(content_types=["image/*"]))]) -> None:
        raise NotImplementedError

    @app.post("/several")
    async def send_several(uploads: Annotated[Uploads, Depends(files.uploads(max_files=3))]) -> list[FileObject]:
        raise NotImplementedError

    @app.put("/several-with-fields")
    async def send_several_with_fields(
        uploads: Annotated[Uploads, Depends(files.uploads(fields=Meta, max_files=3))],
    ) -> Received:
        raise NotImplementedError

    @app.patch("/received")
    async def send_and_receive(received: Received) -> Received:
        return received

    get_service = files.service(JobApplication)

    @app.get("/applications/{identity}/photo", **files.download_route)
    async def fetch(
        identity: UUID,
        request: Request,
        service: Annotated[FileService[JobApplication], Depends(get_service)],
    ) -> Response:
        return await files.download(request, await service.file(identity, field="photo"))

    files.describe(app)
    return app
