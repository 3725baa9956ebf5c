"""The provider: one unit of work for a request, committed before the response."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, UploadFile
from httpx import ASGITransport, AsyncClient
from pydantic import BaseModel, ConfigDict
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from fastapi_filestore import FileObject, FileService, Filestore, FilestoreSettings, ObstoreBackend
from tests.servers.postgres import Postgres
from tests.web.conftest import Serve
from tests.web.models import Base, Document, Receipt
from tests.web.site import Site, problem_in


class Shown(BaseModel):
    """A document as a hand-written route shows it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str
    file: FileObject


class Documents(FileService[Document]):
    """A service of one's own."""

    async def stamp(self, identity: int) -> Document:
        """Change a title."""
        return await self.update(identity, {"title": "stamped"})


def by_hand(app: FastAPI, files: Filestore) -> None:
    """Add the routes of the reference and its variations."""
    get_document_service = files.service(Documents)
    get_receipt_service = files.service(Receipt)
    Service = Annotated[Documents, Depends(get_document_service)]  # noqa: N806 - a type
    app.state.provider = get_document_service
    app.include_router(files.router(Document, service=get_document_service), prefix="/documents")
    app.include_router(files.router(Receipt), prefix="/receipts")

    @app.post("/upload", status_code=201, response_model=Shown)
    async def upload(file: UploadFile, service: Service) -> Document:
        return await service.create({"title": file.filename, "file": file})

    @app.post("/refuse")
    async def refuse(file: UploadFile, service: Service) -> None:
        await service.create({"title": "t", "file": file})
        raise HTTPException(402, "pay first")

    @app.post("/crash")
    async def crash(file: UploadFile, service: Service) -> None:
        await service.create({"title": "t", "file": file})
        raise ZeroDivisionError

    @app.post("/stamp/{identity}", response_model=Shown)
    async def stamp(identity: int, service: Service) -> Document:
        return await service.stamp(identity)

    @app.post("/receipts-by-hand", status_code=201)
    async def receive(file: UploadFile, service: Annotated[Any, Depends(get_receipt_service)]) -> str:
        await service.create({"document_id": 99, "file": file})
        return "created"

    @app.post("/receipts-in-a-thread", status_code=201)
    def receive_blocking(file: UploadFile, service: Annotated[Any, Depends(get_receipt_service)]) -> str:
        session = getattr(service.session, "sync_session", service.session)
        session.add(Receipt(document_id=99, file=FileObject("web", content=file.file).save()))
        return "created"


FILE = {"file": ("a.txt", b"content")}
KINDS = ["sqlite+aiosqlite", "sqlite"]


@pytest.fixture(params=KINDS)
async def site(request: pytest.FixtureRequest, serve: Serve, tmp_path: Path) -> AsyncIterator[Site]:
    """The routes on asynchronous and on synchronous sessions that expire their rows at a commit."""
    async with serve(
        f"{request.param}:///{tmp_path}/web.db", build=by_hand, session={"expire_on_commit": True}
    ) as site:
        yield site
        await site.check()


async def test_a_hand_written_route_keeps_a_file(site: Site) -> None:
    """The reference's route works as it stands, and its row can be returned although commits expire it."""
    response = await site.client.post("/upload", files=FILE)

    assert (response.status_code, response.json()["file"]["size"]) == (201, 7)
    assert (await site.client.get("/documents/1/file")).content == b"content"


async def test_an_http_exception_after_create_undoes_it(site: Site) -> None:
    """A route that refuses after it created leaves neither row nor bytes."""
    response = await site.client.post("/refuse", files=FILE)

    assert (response.status_code, response.json()) == (402, {"detail": "pay first"})
    await site.check_empty()


async def test_a_crash_after_create_undoes_it(site: Site) -> None:
    """Any other error does, too."""
    with pytest.raises(ZeroDivisionError):
        await site.client.post("/crash", files=FILE)

    await site.check_empty()


async def test_a_service_of_ones_own_is_provided(site: Site) -> None:
    """`files.service` takes a subclass, and its changes are committed."""
    await site.client.post("/upload", files=FILE)
    stamped = await site.client.post("/stamp/1")

    assert stamped.json()["title"] == "stamped"
    assert (await site.client.get("/documents/1")).json()["title"] == "stamped"


async def test_a_conflict_in_a_hand_written_route_undoes_it(site: Site) -> None:
    """A refused row is a 409 without bytes, and the next request works."""
    await site.client.post("/upload", files=FILE)
    again = await site.client.post("/upload", files=FILE)

    assert again.status_code == 409
    assert len(await site.keys()) == 1
    assert (await site.client.post("/upload", files={"file": ("b.txt", b"b")})).status_code == 201


