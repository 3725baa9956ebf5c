"""A service that is used after its request's unit of work has ended: it reads, and refuses to write."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.responses import StreamingResponse

from fastapi_filestore import FileObject, FileService, Filestore, UnitOfWorkEndedError
from tests.web.conftest import Serve
from tests.web.models import Album
from tests.web.site import Site

Albums = FileService[Album]
Use = Callable[[Albums], Awaitable[Any]]


def new() -> FileObject:
    """A file that is still to be stored."""
    return FileObject(content=b"new")


async def _store(service: Albums) -> None:
    async with service.storing(new(), field="cover"):
        pass


async def _store_each(service: Albums) -> None:
    async def files() -> AsyncIterator[FileObject]:
        yield new()

    async with service.storing_all(files(), field="photos"):
        pass


WRITES: dict[str, Use] = {
    "create": lambda service: service.create({"cover": new()}),
    "create a row": lambda service: service.create(Album(cover=new())),
    "create without files": lambda service: service.create({}),
    "update": lambda service: service.update(1, {"cover": new()}),
    "clear": lambda service: service.update(1, {"cover": None}),
    "replace": lambda service: service.replace(1, new(), field="cover"),
    "delete": lambda service: service.delete(1),
    "append": lambda service: service.append(1, [new()], field="photos"),
    "remove": lambda service: service.remove(1, [], field="photos"),
    "storing": _store,
    "storing all": _store_each,
    "lock file": lambda service: service.lock_file(1, field="cover"),
}
READS: dict[str, Use] = {
    "get": lambda service: service.get(1),
    "list": lambda service: service.list(),
    "file": lambda service: service.file(1, field="cover"),
    "peek file": lambda service: service.peek_file(1, field="cover"),
    "open": lambda service: service.open(1, field="cover"),
    "require": lambda service: service.require(1),
}


async def late(app: FastAPI, service: Albums) -> None:
    """Use a service as the test says, and note what is refused."""
    try:
        await app.state.use(service)
    except UnitOfWorkEndedError as error:
        app.state.raised.append(str(error))


def build(app: FastAPI, files: Filestore) -> None:
    """Add routes that take the service along; what it raised is in `app.state.raised`."""
    Service = Annotated[Albums, Depends(files.service(Album))]  # noqa: N806 - a type

    @app.post("/background")
    async def in_background(service: Service, tasks: BackgroundTasks) -> None:
        tasks.add_task(late, app, service)

    @app.post("/background-method")
    async def method_in_background(service: Service, tasks: BackgroundTasks) -> None:
        tasks.add_task(service.create, {"cover": new()})

    @app.post("/stream")
    async def stream(service: Service) -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"begun"
            await late(app, service)

        return StreamingResponse(chunks())

    @app.post("/refused")
    async def refused(service: Service) -> None:
        app.state.service = service
        raise ZeroDivisionError


@pytest.fixture(params=["sqlite+aiosqlite", "sqlite"])
async def site(request: pytest.FixtureRequest, serve: Serve, tmp_path: Path) -> AsyncIterator[Site]:
    """A site with an album, on sessions of both kinds."""
    async with serve(f"{request.param}:///{tmp_path}/web.db", build=build, shared=True) as site:
        site.app.state.raised = []
        async with site.session() as session:
            service = FileService(session, model=Album)
            await service.create({"cover": FileObject(content=b"old")})
            await service.commit()
        yield site
        await site.check()


@pytest.mark.parametrize("route", ["/background", "/stream"])
@pytest.mark.parametrize("write", WRITES)
async def test_writes_are_refused(site: Site, route: str, write: str) -> None:
    """After the commit nothing is written, stored or deleted, and the error says how to go on."""
    site.app.state.use = WRITES[write]
    await site.client.post(route)

    (message,) = site.app.state.raised
    assert "async with Session() as session, FileService(session, model=Album).unit_of_work() as service" in message
    assert (len(await site.keys()), await site.rows(Album)) == (1, 1)
    async with site.session() as session:
        assert await (await FileService(session, model=Album).file(1, field="cover")).get_content_async() == b"old"


@pytest.mark.parametrize("route", ["/background", "/stream"])
@pytest.mark.parametrize("read", READS)
async def test_reads_are_not(site: Site, route: str, read: str) -> None:
    """Reading is done as before."""
    site.app.state.use = READS[read]
    await site.client.post(route)

    assert site.app.state.raised == []


async def test_a_method_as_a_background_task(site: Site) -> None:
    """A method of the service that is given to a background task is run by it, and raises where the server logs it."""
    with pytest.raises(UnitOfWorkEndedError):
        await site.client.post("/background-method")


async def test_what_the_error_shows(site: Site) -> None:
    """A unit of work of one's own, as the error's words have it, keeps what a background task writes."""

    async def write(_: Albums) -> None:
        async with site.session() as session, FileService(session, model=Album).unit_of_work() as service:
            await service.create({"cover": new()})

    site.app.state.use = write
    await site.client.post("/background")

    assert (site.app.state.raised, await site.rows(Album)) == ([], 2)


@pytest.mark.parametrize("route", ["/background", "/stream"])
async def test_a_unit_of_work_that_is_begun_anew(site: Site, route: str) -> None:
    """The service's own block commits at its end, so it may write; after it the service refuses again."""

    async def write(service: Albums) -> None:
        async with service.unit_of_work():
            await service.create({"cover": new()})
        await service.create({"cover": new()})

    site.app.state.use = write
    await site.client.post(route)

    assert (len(site.app.state.raised), await site.rows(Album)) == (1, 2)


async def test_after_a_failure(site: Site) -> None:
    """A unit of work that was rolled back has ended, too."""
    with pytest.raises(ZeroDivisionError):
        await site.client.post("/refused")
    with pytest.raises(UnitOfWorkEndedError):
        await site.app.state.service.create({"cover": new()})


async def test_a_service_of_ones_own_never_ends(site: Site) -> None:
    """Outside of dependencies one service works block after block, and between them with commits by hand."""
    async with site.session() as session:
        service = FileService(session, model=Album)
        for _ in range(2):
            async with service.unit_of_work():
                await service.create({"cover": new()})
            await service.create({"cover": new()})
            await service.commit()

    assert await site.rows(Album) == 5


async def test_a_write_that_is_under_way_at_the_end(site: Site) -> None:
    """A task whose bytes are stored while the unit of work ends writes no row, and its bytes go."""
    async with site.session() as session:
        service = FileService(session, model=Album)

        async def chunks() -> AsyncIterator[bytes]:
            yield b"half"
            service.refuse_writes()
            yield b"the other half"

        with pytest.raises(UnitOfWorkEndedError):
            await service.create({"cover": FileObject(content=chunks())})

    assert (len(await site.keys()), await site.rows(Album)) == (1, 1)
