"""The life of an application that a test serves: its tables are made before its file store is opened."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from fastapi_filestore import Filestore


def lifespan_with(
    files: Filestore, engine: AsyncEngine, metadata: MetaData
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Return a lifespan on a database, whose connections are closed at the end."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        async with files.lifespan(app):
            yield
        await engine.dispose()

    return lifespan


def application_of(metadata: MetaData) -> tuple[FastAPI, Filestore]:
    """Return an application of some tables for a process of its own, and its file store; DATABASE_URL says where."""
    engine = create_async_engine(os.environ["DATABASE_URL"])
    sessions = async_sessionmaker(engine)

    async def get_session() -> AsyncIterator[AsyncSession]:
        """Give a request its session."""
        async with sessions() as session:
            yield session

    files = Filestore(get_session)
    return FastAPI(lifespan=lifespan_with(files, engine, metadata)), files
