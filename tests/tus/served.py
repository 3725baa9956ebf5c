"""The application whose uploads the cases try: one column, and a route that reads what has come."""

import os
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from fastapi_filestore import UPLOAD_CORS, FileObject, Filestore, StoredObject, add_ledger, add_uploads
from tests.web.opening import lifespan_with


class Base(DeclarativeBase):
    """Of one table, beside those of the library."""


class Document(Base):
    """A row that takes an upload."""

    __tablename__ = "documents"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject(max_size=int(os.environ["LARGEST"])))


add_ledger(Base.metadata)
add_uploads(Base.metadata)
engine = create_async_engine(os.environ["DATABASE_URL"])
sessions = async_sessionmaker(engine)


async def get_session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with sessions() as session:
        yield session


files = Filestore(get_session)
app = FastAPI(lifespan=lifespan_with(files, engine, Base.metadata))
app.add_middleware(CORSMiddleware, allow_origins=[os.environ["ORIGIN"]], **UPLOAD_CORS)
app.include_router(files.router(Document, uploads=True), prefix="/documents")
