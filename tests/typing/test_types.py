"""The types that users see: mypy checks these functions as part of `make check`, and running them shows they are true.

A wrong type is an error of the type checker, so most of these tests do not even call what they check.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Annotated, assert_type

from fastapi import APIRouter, Depends, FastAPI
from sqlalchemy import ColumnElement, MetaData, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from fastapi_filestore import (
    FileObject,
    FileService,
    Filestore,
    ObjectInfo,
    ObjectStream,
    ObstoreBackend,
    Page,
    SignedURL,
    StorageBackend,
    StorageRegistry,
    UploadOptions,
    UploadTables,
    add_uploads,
    storages,
)
from fastapi_filestore.file_object.metadata import Metadata
from fastapi_filestore.testing import FaultyBackend
from tests.reference.models import Document, DocumentService


async def get_session() -> AsyncIterator[AsyncSession]:
    """A session dependency."""
    yield AsyncSession()


files = Filestore(get_session)
get_document_service = files.service(Document)


async def _service(service: FileService[Document]) -> None:
    assert_type(await service.create({"title": "t"}), Document)
    assert_type(await service.create(Document(title="t")), Document)
    assert_type(await service.get(1), Document)
    assert_type(await service.update(1, {"title": "t"}), Document)
    assert_type(await service.replace(1, FileObject()), Document)
    assert_type(await service.list(), Page[Document])
    assert_type((await service.list()).items, Sequence[Document])
    assert_type(await service.file(1), FileObject)
    assert_type(await service.open(1), ObjectStream)
    assert_type(await service.url(1), str)


async def _file(file: FileObject) -> None:
    assert_type(await file.save_async(), FileObject)
    assert_type(file.save(), FileObject)
    assert_type(await file.get_content_async(), bytes)
    assert_type(file.get_content(), bytes)
    assert_type(await file.sign_async(expires_in=60, for_upload=True), str)
    assert_type(file.sign(), str)
    assert_type(await file.signed_url_async(method="PUT"), SignedURL)
    assert_type(await file.head_async(), ObjectInfo)
    assert_type(await file.open_async(), ObjectStream)
    assert_type(await file.copy_async(), FileObject)
    assert_type(file.size, int | None)
    assert_type(file.metadata, Metadata)


def test_the_provider() -> None:
    """The provider of a model gives a service of that model."""
    assert_type(get_document_service, Callable[..., FileService[Document]])


def test_the_provider_of_a_subclass() -> None:
    """The provider of a service's subclass gives a service of its model."""
    provider = files.service(DocumentService)

    assert_type(provider, Callable[..., DocumentService])


def test_the_router() -> None:
    """A router is FastAPI's own, and the lifespan is what FastAPI takes."""
    assert_type(files.router(Document), APIRouter)
    FastAPI(lifespan=files.lifespan)


def test_columns() -> None:
    """A column is typed by its annotation."""
    assert_type(Document.file, InstrumentedAttribute[FileObject | None])


def test_backends() -> None:
    """Every backend of ours is a StorageBackend, and a registry holds those."""
    backend: StorageBackend = ObstoreBackend("memory", "memory://")
    faulty: StorageBackend = FaultyBackend(backend, lambda call, operation: False)

    assert_type(storages, StorageRegistry)
    assert_type(list(storages), list[StorageBackend])
    assert faulty.key == backend.key


def test_scoped_providers() -> None:
    """A scope and defaults leave the types as they are."""

    def scope() -> ColumnElement[bool]:
        return true()

    assert_type(files.service(Document, scope=scope, defaults={"title": str}), Callable[..., FileService[Document]])
    assert_type(files.service(DocumentService, scope=scope), Callable[..., DocumentService])


def test_uploads_have_types() -> None:
    """The tables of uploads, what a router takes for them, and the dependency of a route of one's own."""

    def get_session() -> None:
        return None

    files, metadata = Filestore(get_session), MetaData()
    assert_type(add_uploads(metadata), UploadTables)
    options = UploadOptions(owner=get_session, most_open=5, most_bytes="1 GiB", lasts=timedelta(hours=1))
    assert_type(options.most_open, int)

    def make_routes(model: type[Document]) -> APIRouter:
        @router.post("/")
        def take(file: Annotated[FileObject, Depends(files.uploaded(model))]) -> str | None:
            return assert_type(file, FileObject).filename

        return files.router(model, uploads=options)

    router = APIRouter()
    assert callable(make_routes)
