"""Threads of every kind that wait for calls of a service over an AsyncSession, in a server with a small pool."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from fastapi_filestore import BlockingCallError, FileObject, FileService, Filestore, ObstoreBackend
from fastapi_filestore.testing import assert_no_orphans
from tests.loops import in_thread
from tests.servers.postgres import Databases
from tests.web.blocking import MODELS, TRIED
from tests.web.feeding import served
from tests.web.opening import lifespan_with

T = TypeVar("T")

AT_ONCE = 12
PATIENCE = 60.0
"""Seconds after which a request has hung."""
Sessions = async_sessionmaker[AsyncSession]
Waiting = Callable[[Callable[[], int]], Awaitable[int]]


def in_own_thread(work: Callable[[], T]) -> T:
    """Run a function in a thread that nobody knows of."""
    return in_thread(work, patience=PATIENCE)


def created(service: FileService[Any]) -> int:
    """Create a row with a file by a call that blocks."""
    row = service.wait(service.create({"title": "t", "file": FileObject(content=iter([b"a", b"b"]))}))
    return int(row.id)


def build(engine: AsyncEngine, sessions: Sessions, model: Any) -> FastAPI:
    """Build an application whose routes wait in threads, and one that awaits."""

    async def get_session() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session

    files = Filestore(get_session)
    lifespan = lifespan_with(files, engine, model.metadata)
    app = FastAPI(lifespan=lifespan, exception_handlers=files.exception_handlers)
    serving = Depends(files.service(model))
    pool = ThreadPoolExecutor(4)

    async def in_executor(work: Callable[[], int]) -> int:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    async def in_thread_of_a_thread(work: Callable[[], int]) -> int:
        return await run_in_threadpool(in_own_thread, work)

    add_waiting(app, "/to-thread", asyncio.to_thread, serving)
    add_waiting(app, "/executor", in_executor, serving)
    add_waiting(app, "/thread", in_thread_of_a_thread, serving)
    add_waiting(app, "/lent", run_in_threadpool, serving)
    add_services(app, sessions, Depends(get_session), serving, model)
    return app


def add_waiting(app: FastAPI, path: str, waiting: Waiting, serving: Any) -> None:
    """Add a route that waits in a thread of one kind."""

    @app.post(path)
    async def wait(service: Annotated[FileService[Any], serving]) -> int:
        return await waiting(lambda: created(service))


def add_services(app: FastAPI, sessions: Sessions, giving: Any, serving: Any, model: Any) -> None:
    """Add routes whose services are made in other places, or used in another event loop."""

    def make_service(session: Annotated[AsyncSession, giving]) -> FileService[Any]:
        return FileService(session, model=model)

    @app.post("/made-in-a-lent-thread")
    async def made_in_lent(service: Annotated[FileService[Any], Depends(make_service)]) -> int:
        identity = await asyncio.to_thread(created, service)
        await service.commit()
        return identity

    @app.post("/made-in-the-thread")
    def made_in_thread() -> int:
        def work() -> int:
            service = FileService(sessions(), model=model)
            identity = created(service)
            service.wait(service.commit())
            service.wait(service.session.close())  # type: ignore[arg-type]
            return identity

        return in_own_thread(work)

    @app.post("/awaited")
    async def awaited(service: Annotated[FileService[Any], serving]) -> int:
        row = await service.create({"file": FileObject(content=b"x")})
        return int(row.id)

    @app.post("/another-loop")
    def another_loop(service: Annotated[FileService[Any], serving]) -> str:
        with pytest.raises(BlockingCallError, match=r"service\.wait") as caught:
            asyncio.run(service.create({"file": FileObject(content=b"x")}))
        return str(caught.value)

    @app.post("/body")
    def body(request: Request, service: Annotated[FileService[Any], serving]) -> int:
        file = FileObject("web", content=request.stream()).save()
        service.wait(service.create({"file": file}))
        return file.size or 0


@contextmanager
def application(url: str, model: Any) -> Iterator[str]:
    """Serve the application on a database, with a pool that has fewer connections than there are requests."""
    engine = create_async_engine(url, pool_size=3, max_overflow=0, pool_timeout=PATIENCE)
    with served(build(engine, async_sessionmaker(engine, expire_on_commit=False), model)) as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest, tmp_path: Path, postgres_databases: Databases) -> tuple[str, str]:
    """A database of its own, for sessions of both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/web.db", f"sqlite+aiosqlite:///{tmp_path}/web.db?timeout={PATIENCE}"
    database = postgres_databases.empty()
    return database.url("postgresql+psycopg"), database.url("postgresql+asyncpg")


@pytest.mark.parametrize(("urls", "models"), TRIED, indirect=["urls"])
async def test_threads_of_every_kind(backend: ObstoreBackend, urls: tuple[str, str], models: str) -> None:
    """A call runs in the loop of its session, whichever thread waits for it, and others use the pool as before."""
    _, model = MODELS[models]
    answers = dict[str, set[int]]()
    with application(urls[1], model) as address:
        async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
            for path in (
                "/made-in-the-thread",
                "/to-thread",
                "/executor",
                "/thread",
                "/made-in-a-lent-thread",
                "/another-loop",
                "/lent",
                "/awaited",
            ):
                responses = await asyncio.gather(*(client.post(path) for _ in range(AT_ONCE)))
                answers[path] = {response.status_code for response in responses}
            stored = await asyncio.gather(*(client.post("/body", content=b"x" * 3_000_000) for _ in range(4)))

    assert answers == {path: {200} for path in answers}
    assert [response.json() for response in stored] == 4 * [3_000_000]
    engine = create_engine(urls[0])
    with Session(engine) as session:
        assert session.query(model).count() == 7 * AT_ONCE + 4
        await assert_no_orphans(session, backend, model)
    engine.dispose()
