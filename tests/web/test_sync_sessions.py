"""Sessions that block, under load: forty requests at once that want the same row, or more connections than there are.

Each is answered soon, or refused by one clear answer: none waits for what waits for it.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Annotated, Any

import anyio
import httpx
import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from fastapi_filestore import FileObject, FileService, Filestore, ObstoreBackend, storages
from fastapi_filestore.orm.sessions import run_in_session
from tests.servers.postgres import Databases
from tests.web.blocking import MODELS, TRIED, Ledgered, LedgeredFiled
from tests.web.feeding import served

AT_ONCE = 40


PATIENCE = 60.0
"""Seconds after which a request has hung, on a machine that is busy with other things, too."""


ANSWERS = {200, 201, 204, 404, 409, 503}


Ask = Callable[[httpx.AsyncClient, int], Awaitable[httpx.Response]]


INCREASE = text("UPDATE counted SET seen = seen + 1 WHERE id = 1")


def build(sessions: Callable[[], Session], counted: Any, filed: Any) -> FastAPI:
    """Build an application whose authorization uses the session of its request."""

    def get_session() -> Iterator[Session]:
        with sessions() as session:
            yield session

    files = Filestore(get_session)
    app = FastAPI(lifespan=files.lifespan, exception_handlers=files.exception_handlers)
    blocking = Depends(get_session)

    def read(session: Annotated[Session, blocking]) -> None:
        session.scalar(select(counted.seen))

    def write(session: Annotated[Session, blocking]) -> None:
        session.execute(INCREASE)

    for name, authorize in (("read", read), ("write", write)):
        app.include_router(files.router(filed, dependencies=[Depends(authorize)]), prefix=f"/{name}")
    add_routes(app, blocking, Depends(files.service(filed)), filed)
    return app


def add_routes(app: FastAPI, blocking: Any, serving: Any, filed: Any) -> None:
    """Add routes that read and write one row, or write one that all share and then a file."""

    @app.post("/get-then-update")
    async def get_then_update(service: Annotated[FileService[Any], serving]) -> None:
        await service.get(1)
        await service.update(1, {"title": "changed"})

    @app.post("/blocking/get-then-update")
    def get_then_update_blocking(service: Annotated[FileService[Any], serving]) -> None:
        service.wait(service.get(1))
        service.wait(service.update(1, {"title": "changed"}))

    @app.post("/shared-row-then-file")
    async def create(service: Annotated[FileService[Any], serving], session: Annotated[Session, blocking]) -> None:
        await run_in_session(session, lambda one: one.execute(INCREASE))
        for _ in range(2):
            await service.create({"file": FileObject(content=b"x")})

    @app.post("/blocking/shared-row-then-file")
    def commit(session: Annotated[Session, blocking]) -> None:
        session.execute(INCREASE)
        session.add(filed(file=FileObject(content=iter([b"x"]))))
        session.commit()


@contextmanager
def application(url: str, models: str) -> Iterator[str]:
    """Serve the application on a database, with a pool that has fewer connections than there are requests."""
    counted, filed = MODELS[models]
    # However busy the machine is, SQLite's lock comes.
    connect = {"check_same_thread": False, "timeout": PATIENCE} if url.startswith("sqlite") else {}
    engine = create_engine(url, connect_args=connect, pool_size=5, max_overflow=10, pool_timeout=PATIENCE)
    counted.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([counted(id=1), filed(id=1, file=FileObject(content=b"first"))])
        session.commit()
    with served(build(sessionmaker(engine), counted, filed)) as address:
        yield address
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, postgres_databases: Databases) -> str:
    """A database of its own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/web.db"
    return postgres_databases.empty().url("postgresql+psycopg")


def patch(prefix: str) -> Ask:
    """Change the first row."""
    return lambda client, number: client.patch(f"{prefix}/1", json={"title": f"{number}"})


def put(prefix: str) -> Ask:
    """Replace the first row's file."""
    return lambda client, number: client.put(f"{prefix}/1/file", files={"file": ("a.txt", b"%d" % number)})


def upload(prefix: str) -> Ask:
    """Add a row."""
    return lambda client, number: client.post(f"{prefix}/", files={"file": ("a.txt", b"%d" % number)})


