"""The life of an application that a test serves: its tables are made before its file store is opened."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine

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
