"""Mistakes of an application are told apart: a client hears whose they are, operators what to do."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI

from fastapi_filestore import FileObject, FileService, Filestore, ObstoreBackend, Upload
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import Site, problem_in

INTERNAL = ("store is not set up", "backend", "copy_async", "sqlalchemy", "filestore_intents", "Document")


def routes(app: FastAPI, files: Filestore) -> None:
    """Add routes as people write them when they go wrong."""
    provider = files.service(Document)
    service_type = Annotated[FileService[Document], Depends(provider)]
    upload_type = Annotated[Upload, Depends(files.upload())]
    app.include_router(files.router(Document), prefix="/documents")
    app.include_router(files.router(Document, scope=lambda: None), prefix="/scoped")

    @app.post("/shared")
    async def share(service: service_type) -> int:
        first = await service.create({"title": "a", "file": FileObject(content=b"a")})
        return (await service.create({"title": "b", "file": first.file})).id

    @app.post("/consumed")
    async def consume(service: service_type, upload: upload_type) -> int:
        async for _ in upload:
            pass
        return (await service.create({"title": "t", "file": upload})).id

    @app.post("/pending")
    async def pend(service: service_type) -> bytes:
        return await FileObject(filename="a.txt").get_content_async()

    @app.post("/elsewhere")
    async def elsewhere(service: service_type) -> int:
        file = FileObject("nowhere", content=b"a")
        return (await service.create({"title": "t", "file": await file.save_async()})).id

    @app.post("/text")
    async def text(service: service_type) -> int:
        return (await service.create({"title": "t", "file": "hello"})).id

    for error, handler in files.exception_handlers.items():
        app.add_exception_handler(error, handler)


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """An application with mistakes."""
    async with serve(build=routes) as site:
        yield site
        await site.check_empty()


@pytest.mark.parametrize(
    ("path", "status", "name", "remedy"),
    [
        ("/shared", 409, "shared-file", None),
        ("/consumed", 500, "content-consumed", "Store each file before"),
        ("/scoped/", 500, "invalid-scope", "return one on its columns"),
        ("/text", 500, "not-a-file", "give it a FileObject"),
        ("/pending", 500, "application-error", "a.txt"),
        ("/elsewhere", 500, "configuration-error", "register_backend"),
    ],
)
async def test_mistakes_have_types_of_their_own(
    site: Site, caplog: pytest.LogCaptureFixture, *, path: str, status: int, name: str, remedy: str | None
) -> None:
    """Each has its type and sentence, nothing internal in it, its remedy in the log, and a traceback if one helps."""
    send: Any = site.client.get if path == "/scoped/" else site.upload
    response = await send(path)
    problem_in(response, status, name)

    assert not any(word in response.text for word in INTERNAL), response.text
    assert remedy is None or remedy in caplog.text
    told = [record for record in caplog.records if record.message.startswith("fastapi_filestore.problem")]
    # Where none of its own functions is on the way, nothing in a traceback is the application's.
    assert [record.exc_info is not None for record in told] == ([path != "/scoped/"] if status == 500 else [])


async def test_another_rows_file_is_a_conflict(site: Site, backend: ObstoreBackend) -> None:
    """A client hears that the file is another row's, and nothing of it is kept."""
    response = await site.upload("/shared")

    assert response.json()["detail"] == "The file belongs to another row already."
    assert [info async for info in backend.list()] == []
