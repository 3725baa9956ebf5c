"""The database: SQLite in ./data unless DATABASE_URL says otherwise."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import event, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from example_app.models import Base


class DatabaseSettings(BaseSettings):
    """The address of the database."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    database_url: str = "sqlite+aiosqlite:///data/documents.db"


LIMITS: dict[str, dict[str, Any]] = {
    "postgresql+asyncpg": {"pool_timeout": 10, "connect_args": {"timeout": 5, "command_timeout": 10}},
}
"""Seconds by driver that a connection of the pool, a new one, and a statement are waited for: else it is for ever."""

try:
    url = make_url(DatabaseSettings().database_url)
except OSError as error:
    raise SystemExit(f"The application does not start. It can't read .env: {error.strerror}. Let it read it.") from None
if url.drivername in ("postgres", "postgresql"):  # as Heroku and others write it
    url = url.set(drivername="postgresql+asyncpg")
data_folder = Path(url.database).parent if url.get_backend_name() == "sqlite" and url.database else None
"""Where the application keeps what it makes by itself; None with a server for a database."""


def lower(text: str | None) -> str | None:
    """Return a text in small letters, of any language."""
    return None if text is None else str(text).lower()


engine = create_async_engine(url, **LIMITS.get(url.drivername, {}))
if url.get_backend_name() == "sqlite":

    @event.listens_for(engine.sync_engine, "connect")
    def know_all_letters(connection: Any, record: object) -> None:
        """Let a search find É for é: SQLite's own `lower` knows A to Z."""
        connection.create_function("lower", 1, lower, deterministic=True)


Session = async_sessionmaker(engine, expire_on_commit=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    """Give a request its session."""
    async with Session() as session:
        yield session


async def create_tables() -> None:
    """Create the tables that are not there: a real application migrates them."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
