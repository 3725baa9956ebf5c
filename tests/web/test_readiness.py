"""`files.readiness()`: what load balancers ask, while databases and stores go away and come back."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import Depends, FastAPI
from httpx import ASGITransport, AsyncClient, Response
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    Filestore,
    FilestoreSettings,
    StorageRegistry,
    StoredObject,
)
from fastapi_filestore.orm.sessions import plain_engine
from fastapi_filestore.service.start import readiness
from tests.servers.lines import line_to
from tests.servers.postgres import Postgres
from tests.servers.seaweedfs import SeaweedFS

PROBLEM = {
    "type": "urn:fastapi-filestore:not-ready",
    "title": "Not ready",
    "status": 503,
    "detail": "The application can't serve at the moment. Try again later.",
}
AT_ONCE: dict[str, Any] = {"timeout": 0.5, "max_age": 0.001}
"""A check for every request."""


@asynccontextmanager
async def application(
    engine: Engine | AsyncEngine, backend: dict[str, Any], /, **options: Any
) -> AsyncIterator[AsyncClient]:
    """Serve a model whose files are in a backend, and its readiness."""
    registry = StorageRegistry()

    class Base(DeclarativeBase):
        pass

    class Paper(Base):
        __tablename__ = "ready_papers"
        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[FileObject] = mapped_column(StoredObject("papers", registry=registry))

    def get_session() -> Any:
        return AsyncSession(engine) if isinstance(engine, AsyncEngine) else Session(engine)

    settings = FilestoreSettings(_env_file=None, backends={"papers": backend})
    files = Filestore(get_session, settings=settings, registry=registry)
    app = FastAPI(lifespan=files.lifespan)
    app.include_router(files.router(Paper), prefix="/papers")
    app.include_router(files.readiness(**AT_ONCE | options))
    async with files.lifespan(app), AsyncClient(transport=ASGITransport(app), base_url="http://site") as client:
        yield client
    disposed = engine.dispose()
    if isinstance(disposed, Awaitable):
        await disposed


def memory(tmp_path: Path) -> tuple[Engine, dict[str, Any]]:
    """Return a database that is there, and a backend that is."""
    return create_engine(f"sqlite:///{tmp_path}/rows.db"), {"url": "memory://"}


async def answers(client: AsyncClient, status: int) -> Response:
    """Ask until the answer has a status: a call that was given up may have to end first."""
    async with asyncio.timeout(20):
        while (answer := await client.get("/ready")).status_code != status:  # noqa: ASYNC110 - it is polled
            await asyncio.sleep(0.02)
    return answer


def events(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged of readiness, without what is different each time."""
    found = [record.message.removeprefix("fastapi_filestore.") for record in caplog.records]
    return [re.sub(r"127\.0\.0\.1:\d+/\w+", "HOST", line) for line in found if "ready" in line]


async def test_the_answers(tmp_path: Path) -> None:
    """200 for GET and HEAD, kept by no cache; other methods are told which there are, and OpenAPI does not show it."""
    async with application(*memory(tmp_path)) as client:
        got, head, posted = await client.get("/ready"), await client.head("/ready"), await client.post("/ready")
        document = (await client.get("/openapi.json")).json()

    assert (got.status_code, got.json(), got.headers["cache-control"]) == (200, {"status": "ready"}, "no-store")
    assert (head.status_code, head.content) == (200, b"")
    assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")
    assert [path for path in document["paths"] if "ready" in path] == []


