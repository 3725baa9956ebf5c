"""Databases and stores of resumed uploads; in the end each object of a store belongs to a row."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, select

from fastapi_filestore import StorageBackend, storages
from fastapi_filestore.orm.sessions import run_on_engine
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.servers.postgres import Databases
from tests.storage.stores import MAKERS
from tests.web.resumed.replicas import BACKEND, LEDGER, UPLOADS, Base, Clip, Replica, replica

Open = Callable[..., AbstractAsyncContextManager[Replica]]


@pytest.fixture(params=["sqlite+aiosqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with the tables."""
    if request.param.startswith("postgresql"):
        databases: Databases = request.getfixturevalue("postgres_databases")
        return databases.copy("resumed", Base.metadata.create_all).url(request.param)
    engine = create_engine(f"sqlite:///{tmp_path}/resumed.db")
    Base.metadata.create_all(engine)
    engine.dispose()
    return f"{request.param}:///{tmp_path}/resumed.db"


@pytest.fixture(params=["memory"])
def backend(request: pytest.FixtureRequest) -> Iterator[ObstoreBackend]:
    """The backend of the clips."""
    fs, options = MAKERS[request.param](request)
    backend = ObstoreBackend(key=BACKEND, fs=fs, **options)
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend(BACKEND)


@pytest.fixture
def run(url: str, backend: StorageBackend) -> Open:
    """Run an application on the database and the store."""
    return partial(replica, url)


@pytest.fixture
async def site(run: Open, backend: StorageBackend) -> AsyncIterator[Replica]:
    """An application; in the end no object is nobody's."""
    async with run() as site:
        yield site
        assert await stored(backend) - await remembered(site) <= await held(site) <= await stored(backend)


async def stored(backend: StorageBackend) -> set[str]:
    """Return the paths of all objects."""
    return {info.path async for info in backend.list()}


async def held(site: Replica) -> set[str]:
    """Return the paths of the objects that rows hold."""
    columns: list[Any] = [UPLOADS.uploads.c.file, UPLOADS.segments.c.file, Clip.file]

    def read(connection: Connection) -> set[str]:
        files = [file for column in columns for file in connection.scalars(select(column)) if file is not None]
        return {str(file.path) for file in files}

    return await run_on_engine(site.engine, read)


async def remembered(site: Replica) -> set[str]:
    """Return the paths that the ledger has yet to look after."""
    paths = select(LEDGER.table.c.path)
    return set(await run_on_engine(site.engine, lambda connection: connection.scalars(paths).all()))
