"""An application whose routes let in whom a row of the same database says, through the session of the request."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import Connection, String, create_engine, select
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

from fastapi_filestore import (
    FileObject,
    FileService,
    Filestore,
    FilestoreSettings,
    StorageBackend,
    StoredObject,
    Upload,
    Uploads,
    add_ledger,
)
from fastapi_filestore.orm.ledger.reservations import release_reservations
from fastapi_filestore.orm.sessions import run_in_session
from fastapi_filestore.testing import assert_no_orphans


class Plain(DeclarativeBase):
    """Tables without a ledger."""


class Ledgered(DeclarativeBase):
    """The same with one."""


add_ledger(Ledgered.metadata)


@dataclass(frozen=True)
class Tables:
    """The classes of one base."""

    base: type[DeclarativeBase]
    user: type[Any]
    paper: type[Any]


def _tables(base: type[Any]) -> Tables:
    class User(base):  # type: ignore[misc]
        """Who is let in."""

        __tablename__ = "users"

        id: Mapped[int] = mapped_column(primary_key=True)
        seen: Mapped[int] = mapped_column(default=0)

    class Paper(base):  # type: ignore[misc]
        """What they keep."""

        __tablename__ = "papers"

        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str | None] = mapped_column(String(100))
        file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="web"))
        pages: Mapped[list[FileObject] | None] = mapped_column(StoredObject(backend="web", multiple=True))

    return Tables(base, User, Paper)


PLAIN, LEDGERED = _tables(Plain), _tables(Ledgered)

Do = Callable[[Session, type[Any]], object]
"""What is done with a session and the class of users."""


def read_user(session: Session, user: type[Any]) -> object:
    """Read who it is, as most applications do."""
    return session.scalars(select(user).where(user.id == 1)).one()


def say_nothing(session: Session, user: type[Any]) -> object:
    """Ask nothing."""
    return None


@dataclass(frozen=True)
class Doings:
    """What requests do with their session before anything else, and what /one answers once the upload is stored."""

    authorize: Do = read_user
    ask: Do = say_nothing


JUST_READ = Doings()


@dataclass
class Authorized:
    """A running application."""

    app: FastAPI
    client: AsyncClient
    tables: Tables
    run: Callable[[Callable[[Session], Any]], Any]

    async def post(self, path: str = "/papers/", content: bytes = b"content") -> Any:
        """Upload a file."""
        return await self.client.post(path, files={"file": ("a.txt", content, "text/plain")})


@asynccontextmanager
async def authorized(
    backend: StorageBackend, url: str, tables: Tables, does: Doings = JUST_READ, **options: Any
) -> AsyncIterator[Authorized]:
    """Run the application on a database; what is not about the engine's pool is the Filestore's."""
    names = ("pool_size", "max_overflow", "pool_timeout")
    pool: dict[str, Any] = {name: options.pop(name) for name in names if name in options}
    engine, make, get_session = _sessions(url, pool)
    await release_reservations()

    async def run(work: Callable[[Session], Any]) -> Any:
        session = make()
        try:
            return await run_in_session(session, work)
        finally:
            await run_in_session(session, Session.close)

    def create(session: Session) -> None:
        connection: Connection = session.connection()
        tables.base.metadata.create_all(connection)
        session.add(tables.user(id=1))
        session.commit()

    await run(create)
    files = Filestore(get_session, settings=FilestoreSettings(_env_file=None), **options)
    app = FastAPI(lifespan=files.lifespan)
    _add_routes(app, files, get_session, tables, does)
    try:
        async with files.lifespan(app), AsyncClient(transport=ASGITransport(app), base_url="http://site") as client:
            yield Authorized(app, client, tables, run)
        await run(lambda session: None)
        async with _session_of(engine, make) as session:
            await assert_no_orphans(session, backend, tables.paper)
    finally:
        await (engine.dispose() if isinstance(engine, AsyncEngine) else asyncio.to_thread(engine.dispose))


@asynccontextmanager
async def _session_of(engine: Any, make: Callable[[], Any]) -> AsyncIterator[Any]:
    session = make()
    try:
        yield session
    finally:
        await run_in_session(session, Session.close)


def _sessions(url: str, pool: dict[str, Any]) -> tuple[Any, Callable[[], Any], Callable[..., Any]]:
    if "+a" in url:
        engine: Any = create_async_engine(url, **pool)
        make: Any = async_sessionmaker(engine)

        async def get_async_session() -> AsyncIterator[Any]:
            async with make() as session:
                yield session

        return engine, make, get_async_session
    connect = {"check_same_thread": False} if url.startswith("sqlite") else {}
    engine = create_engine(url, connect_args=connect, **pool)
    make = sessionmaker(engine)

    def get_session() -> Iterator[Any]:
        with make() as session:
            yield session

    return engine, make, get_session


def _add_routes(app: FastAPI, files: Filestore, get_session: Callable[..., Any], tables: Tables, does: Doings) -> None:
    async def auth(session: Annotated[Any, Depends(get_session)]) -> Any:
        return await run_in_session(session, does.authorize, tables.user)

    paper, user = tables.paper, tables.user
    get_service = files.service(paper)
    service_type = Annotated[FileService[Any], Depends(get_service)]
    router = files.router(paper, field="file", service=get_service, dependencies=[Depends(auth)])
    app.include_router(router, prefix="/papers")

    @app.post("/one", dependencies=[Depends(auth)])
    async def one(upload: Annotated[Upload, Depends(files.upload())], service: service_type) -> Any:
        await service.create({"file": upload})
        return await run_in_session(service.session, does.ask, user)

    @app.post("/several", dependencies=[Depends(auth)])
    async def several(
        uploads: Annotated[Uploads, Depends(files.uploads("file", max_files=3))], service: service_type
    ) -> int:
        return int((await service.create({"pages": uploads})).id)

    @app.post("/many", dependencies=[Depends(auth)])
    async def many(upload: Annotated[Upload, Depends(files.upload())], service: service_type) -> int:
        row = await service.create({"title": "first", "file": upload})
        second = await service.create({"title": "second", "file": FileObject(content=b"more")})
        await service.update(second.id, {"title": "changed"})
        await service.replace(second.id, FileObject(content=b"newer"), field="file")
        await service.append(row.id, [FileObject(content=b"page")])
        return int(row.id)

    @app.get("/users")
    async def users(session: Annotated[Any, Depends(get_session)]) -> list[int]:
        return list(await run_in_session(session, lambda plain: plain.scalars(select(user.seen)).all()))
