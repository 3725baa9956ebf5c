"""Files in an application of Litestar: uploaded by its own UploadFile, shown, downloaded, and refused as problems."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import pytest
from litestar import Litestar, get, post, put
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.testing import AsyncTestClient
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from fastapi_filestore import (
    FileObject,
    FileService,
    Filestore,
    FilestoreSettings,
    StoredObject,
    add_ledger,
    storages,
)
from fastapi_filestore.contrib.litestar import FileDownload, FilestorePlugin, provide_service

pytestmark = [
    pytest.mark.works_with("Litestar"),
    # The reference, and most applications, leave the kinds of parameters to be inferred.
    pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning"),
]


class Base(DeclarativeBase):
    """Whose tables Litestar serves."""


class Document(Base):
    """A document, perhaps with a file, and its pages."""

    __tablename__ = "documents"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    file: Mapped[FileObject | None] = mapped_column(StoredObject("letters", content_types=["text/*"]))
    pages: Mapped[list[FileObject]] = mapped_column(StoredObject("letters", multiple=True), default=list)


class DocumentService(FileService[Document]):
    """What the handlers call."""


add_ledger(Base.metadata)
Form = Body(media_type=RequestEncodingType.MULTI_PART)


@post("/upload", signature_namespace={"DocumentService": DocumentService})
async def upload_file(data: Annotated[UploadFile, Form], service: DocumentService) -> Document:
    """Upload file to storage backend."""
    doc_data = {
        "title": data.filename or "untitled",
        "file": FileObject(
            backend="letters",
            filename=data.filename or "file",
            content_type=data.content_type or "application/octet-stream",
            content=await data.read(),
        ),
    }
    return await service.create(doc_data)


@post("/pages")
async def add_pages(data: Annotated[list[UploadFile], Form], service: DocumentService) -> Document:
    """Give the uploads to the service as they are."""
    return await service.create({"title": "pages", "pages": data})


@put("/documents/{identity:int}/file")
async def assign(identity: int, data: Annotated[UploadFile, Form], plain: FileService[Document]) -> FileObject:
    """Assign an upload to a row's attribute."""
    row = await plain.get(identity)
    row.file = FileObject.of(data)
    await plain.commit()
    return row.file


@post("/failures")
async def fail(data: Annotated[UploadFile, Form], service: DocumentService) -> None:
    """Fail behind the create."""
    await service.create({"title": "t", "file": data})
    raise ZeroDivisionError


@get("/documents/{identity:int}/file")
async def read_file(identity: int, service: DocumentService) -> FileDownload:
    """Send a file."""
    return FileDownload(await service.file(identity, field="file"), attachment=True)


@get("/documents")
async def list_documents(service: DocumentService) -> list[Document]:
    """List all documents."""
    return list((await service.list()).items)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncTestClient[Litestar]]:
    """A client of the application, which opens the backend by its plugin."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/rows.db")
    blocking = create_engine(f"sqlite:///{tmp_path}/rows.db")
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    sync_sessions = sessionmaker(blocking, expire_on_commit=False)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield
        await engine.dispose()
        blocking.dispose()

    backends: Any = {"letters": {"url": f"file://{tmp_path}/files/"}}
    app = Litestar(
        [upload_file, add_pages, assign, fail, read_file, list_documents],
        dependencies={
            "service": provide_service(DocumentService, sessions),
            "plain": provide_service(Document, sync_sessions),
        },
        logging_config=None,
        lifespan=[lifespan],
        plugins=[FilestorePlugin(Filestore(settings=FilestoreSettings(backends=backends)))],
    )
    async with AsyncTestClient(app, raise_server_exceptions=False) as client:
        yield client
    with pytest.raises(LookupError):
        storages.get_backend("letters")


def files_in(folder: Path) -> set[bytes]:
    """Return the content of all objects."""
    return {file.read_bytes() for file in (folder / "files").rglob("*") if file.is_file()}


TEXT = ("a.txt", b"content", "text/plain")


async def test_the_handler_of_the_reference(client: AsyncTestClient[Litestar]) -> None:
    """A handler written for the reference creates a row, and its answer shows the file, without where it lies."""
    answer = await client.post("/upload", files={"data": TEXT})

    shown = answer.json()
    assert (answer.status_code, shown["title"], shown["pages"]) == (201, "a.txt", [])
    assert (shown["file"]["filename"], shown["file"]["size"]) == ("a.txt", 7)
    assert not {"backend", "path"} & shown["file"].keys()


async def test_uploads_as_they_are(client: AsyncTestClient[Litestar], tmp_path: Path) -> None:
    """Litestar's own uploads go to the service, into a list, and to a row's attribute."""
    pages = await client.post("/pages", files=[("data", ("1.txt", b"one")), ("data", ("2.txt", b"two"))])
    assigned = await client.put("/documents/1/file", files={"data": TEXT})

    assert [page["filename"] for page in pages.json()["pages"]] == ["1.txt", "2.txt"]
    assert (assigned.status_code, assigned.json()["content_type"]) == (200, "text/plain")
    assert [row["title"] for row in (await client.get("/documents")).json()] == ["pages"]
    assert files_in(tmp_path) == {b"one", b"two", b"content"}


async def test_a_download(client: AsyncTestClient[Litestar]) -> None:
    """A file is sent with ranges, conditions and safe headers."""
    await client.post("/upload", files={"data": TEXT})
    whole = await client.get("/documents/1/file")
    headers = [{"Range": "bytes=1-3"}, {"If-None-Match": whole.headers["etag"]}, {"Range": "bytes=99-"}]
    answers = [await client.get("/documents/1/file", headers=sent) for sent in headers]

    assert (whole.content, whole.headers["content-disposition"]) == (b"content", 'attachment; filename="a.txt"')
    assert [answer.status_code for answer in answers] == [206, 304, 416]
    assert (answers[0].content, answers[2].headers["content-range"]) == (b"ont", "bytes */7")


async def test_problems(client: AsyncTestClient[Litestar], tmp_path: Path) -> None:
    """What the library refuses is a problem detail, and nothing of what failed is left."""
    refused = await client.post("/upload", files={"data": ("a.png", b"\x89PNG", "image/png")})
    failed = await client.post("/failures", files={"data": TEXT})
    missing = await client.get("/documents/9/file")

    assert [answer.status_code for answer in (refused, failed, missing)] == [415, 500, 404]
    assert refused.headers["content-type"] == "application/problem+json"
    assert missing.json()["type"].endswith(":row-not-found")
    assert files_in(tmp_path) == set()


async def test_openapi(client: AsyncTestClient[Litestar]) -> None:
    """Litestar describes rows, files and downloads as they are shown."""
    described = (await client.get("/schema/openapi.json")).json()

    sent = described["paths"]["/documents/{identity}/file"]["get"]["responses"]["200"]["content"]
    assert {"DocumentRead", "FileRead"} <= described["components"]["schemas"].keys()
    assert [media["schema"]["format"] for media in sent.values()] == ["binary"]
