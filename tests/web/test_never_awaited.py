"""Coroutines that nobody awaits, as in a `def` endpoint: an error, and nothing is kept of the request."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, UploadFile

from fastapi_filestore import FileObject, FileService, Filestore, NeverAwaitedError
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import Site, problem_in


class Documents(FileService[Document]):
    """A service with a method of its own."""

    async def stamp(self, identity: int) -> Document:
        """Change a title."""
        return await self.update(identity, {"title": "stamped"})


CALLS: dict[str, Callable[[Documents, FileObject], Any]] = {
    "Transactional.loading": lambda service, file: service.loading(str),
    "Documents.stamp": lambda service, file: service.stamp(1),
    "FileService.create": lambda service, file: service.create({"title": "t", "file": file}),
    "FileService.update": lambda service, file: service.update(1, {"file": file}),
    "FileService.replace": lambda service, file: service.replace(1, file),
    "FileService.delete": lambda service, file: service.delete(1),
    "FileLists.append": lambda service, file: service.append(1, [file]),
    "FileLists.remove": lambda service, file: service.remove(1, [file]),
    "FileLists.exchange": lambda service, file: service.exchange(1, "x", file),
    "FileLists.reorder": lambda service, file: service.reorder(1, []),
    "FileLists.listed_file": lambda service, file: service.listed_file(1, "x"),
    "FileLists.listed_files": lambda service, file: service.listed_files(1),
    "FileService.get": lambda service, file: service.get(1),
    "FileService.list": lambda service, file: service.list(),
    "FileService.require": lambda service, file: service.require(1),
    "FileService.file": lambda service, file: service.file(1),
    "FileService.peek_file": lambda service, file: service.peek_file(1),
    "Storing.folder_of": lambda service, file: service.folder_of("file", identity=1),
    "FileService.lock_file": lambda service, file: service.lock_file(1),
    "FileService.open": lambda service, file: service.open(1),
    "FileService.url": lambda service, file: service.url(1),
    "Transactional.end_reading": lambda service, file: service.end_reading(),
    "FileService.sign_upload": lambda service, file: service.sign_upload(file),
    "Transactional.commit": lambda service, file: service.commit(),
    "Transactional.rollback": lambda service, file: service.rollback(),
    "FileObject.save_async": lambda service, file: file.save_async(),
    "FileObject.delete_async": lambda service, file: file.delete_async(),
    "FileObject.copy_async": lambda service, file: file.copy_async(),
    "FileObject.confirm_async": lambda service, file: file.confirm_async(),
    "FileObject.look_async": lambda service, file: file.look_async(),
    "FileObject.check_async": lambda service, file: file.check_async(),
    "FileObject.open_async": lambda service, file: file.open_async(),
    "FileObject.get_content_async": lambda service, file: file.get_content_async(),
    "FileObject.head_async": lambda service, file: file.head_async(),
    "FileObject.sign_async": lambda service, file: file.sign_async(),
    "FileObject.signed_url_async": lambda service, file: file.signed_url_async(),
}
"""Every coroutine method that a route can call."""


def methods(owner: type) -> set[str]:
    """Return the names of the public coroutine methods of a class."""
    return {name for name, value in inspect.getmembers(owner) if inspect.iscoroutinefunction(value) and name[0] != "_"}


def test_no_method_is_left_out() -> None:
    """The table has every coroutine method there is."""
    assert {call.partition(".")[2] for call in CALLS} == methods(Documents) | methods(FileObject)


def forget(name: str, service: Documents) -> object:
    """Call and do not await."""
    return CALLS[name](service, FileObject(content=b"new"))


def build(app: FastAPI, files: Filestore) -> None:
    """Add endpoints that call and do not await, and some that do."""
    Service = Annotated[Documents, Depends(files.service(Documents))]  # noqa: N806 - a type
    app.include_router(files.router(Document), prefix="/documents")

    @app.post("/def/{name}")
    def in_thread(name: str, service: Service) -> str:
        call = forget(name, service)
        return type(call).__name__

    @app.post("/async/{name}")
    async def forgotten(name: str, service: Service) -> None:
        await service.create({"title": "before", "file": FileObject(content=b"before")})
        forget(name, service)

    @app.post("/waited")
    def waited(file: UploadFile, service: Service) -> str:
        row = service.wait(service.create({"title": "waited", "file": file}))
        assert row.file is not None
        return service.wait(service.stamp(row.id)).title + row.file.get_content().decode()

    @app.post("/tasks")
    async def in_task(service: Service) -> None:
        app.state.task = asyncio.create_task(FileObject("web", content=b"new").save_async())

    @app.post("/many")
    async def many(service: Service) -> None:
        for number in range(200):
            await service.get(1)
            if number == 100:
                forget("FileService.delete", service)


@pytest.fixture(params=["sqlite+aiosqlite", "sqlite"])
async def site(request: pytest.FixtureRequest, serve: Serve, tmp_path: Path) -> AsyncIterator[Site]:
    """A site with a document, on sessions of both kinds."""
    async with serve(f"{request.param}:///{tmp_path}/web.db", build=build, shared=True) as site:
        site.app.exception_handlers |= site.files.exception_handlers
        await site.upload(content=b"old")
        yield site
        await site.check()


@pytest.mark.parametrize("route", ["def", "async"])
async def test_a_call_that_nobody_awaits(site: Site, route: str, caplog: pytest.LogCaptureFixture) -> None:
    """The answer is a 500, the log says which call and what to write, and the request is rolled back."""
    for call in CALLS:
        problem_in(await site.client.post(f"/{route}/{call}"), 500, "application-error")
        assert f"{call}: called and never awaited" in caplog.text
        assert "service.wait(service.create(...))" in caplog.text
        caplog.clear()

    assert (await site.rows(), len(await site.keys())) == (1, 1)


async def test_a_def_endpoint_can_wait(site: Site) -> None:
    """`service.wait` runs a call where nothing can be awaited, with sessions of both kinds; the request is one unit."""
    response = await site.client.post("/waited", files={"file": ("a.txt", b"!")})

    assert response.json() == "stamped!"
    assert await site.rows() == 2


async def test_a_task_is_no_forgotten_call(site: Site) -> None:
    """A coroutine that a task is about to run is left to the task."""
    response = await site.client.post("/tasks")
    file = await site.app.state.task
    await file.delete_async()

    assert response.status_code == 200


async def test_one_of_many(site: Site) -> None:
    """One call that was forgotten among hundreds is found."""
    problem_in(await site.client.post("/many"), 500, "application-error")


async def test_without_a_web(site: Site) -> None:
    """A unit of work in a script finds it, too."""
    async with site.session() as session:
        service = FileService(session, model=Document)
        with pytest.raises(NeverAwaitedError, match=r"FileService\.delete"):
            async with service.unit_of_work():
                forget("FileService.delete", service)  # type: ignore[arg-type]

    assert await site.rows() == 1


def test_waiting_on_a_loop() -> None:
    """To wait on an event loop's own thread would stop it, so it is an error; elsewhere the library's loop is used."""
    service = FileService[Document].__new__(FileService)

    async def call() -> int:
        return 42

    async def wait_here() -> None:
        service.wait(call())

    with pytest.raises(RuntimeError, match="await it instead"):
        asyncio.run(wait_here())
    assert service.wait(call()) == 42


@pytest.mark.parametrize("method", [FileService.create, Documents.stamp, FileObject.save_async])
def test_methods_look_as_they_are(method: Callable[..., Any]) -> None:
    """For whoever inspects them they are coroutine functions with their own names, signatures and words."""
    assert inspect.iscoroutinefunction(method)
    assert method.__doc__
    assert next(iter(inspect.signature(method).parameters)) == "self"
    assert inspect.signature(method).return_annotation is not inspect.Signature.empty
