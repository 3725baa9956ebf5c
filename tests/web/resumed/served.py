"""The application of clips for a process of its own, set up by environment."""

import os
from collections.abc import AsyncIterator

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from fastapi_filestore import Filestore
from tests.web.opening import lifespan_with
from tests.web.resumed.replicas import Base, Clip

engine = create_async_engine(os.environ["DATABASE_URL"])
sessions = async_sessionmaker(engine)


async def get_session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with sessions() as session:
        yield session


files = Filestore(get_session)
app = FastAPI(lifespan=lifespan_with(files, engine, Base.metadata))
app.include_router(files.router(Clip, uploads=True), prefix="/clips")
