"""A database and a store for a service, without any web."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fastapi_filestore import ObstoreBackend, StorageBackend, storages
from tests.web.conftest import postgres_database
from tests.web.site import Site, open_site

__all__ = ["postgres_database"]


@pytest.fixture
def backend() -> Iterator[ObstoreBackend]:
    """Register the backend of the columns, in memory."""
    backend = ObstoreBackend(key="web", fs="memory://")
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("web")


@pytest.fixture(params=["sqlite", "sqlite+aiosqlite", "postgresql+asyncpg"])
async def place(request: pytest.FixtureRequest, tmp_path: Path, backend: StorageBackend) -> AsyncIterator[Site]:
    """A database of every kind with every kind of session, and the store; checked for orphans at the end."""
    async with on(request.param, request, tmp_path, backend) as site:
        yield site
        await site.check()


@asynccontextmanager
async def on(driver: str, request: pytest.FixtureRequest, folder: Path, backend: StorageBackend) -> AsyncIterator[Site]:
    """Open a database by the name of its driver."""
    postgres = driver.startswith("postgresql")
    url = request.getfixturevalue("postgres_database").url(driver) if postgres else f"{driver}:///{folder}/s.db"
    async with open_site(backend, url) as site:
        yield site
