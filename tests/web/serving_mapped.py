"""A router in front of any model, with a database that has a row to relate to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from fastapi_filestore import Filestore, FilestoreSettings
from tests.web.mapped import (
    Base,
    DataBase,
    Owner,
    Tag,
)
from tests.web.site import session_dependency

FILE = {"file": ("a.txt", b"content")}


def filestore(get_session: Any = None) -> Filestore:
    """Return a file store without settings of its own."""
    return Filestore(get_session, settings=FilestoreSettings(_env_file=None))


@asynccontextmanager
async def serving(
    path: Path,
    model: type[Any],
    *,
    prefix: str = "/rows",
    asynchronous: bool = True,
    session: Any = None,
    **router: Any,
) -> AsyncIterator[AsyncClient]:
    """Serve a model's rows from a database with two owners, the second of whom has a tag."""
    engine = create_engine(f"sqlite:///{path}/rows.db", connect_args={"check_same_thread": False})
    for base in (Base, DataBase):
        base.metadata.create_all(engine)
    with Session(engine) as making:
        making.add_all([Owner(id=1, name="one"), Owner(id=2, name="two"), Tag(id=1, owner_id=2, name="blue")])
        making.commit()
    async_engine = create_async_engine(f"sqlite+aiosqlite:///{path}/rows.db")
    options = session or {}
    make: Any = async_sessionmaker(async_engine, **options) if asynchronous else sessionmaker(engine, **options)
    files = filestore(session_dependency(make, asynchronous=asynchronous))
    app = FastAPI()
    app.include_router(files.router(model, **router), prefix=prefix)
    try:
        async with files.lifespan(app), AsyncClient(transport=ASGITransport(app=app), base_url="http://site") as client:
            yield client
    finally:
        await async_engine.dispose()
        engine.dispose()