def delete(prefix: str) -> Ask:
    """Delete the first row, which one of all succeeds in."""
    return lambda client, number: client.delete(f"{prefix}/1")


def post(path: str) -> Ask:
    """Ask a route of the application's own."""
    return lambda client, number: client.post(path)


ROUTERS = {"patch read": patch("/read"), **{f"{ask.__name__} write": ask("/write") for ask in (patch, put, upload)}}


ROUTES = {
    path: post(path)
    for path in (
        "/get-then-update",
        "/blocking/get-then-update",
        "/shared-row-then-file",
        "/blocking/shared-row-then-file",
    )
}


async def at_once(client: httpx.AsyncClient, ask: Ask) -> AsyncIterator[httpx.Response]:
    """Ask for the same forty times at once; a request that hangs fails."""
    async with asyncio.timeout(PATIENCE):
        for response in await asyncio.gather(*(ask(client, number) for number in range(AT_ONCE))):
            yield response


@pytest.mark.parametrize(("url", "models"), TRIED, indirect=["url"])
async def test_forty_at_once(backend: ObstoreBackend, url: str, models: str) -> None:
    """Requests that wait for one row's lock, and for the pool, are all answered in time, most with success."""
    failures = dict[str, list[str]]()
    with application(url, models) as address:
        async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
            for name, ask in {**ROUTERS, **ROUTES, "delete": delete("/write")}.items():
                answers = [response async for response in at_once(client, ask)]
                failures[name] = [one.text for one in answers if one.status_code not in ANSWERS - {409, 503}]
                assert {one.status_code for one in answers} <= ANSWERS, name

    assert {name: texts for name, texts in failures.items() if len(texts) > AT_ONCE // 4} == {}


@asynccontextmanager
async def busy_threads() -> AsyncIterator[None]:
    """Keep all threads of the loop's default pool, and all of anyio's, at work."""
    going_on = threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(2))  # which the loop shuts down
    blocked = [asyncio.create_task(asyncio.to_thread(going_on.wait, PATIENCE)) for _ in range(4)]
    blocked += [asyncio.create_task(anyio.to_thread.run_sync(going_on.wait, PATIENCE)) for _ in range(60)]
    await asyncio.sleep(0.1)
    try:
        yield
        assert not any(task.done() for task in blocked)
    finally:
        going_on.set()
        await asyncio.gather(*blocked)


@pytest.mark.parametrize("blocking", [True, False])
async def test_where_all_other_threads_are_busy(tmp_path: Path, blocking: bool) -> None:
    """Nothing of the library's waits for threads that it shares with the application."""
    make: Any = create_engine if blocking else create_async_engine
    engine = make(f"sqlite{'' if blocking else '+aiosqlite'}:///{tmp_path}/web.db")
    with Session(create_engine(f"sqlite:///{tmp_path}/web.db")) as session:
        Ledgered.metadata.create_all(session.connection())
        session.commit()

    async def get_session() -> AsyncIterator[Any]:
        session: Any = Session(engine) if blocking else AsyncSession(engine)
        yield session
        await run_in_session(session, lambda one: one.close())

    storages.register_backend(backend := ObstoreBackend("web", f"file://{tmp_path}/files", mkdir=True))
    files = Filestore(get_session, engine=engine)
    app = FastAPI(lifespan=files.lifespan, exception_handlers=files.exception_handlers)
    app.include_router(files.router(LedgeredFiled), prefix="/read")
    transport = httpx.ASGITransport(app=app)
    async with (
        asyncio.timeout(PATIENCE),
        busy_threads(),
        files.lifespan(app),
        httpx.AsyncClient(transport=transport, base_url="http://web") as client,
    ):
        posted = [await upload("/read")(client, number) for number in range(3)]
        asked = [await ask("/read")(client, 4) for ask in (patch, put)]
        read = [await client.get(path) for path in ("/read/", "/read/1/file", "/read/2")]
        found = [finding async for finding in files.audit()]
        gone = [await delete("/read")(client, 0)]
    storages.unregister_backend("web")
    await (asyncio.to_thread(engine.dispose) if blocking else engine.dispose())

    assert [one.status_code for one in (*posted, *asked, *read, *gone)] == [201] * 3 + [200] * 5 + [204]
    assert found == []
    assert len([info async for info in backend.list()]) == 2
