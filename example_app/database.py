"""The database: SQLite in ./data unless DATABASE_URL says otherwise."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from example_app.models import Base


class DatabaseSettings(BaseSettings):
    """Where the rows are."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    database_url: str = "sqlite+aiosqlite:///data/documents.db"


url = make_url(DatabaseSettings().database_url)
data_folder = Path(url.database).parent if url.get_backend_name() == "sqlite" and url.database else None
"""Where the application keeps what it makes by itself; None with a server for a database."""
engine = create_async_engine(url)
Session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with Session() as session:
        yield session


@asynccontextmanager
async def tables() -> AsyncIterator[None]:
    """Create the tables at the start (a real application migrates them), and disconnect at the end."""
    if data_folder is not None:
        data_folder.mkdir(parents=True, exist_ok=True)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield
    await engine.dispose()
