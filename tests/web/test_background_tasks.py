"""What FastAPI's background tasks may do with files: they run after the COMMIT, and after the response is sent."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, UploadFile

from fastapi_filestore import ContentConsumedError, FileObject, FileService, Filestore, ObjectNotFoundError, Upload
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import Site

Task = Callable[..., Any]


def build(app: FastAPI, files: Filestore) -> None:
    """Add routes that give the task of a test the key of the row, its file and what it came from."""
    app.include_router(files.router(Document), prefix="/documents")
    get_service = files.service(Document)

    @app.post("/upload")
    async def upload(
        upload: Annotated[Upload, Depends(files.upload())],
        service: Annotated[FileService[Document], Depends(get_service)],
        tasks: BackgroundTasks,
    ) -> None:
        document = await service.create({"title": "t", "file": upload})
        tasks.add_task(app.state.task, document.id, document.file, upload)

    @app.post("/upload-file")
    async def upload_file(
        file: UploadFile, service: Annotated[FileService[Document], Depends(get_service)], tasks: BackgroundTasks
    ) -> None:
        document = await service.create({"title": "t", "file": file})
        tasks.add_task(app.state.task, document.id, document.file, file)

    @app.post("/fails")
    async def fails(
        upload: Annotated[Upload, Depends(files.upload())],
        service: Annotated[FileService[Document], Depends(get_service)],
        tasks: BackgroundTasks,
    ) -> None:
        for _ in range(2):
            document = await service.create({"title": "of one row only", "file": FileObject(content=b"x")})
            tasks.add_task(app.state.task, document.id, document.file, None)


@pytest.fixture(params=["sqlite+aiosqlite", "sqlite"])
async def site(
    request: pytest.FixtureRequest, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """A site on sessions of either kind."""
    folder = tmp_path_factory.mktemp("background")
    async with serve(f"{request.param}:///{folder}/web.db", build=build, shared=True) as site:
        yield site
        await site.check()


async def run(site: Site, task: Task, route: str = "/upload") -> None:
    """Have a route run a task in the background, and wait for it."""
    site.app.state.task = task
    answer = await site.upload(route)
    assert answer.status_code == 200


@pytest.mark.parametrize("route", ["/upload", "/upload-file"])
async def test_the_file_of_a_committed_row(site: Site, route: str) -> None:
    """A stored file needs no session: it is read, opened and copied, and others see its row by then."""
    told = list[object]()

    async def task(identity: int, file: FileObject, _: object) -> None:
        told.append(await file.get_content_async())
        told.append(await (await file.open_async(start=3)).read())
        copied = await file.copy_async()
        told.append(await copied.get_content_async())
        await copied.delete_async()
        async with site.session() as session:
            other = await FileService(session, model=Document).get(identity)
            told.append(other.file == file)

    await run(site, task, route)

    assert told == [b"content", b"tent", b"content", True]


async def test_a_task_that_blocks(site: Site) -> None:
    """A `def` task has a thread of its own, and may block."""
    told = list[object]()

    def task(identity: int, file: FileObject, _: object) -> None:
        with file.open() as opened:
            told.append(opened.read())
        told.append(file.get_content())

    await run(site, task)

    assert told == [b"content", b"content"]


async def test_an_upload(site: Site) -> None:
    """The stream of a client has been read by then: a second file of it is refused, and is never an empty one."""
    told = list[object]()

    async def task(_: int, file: FileObject, upload: Upload) -> None:
        for use in (lambda: FileObject("web", content=upload).save_async(), lambda: anext(aiter(upload))):
            with pytest.raises(ContentConsumedError):
                await use()
            told.append(file.size)

    await run(site, task)

    assert told == [7, 7]


async def test_a_file_that_is_deleted_meanwhile(site: Site) -> None:
    """Another request may delete the row before the task runs: the file says so."""
    told = list[object]()

    async def task(identity: int, file: FileObject, _: object) -> None:
        assert (await site.client.delete(f"/documents/{identity}")).status_code == 204
        with pytest.raises(ObjectNotFoundError):
            await file.get_content_async()
        told.append(await site.keys())

    await run(site, task)

    assert told == [set()]


async def test_a_request_that_fails(site: Site) -> None:
    """Where the request is rolled back no task runs, and its files are gone."""
    ran = list[object]()
    site.app.state.task = ran.append
    answer = await site.upload("/fails")

    assert (answer.status_code, ran) == (409, [])
    await site.check_empty()


async def test_no_connection_is_held(site: Site) -> None:
    """A task may take long: the request's connection went back to the pool with the COMMIT."""
    told = list[object]()

    async def task(*_: object) -> None:
        told.append(site.sessions.kw["bind"].pool.checkedout())

    await run(site, task)

    assert told == [0]