@pytest.mark.parametrize("how", ["cut", "silent"])
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_a_database(driver: str, how: str, postgres_database: Postgres, caplog: pytest.LogCaptureFixture) -> None:
    """A database that goes away, or is silent, is a 503 in time, and a 200 when it is back; the log says which."""
    caplog.set_level(logging.INFO, "fastapi_filestore")
    async with line_to(postgres_database.port) as line:
        port = f":{postgres_database.port}/"
        url = postgres_database.url(f"postgresql+{driver}").replace(port, f":{line.port}/")
        engine = create_async_engine(url) if driver == "asyncpg" else create_engine(url)
        async with application(engine, {"url": "memory://"}) as client:
            await answers(client, 200)
            caplog.clear()
            await line.cut() if how == "cut" else line.silence()
            began = asyncio.get_running_loop().time()
            gone = await answers(client, 503)
            took = asyncio.get_running_loop().time() - began
            await answers(client, 503)
            assert plain_engine(engine).pool.checkedout() <= 1  # type: ignore[attr-defined]
            await line.mend()
            await answers(client, 200)

    assert (gone.status_code, gone.json(), gone.headers["retry-after"]) == (503, PROBLEM, "1")
    assert took < 5
    first, *others, last = events(caplog)
    assert first.startswith(f'not_ready part="database postgresql+{driver}://HOST" error=')
    assert last == f'ready_again part="database postgresql+{driver}://HOST"'
    assert len(others) <= 1
    assert postgres_database.password not in caplog.text


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_connections_that_answer_never_again(
    driver: str, postgres_database: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that a network has swallowed is given up after a while, and the next one has a connection that works."""
    monkeypatch.setattr(readiness, "LONGEST_CALL", 0.3)
    async with line_to(postgres_database.port) as line:
        port = f":{postgres_database.port}/"
        url = postgres_database.url(f"postgresql+{driver}").replace(port, f":{line.port}/")
        engine = create_async_engine(url) if driver == "asyncpg" else create_engine(url)
        async with application(engine, {"url": "memory://"}) as client:
            await answers(client, 200)
            line.forget()
            await answers(client, 503)
            await answers(client, 200)
            await line.cut()  # which frees a thread


@pytest.mark.parametrize("how", ["cut", "silent"])
async def test_a_store(how: str, seaweedfs: SeaweedFS, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A store that goes away, or is silent, is a 503 that says no word of it, and a 200 when it is back."""
    caplog.set_level(logging.INFO, "fastapi_filestore")
    engine, _ = memory(tmp_path)
    async with line_to(urlsplit(seaweedfs.endpoint).port or 0) as line:
        backend = {
            "url": f"s3://{seaweedfs.bucket}/ready",
            "aws_endpoint": f"http://127.0.0.1:{line.port}",
            "aws_region": seaweedfs.region,
            "aws_access_key_id": seaweedfs.access_key,
            "aws_secret_access_key": seaweedfs.secret_key,
            "aws_allow_http": True,
        }
        async with application(engine, backend) as client:
            await answers(client, 200)
            await line.cut() if how == "cut" else line.silence()
            gone = await answers(client, 503)
            await line.mend()
            await answers(client, 200)

    assert gone.json() == PROBLEM
    assert events(caplog)[0].startswith('not_ready part="backend papers" error=')
    assert events(caplog)[-1] == 'ready_again part="backend papers"'


async def test_a_folder(tmp_path: Path) -> None:
    """A local folder that is gone, as that of a disk that is not mounted, is a 503 until it is there again."""
    folder = tmp_path / "disk"
    folder.mkdir()
    engine, _ = memory(tmp_path)
    async with application(engine, {"url": f"file://{folder}"}) as client:
        await answers(client, 200)
        folder.rename(tmp_path / "unplugged")
        gone = await answers(client, 503)
        (tmp_path / "unplugged").rename(folder)
        await answers(client, 200)

    assert gone.json() == PROBLEM


async def test_one_check_for_many(tmp_path: Path) -> None:
    """A hundred requests at once make one check, whose result is kept for a while; who goes away stops nobody's."""
    engine, backend = memory(tmp_path)
    asked = list[str]()
    event.listen(engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    async with application(engine, backend, max_age=60.0) as client:
        asked.clear()
        first = asyncio.create_task(client.get("/ready"))
        others = [asyncio.create_task(client.get("/ready")) for _ in range(100)]
        await asyncio.sleep(0)
        first.cancel()
        statuses = {(await other).status_code for other in others}
        statuses.add((await client.get("/ready")).status_code)

    assert statuses == {200}
    assert asked == ["PRAGMA schema_version"]


async def test_connections_that_were_cut_meanwhile(postgres_database: Postgres) -> None:
    """A pool whose idle connections somebody has cut opens new ones at once: that is no outage."""
    engine = create_async_engine(postgres_database.url("postgresql+asyncpg"))
    async with application(engine, {"url": "memory://"}) as client:
        await answers(client, 200)
        postgres_database.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

        assert (await client.get("/ready")).status_code == 200


async def test_a_pool_that_is_taken(postgres_database: Postgres) -> None:
    """An application that has had no connection free for all of the time is not ready for more."""
    url = postgres_database.url("postgresql+asyncpg")
    engine = create_async_engine(url, pool_size=1, max_overflow=0)
    async with application(engine, {"url": "memory://"}) as client:
        async with engine.connect():
            taken = await client.get("/ready")
        assert taken.status_code == 503
        await answers(client, 200)


async def test_before_the_start(tmp_path: Path) -> None:
    """An application whose lifespan has not begun is not ready: no backend is registered."""
    files, app = Filestore(settings=FilestoreSettings(_env_file=None), registry=StorageRegistry()), FastAPI()
    app.include_router(files.readiness("/api/ready", include_in_schema=True, **AT_ONCE))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://site") as client:
        before = await client.get("/api/ready")
        async with files.lifespan(app):
            during = await client.get("/api/ready")

    assert (before.status_code, during.status_code) == (503, 200)
    assert list(app.openapi()["paths"]["/api/ready"]) == ["get"]


async def test_a_database_that_is_not_known() -> None:
    """Where nothing says which database to ask, the application does not start, and says what to give."""

    class Base(DeclarativeBase):
        pass

    class Paper(Base):
        __tablename__ = "unknown_papers"
        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[FileObject] = mapped_column(StoredObject())

    def get_session(tenant: str) -> Any:
        raise NotImplementedError

    files, app = Filestore(get_session, settings=FilestoreSettings(_env_file=None)), FastAPI()
    app.include_router(files.router(Paper), prefix="/papers")
    app.include_router(files.readiness())
    async with AsyncExitStack() as stack:
        with pytest.raises(ConfigurationError, match=r"Filestore\(get_session, engine=engine\)"):
            await stack.enter_async_context(files.lifespan(app))


@pytest.mark.parametrize("given", [{"timeout": 0}, {"timeout": -1.0}, {"max_age": float("inf")}, {"max_age": "5"}])
def test_wrong_numbers(given: dict[str, Any]) -> None:
    """Times that are none are refused by name, where the router is made."""
    with pytest.raises(ConfigurationError, match=next(iter(given))):
        Filestore().readiness(**given)


def test_it_is_called_first() -> None:
    """`include_router(files.readiness)` says what to write."""
    with pytest.raises(ConfigurationError, match=re.escape("app.include_router(files.readiness())")):
        FastAPI().include_router(Filestore().readiness)  # type: ignore[arg-type]


async def test_a_guard(tmp_path: Path) -> None:
    """Dependencies of `include_router` hold for it as for any router."""
    files, app = Filestore(settings=FilestoreSettings(_env_file=None)), FastAPI()
    guard: Callable[[str], str] = lambda token: token  # noqa: E731 - a dependency
    app.include_router(files.readiness(), dependencies=[Depends(guard)])
    async with AsyncClient(transport=ASGITransport(app), base_url="http://site") as client:
        assert (await client.get("/ready")).status_code == 422
