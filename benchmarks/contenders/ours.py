"""The prebuilt router of this library as its README shows it, with the ledger: one pass, SHA-256, crash-safe."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI, Response
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from benchmarks.contenders.application import PLACE, application, guards
from fastapi_filestore import (
    FileObject,
    FileService,
    Filestore,
    FilestoreSettings,
    StoredObject,
    add_ledger,
    add_uploads,
)

engine = create_async_engine(PLACE.url(asynchronous=True))
Session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    """The table's metadata."""


add_ledger(Base.metadata)
if PLACE.uploads:
    add_uploads(Base.metadata)


class Document(Base):
    """A row with a file."""

    __tablename__ = "documents"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    title: Mapped[str]
    file: Mapped[FileObject] = mapped_column(StoredObject())


async def get_session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with Session() as session:
        yield session


def _backend() -> dict[str, object]:
    if (bucket := PLACE.bucket) is None:
        return {"url": f"file://{PLACE.folder}/", "durable": PLACE.durable}
    return {
        "url": f"s3://{bucket.name}/",
        "aws_endpoint": bucket.endpoint,
        "aws_region": bucket.region,
        "aws_access_key_id": bucket.access_key,
        "aws_secret_access_key": bucket.secret_key,
    }


settings = FilestoreSettings(
    backends={"default": _backend()}, max_upload_size=PLACE.limit, signing_keys=(secrets.token_hex(),)
)
files = Filestore(get_session, settings=settings)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the tables and open the file store."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with files.lifespan(app):
        yield


app = application(lifespan=lifespan, exception_handlers=files.exception_handlers)
app.include_router(files.router(Document, uploads=PLACE.uploads, dependencies=guards()), prefix="/documents")
app.include_router(files.signed_router())
Service = Annotated[FileService[Document], Depends(files.service(Document))]


@app.get("/documents/{identity}/signed", status_code=204)
async def sign(identity: UUID, service: Service) -> Response:
    """Say in the header which signed URL a file has, below the host."""
    url = urlsplit(await (await service.file(identity)).sign_async())
    return Response(status_code=204, headers={"Location": f"{url.path}?{url.query}"})
