"""Uploads in routes that block: they are read by way of the loop that feeds them, or refused if that is stopped."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request, UploadFile
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from fastapi_filestore import (
    BlockingCallError,
    FileObject,
    FileService,
    Filestore,
    ObstoreBackend,
    StoredObject,
    Upload,
    Uploads,
)
from fastapi_filestore.orm.sessions import plain_session
from tests.web.feeding import PATIENCE, TEXT, sent, served, slowly

BIG = b"x" * 5_000_000


class Base(DeclarativeBase):
    """The tables of these routes."""


class Row(Base):
    """A file alone."""

    __tablename__ = "rows"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject("web"))


@pytest.fixture
def app(backend: ObstoreBackend, tmp_path: Path) -> Iterator[FastAPI]:
    """Routes that store a request's file in every way that blocks, each answering its size."""
    engine = create_engine(f"sqlite:///{tmp_path}/web.db", connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)
    sessions = sessionmaker(engine)

    def get_session() -> Iterator[Session]:
        with sessions() as session:
            yield session

    files = Filestore(get_session)
    app = FastAPI(lifespan=files.lifespan, exception_handlers=files.exception_handlers)
    app.include_router(files.router(Row), prefix="/rows")
    add_routes(app, files, get_session)
    add_coroutines(app, files, get_session)
    yield app
    engine.dispose()


def committed(session: Session, content: Any) -> int | None:
    """Give content to a row, and commit that."""
    row = Row(file=content)
    session.add(row)
    session.commit()
    return row.file.size


def add_routes(app: FastAPI, files: Filestore, get_session: Any) -> None:
    """Add routes that block in a thread."""
    incoming, blocking = Depends(files.upload()), Depends(get_session)

    @app.post("/commit")
    def commit(upload: Annotated[Upload, incoming], session: Annotated[Session, blocking]) -> Any:
        return committed(session, upload)

    @app.post("/save")
    def save(upload: Annotated[Upload, incoming]) -> Any:
        return FileObject("web", content=upload).save().size

    @app.post("/other-loop")
    def save_on_another_loop(upload: Annotated[Upload, incoming]) -> Any:
        return asyncio.run(FileObject("web", content=upload).save_async()).size

    @app.post("/waiting")
    def save_and_wait(file: UploadFile, service: Annotated[FileService[Row], Depends(files.service(Row))]) -> Any:
        time.sleep(0.2)  # until every thread for `def` endpoints has a request
        return service.wait(FileObject("web", content=file).save_async()).size

    @app.post("/stream")
    def commit_stream(file: Annotated[Any, Depends(body)], session: Annotated[Session, blocking]) -> Any:
        return committed(session, file)

    @app.post("/several")
    def several(uploads: Annotated[Uploads, Depends(files.uploads("file", max_files=2))]) -> Any:
        async def stored() -> list[int | None]:
            return [(await FileObject("web", content=upload).save_async()).size async for upload in uploads]

        return asyncio.run(stored())


def add_coroutines(app: FastAPI, files: Filestore, get_session: Any) -> None:
    """Add routes that are coroutines."""
    incoming, blocking, serving = Depends(files.upload()), Depends(get_session), Depends(files.service(Row))

    @app.post("/stopped")
    async def commit_in_the_loop(upload: Annotated[Upload, incoming], session: Annotated[Session, blocking]) -> Any:
        return committed(session, upload)

    @app.post("/stopped-then-awaited")
    async def awaited(upload: Annotated[Upload, incoming], session: Annotated[Session, blocking]) -> Any:
        file = FileObject("web", content=upload)
        with suppress(BlockingCallError):
            file.save()
        return committed(session, await file.save_async())

    @app.post("/committed-later")
    async def committed_later(
        upload: Annotated[Upload, incoming], service: Annotated[FileService[Row], serving]
    ) -> Any:
        plain_session(service.session).add(Row(file=upload))  # stored when the unit of work is committed, in a thread
        return int(upload.longest or 0)

    @app.post("/spooled")
    async def commit_spooled(file: UploadFile, session: Annotated[Session, blocking]) -> Any:
        return committed(session, file)