async def test_thirty_uploads_at_once_are_thirty(site: Site) -> None:
    """Requests share nothing."""
    sent = [site.client.post("/upload", files={"file": (f"{number}.txt", b"%d" % number)}) for number in range(30)]
    statuses = [response.status_code for response in await asyncio.gather(*sent)]

    assert statuses == [201] * 30
    assert (len(await site.keys()), await site.rows()) == (30, 30)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_the_commit_comes_before_the_response(serve: Serve, postgres_database: Postgres, driver: str) -> None:
    """A constraint that fails at COMMIT is a 409, never a 201, and the object is gone: on every kind of route."""
    # "+a" tells the site which sessions to make; psycopg's are synchronous.
    async with serve(postgres_database.url(f"postgresql+{driver}"), build=by_hand) as site:
        prebuilt = await site.client.post("/receipts/", files=FILE, data={"document_id": "99"})
        handed = [await site.client.post(f"/receipts-{kind}", files=FILE) for kind in ("by-hand", "in-a-thread")]

        problem_in(prebuilt, 409, "row-conflict")
        assert [response.status_code for response in handed] == [409, 409]
        await site.check_empty()


async def test_the_provider_can_be_overridden(site: Site) -> None:
    """`app.dependency_overrides` replaces the service, for the prebuilt router and for one's own routes."""

    class Refusing(Documents):
        async def get(self, identity: object) -> Document:
            raise HTTPException(451, "not for you")

    async def refusing() -> AsyncIterator[Refusing]:
        async with site.session() as session:
            yield Refusing(session)

    site.app.dependency_overrides[site.app.state.provider] = refusing

    assert (await site.client.get("/documents/1")).status_code == 451
    assert (await site.client.post("/documents/", files=FILE, data={"title": "t"})).status_code == 201
    assert await site.rows() == 1


# -- sessions ------------------------------------------------------------------------------------------

request_id: ContextVar[object] = ContextVar("request_id", default=None)
early_sync, early_async = sessionmaker(), async_sessionmaker()
async_engines: list[AsyncEngine] = []


@pytest.fixture(autouse=True)
async def disposed() -> AsyncIterator[None]:
    """Close the connections of a test with it: the collector would complain of them in any later one."""
    yield
    while async_engines:
        await async_engines.pop().dispose()


def _scoped(folder: Path) -> Callable[..., Any]:
    registry = scoped_session(sessionmaker(_engine(folder)), scopefunc=request_id.get)

    def get_session() -> Iterator[Any]:
        yield registry
        registry.remove()

    return get_session


def _async_scoped(folder: Path) -> Callable[..., Any]:
    registry = async_scoped_session(async_sessionmaker(_async_engine(folder)), scopefunc=asyncio.current_task)

    async def get_session() -> AsyncIterator[Any]:
        yield registry
        await registry.remove()

    return get_session


def _early(folder: Path) -> Callable[..., Any]:
    early_sync.configure(bind=_engine(folder))

    def get_session() -> Iterator[Session]:
        with early_sync() as session:
            yield session

    return get_session


def _early_async(folder: Path) -> Callable[..., Any]:
    early_async.configure(bind=_async_engine(folder))

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with early_async() as session, session.begin():
            yield session

    return get_session


def _plain(folder: Path) -> Callable[..., Any]:
    engine = _engine(folder)

    def get_session() -> Session:
        return Session(engine)

    return get_session


def _engine(folder: Path) -> Any:
    return create_engine(f"sqlite:///{folder}/s.db", connect_args={"check_same_thread": False})


def _async_engine(folder: Path) -> AsyncEngine:
    async_engines.append(create_async_engine(f"sqlite+aiosqlite:///{folder}/s.db"))
    return async_engines[-1]


@asynccontextmanager
async def served(get_session: Callable[..., Any], folder: Path) -> AsyncIterator[AsyncClient]:
    """Serve documents with a session dependency."""
    engine = _engine(folder)
    Base.metadata.create_all(engine)
    engine.dispose()
    files, app = Filestore(get_session, settings=FilestoreSettings(_env_file=None)), FastAPI()
    app.include_router(files.router(Document), prefix="/documents")
    async with files.lifespan(app), AsyncClient(transport=ASGITransport(app=app), base_url="http://s") as client:
        yield client


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of engines whose pools end with the test
@pytest.mark.parametrize("make", [_scoped, _async_scoped, _early, _plain])
async def test_any_session_works(make: Callable[[Path], Any], tmp_path: Path, backend: ObstoreBackend) -> None:
    """Scoped sessions, sessions in a transaction already and sessionmakers older than the model keep files."""
    async with served(make(tmp_path), tmp_path) as client:
        token = request_id.set(object())
        created = await client.post("/documents/", files=FILE, data={"title": "t"})
        conflict = await client.post("/documents/", files=FILE, data={"title": "t"})
        request_id.reset(token)

        assert (created.status_code, conflict.status_code) == (201, 409)
        assert len([info async for info in backend.list()]) == 1
        assert (await client.delete("/documents/1")).status_code == 204
        assert [info async for info in backend.list()] == []


async def test_a_session_for_all_requests_is_refused(
    tmp_path: Path, backend: ObstoreBackend, caplog: pytest.LogCaptureFixture
) -> None:
    """A scoped_session of threads would be shared by all requests of the loop: an error says so."""
    registry = scoped_session(sessionmaker(_engine(tmp_path)))
    async with served(lambda: registry, tmp_path) as client:
        response = await client.post("/documents/", files=FILE, data={"title": "t"})

        assert response.status_code == 500
        assert "scopefunc" in caplog.text
        assert [info async for info in backend.list()] == []
