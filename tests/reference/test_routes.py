"""The reference's model and its FastAPI routes."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, UploadFile
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from fastapi_filestore import FileObject, Filestore
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.reference.models import Document, DocumentRead, DocumentService, UUIDAuditBase

SessionMaker = async_sessionmaker[AsyncSession]


@pytest.fixture
async def make_session(tmp_path: Path) -> AsyncIterator[SessionMaker]:
    """Sessions of a fresh database."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/reference.db")
    async with engine.begin() as connection:
        await connection.run_sync(UUIDAuditBase.metadata.create_all)
    yield async_sessionmaker(engine, expire_on_commit=False)
    await engine.dispose()


@pytest.fixture
def get_document_service(make_session: SessionMaker) -> Callable[..., DocumentService]:
    """The provider that the reference's routes depend on."""

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with make_session() as session:
            yield session

    return Filestore(get_session).service(DocumentService)


@pytest.fixture
async def client(get_document_service: Callable[..., DocumentService]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with the reference's two routes, spelled as they are there."""
    router = APIRouter()

    # The one addition: a row of SQLAlchemy is no response model.
    @router.post("/upload", response_model=DocumentRead)
    async def upload_file(
        file: UploadFile,
        service: DocumentService = Depends(get_document_service),  # noqa: B008, FAST002 - as in the reference
    ) -> Document:
        """Upload file to storage backend."""
        # Create document with file
        doc_data = {
            "title": file.filename or "untitled",
            "file": FileObject(
                backend="s3",
                filename=file.filename or "file",
                content_type=file.content_type or "application/octet-stream",
                content=await file.read(),
            ),
        }
        return await service.create(doc_data)

    # The one correction: in the reference the answer is dict[str, str], which 3600 is not.
    @router.post("/upload-url")
    async def generate_upload_url(filename: str, content_type: str) -> dict[str, str | int]:
        """Generate signed upload URL for client-side upload."""
        file_obj = FileObject(
            backend="s3",
            filename=filename,
            content_type=content_type,
        )

        upload_url = await file_obj.sign_async(expires_in=3600, for_upload=True)

        return {
            "upload_url": upload_url,
            "filename": filename,
            "expires_in": 3600,
        }

    app = FastAPI()
    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        yield client


async def test_upload_route(client: httpx.AsyncClient, s3: ObstoreBackend, make_session: SessionMaker) -> None:
    """An upload is stored in the bucket and committed to the table before the answer is sent."""
    answer = await client.post("/upload", files={"file": ("report.pdf", b"%PDF-1.7", "application/pdf")})
    async with make_session() as session:
        document = await session.get_one(Document, UUID(answer.json()["id"]))

    assert answer.status_code == 200, answer.text
    assert document.title == "report.pdf"
    assert document.file is not None
    assert await document.file.get_content_async() == b"%PDF-1.7"
    assert [info.path async for info in s3.list()] == [document.file.path]


async def test_upload_route_answer(client: httpx.AsyncClient, s3: ObstoreBackend) -> None:
    """The answer shows the file without its backend and its path."""
    answer = await client.post("/upload", files={"file": ("report.pdf", b"%PDF-1.7", "application/pdf")})
    file = answer.json()["file"]

    assert (file["filename"], file["content_type"], file["size"]) == ("report.pdf", "application/pdf", 8)
    assert file.keys() == {"filename", "content_type", "size", "checksum", "last_modified", "metadata", "url"}


async def test_upload_url_route(client: httpx.AsyncClient, s3: ObstoreBackend) -> None:
    """The URL that the route hands out stores what the client sends to it."""
    answer = await client.post("/upload-url", params={"filename": "photo.png", "content_type": "image/png"})
    body = answer.json()
    async with httpx.AsyncClient() as outside:
        stored = await outside.put(body["upload_url"], content=b"\x89PNG", headers={"content-type": "image/png"})

    assert (body["filename"], body["expires_in"]) == ("photo.png", 3600)
    assert stored.status_code == 200
    assert [info.size async for info in s3.list()] == [4]


async def test_model_code(s3: ObstoreBackend, make_session: SessionMaker) -> None:
    """A model with the reference's quoted annotations keeps a file, and none, and its audit columns."""
    async with make_session() as session:
        session.add(Document(title="with", file=FileObject(backend="s3", filename="a.txt", content=b"data")))
        session.add(Document(title="without"))
        await session.commit()
    async with make_session() as session:
        rows = (await session.scalars(select(Document).order_by(Document.title))).all()

    assert [row.file is None for row in rows] == [False, True]
    assert all(row.created_at <= row.updated_at for row in rows)


async def test_model_code_in_queries(s3: ObstoreBackend, make_session: SessionMaker) -> None:
    """A row without a file is found by IS NULL."""
    async with make_session() as session:
        session.add(Document(title="without"))
        await session.commit()
        found = (await session.scalars(select(Document.title).where(Document.file.is_(None)))).all()

    assert found == ["without"]