async def body(request: Request) -> FileObject:
    """Return the body as Starlette has it."""
    return FileObject(content=request.stream())


@pytest.mark.parametrize("path", ["/commit", "/save", "/other-loop", "/stopped-then-awaited", "/rows/"])
@pytest.mark.parametrize("content", [b"x" * 100, BIG], ids=["short", "long"])
async def test_uploads_of_every_size(app: FastAPI, path: str, content: bytes) -> None:
    """Slow uploads are stored, whichever loop or thread the route stores them on, and several at once."""
    with served(app) as url:
        responses = await sent(url, content, [path] * 8)

    sizes = [response.json() if path != "/rows/" else response.json()["file"]["size"] for response in responses]
    assert sizes == [len(content)] * 8


async def test_a_row_that_is_committed_with_the_unit_of_work(app: FastAPI, backend: ObstoreBackend) -> None:
    """An upload that a route gives to a row is stored when the request's unit of work ends, in a thread."""
    with served(app) as url:
        responses = await sent(url, BIG, ["/committed-later"] * 4)

    assert [response.status_code for response in responses] == [200] * 4
    assert [info.size async for info in backend.list()] == [len(BIG)] * 4


async def test_files_of_a_form_on_another_loop(app: FastAPI) -> None:
    """The files of a form are read one after the other by way of the loop that feeds it."""
    with served(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
            files = [("file", ("a.txt", BIG)), ("file", ("b.txt", b"b"))]
            response = await client.post("/several", files=files)

    assert response.json() == [len(BIG), 1]


async def test_a_stopped_loop(app: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    """A route that would stop the loop that feeds its upload is told at once what to await; others go on."""
    with served(app) as url:
        refused = await sent(url, BIG, ["/stopped"] * 8)
        others = await sent(url, BIG, ["/rows/"])

    assert [response.status_code for response in refused] == [500] * 8
    assert [response.status_code for response in others] == [201]
    assert "`await file.save_async()`" in caplog.text


async def test_a_client_that_leaves(app: FastAPI, backend: ObstoreBackend) -> None:
    """A client that leaves ends the upload that another loop reads: nothing is stored, and the server goes on."""
    with served(app) as url:
        for path in ("/commit", "/save"):
            async with httpx.AsyncClient(base_url=url) as client:
                posting = asyncio.create_task(client.post(path, content=slowly(BIG, pieces=100), headers=TEXT))
                await asyncio.sleep(0.5)
                posting.cancel()
                await asyncio.wait({posting}, timeout=PATIENCE)
        others = await sent(url, b"x", ["/commit"])

    assert others[0].json() == 1
    assert [info.size async for info in backend.list()] == [1]


async def test_a_body_that_starlette_reads(app: FastAPI) -> None:
    """An async iterator that a coroutine was given, such as a request's own stream, is read on its loop, too."""
    with served(app) as url:
        responses = await sent(url, BIG, ["/stream"] * 4)

    assert [response.text for response in responses] == [str(len(BIG))] * 4


@pytest.mark.parametrize("size", [100, 5_000_000])
async def test_a_file_that_fastapi_has_read(app: FastAPI, size: int) -> None:
    """An UploadFile, which is in memory or on the disk already, can be committed in the loop."""
    with served(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
            response = await client.post("/spooled", files={"file": ("a.txt", b"x" * size)})

    assert response.text == str(size)


async def test_files_on_the_disk_for_every_thread(app: FastAPI) -> None:
    """Endpoints that hold all threads of the event loop, and wait for big UploadFiles, end all the same."""
    with served(app) as url:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
            sending = (client.post("/waiting", files={"file": ("a.txt", b"x" * 2_000_000)}) for _ in range(45))
            responses = await asyncio.gather(*sending)

    assert [response.text for response in responses] == ["2000000"] * 45
