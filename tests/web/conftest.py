"""An application for each test, checked for orphans at its end."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest

from fastapi_filestore import ObstoreBackend, StorageBackend, storages
from tests.example_app.conftest import browser
from tests.servers.postgres import Databases, Postgres
from tests.web.models import Base
from tests.web.site import Site, open_site

__all__ = ["browser"]


class Serve(Protocol):
    """Runs an application: `async with serve(build=..., max_upload_size=...) as site`."""

    def __call__(self, url: str | None = None, **options: Any) -> AbstractAsyncContextManager[Site]:
        """Run one."""
        ...


@pytest.fixture
def backend() -> Iterator[ObstoreBackend]:
    """Register the backend of the suite's columns, in memory."""
    backend = ObstoreBackend(key="web", fs="memory://")
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("web")


@pytest.fixture
def postgres_database(postgres_databases: Databases) -> Postgres:
    """A database with the suite's tables."""
    return postgres_databases.copy("web", Base.metadata.create_all)


@pytest.fixture(params=["sqlite", "postgres"])
def each_database(request: pytest.FixtureRequest) -> str | None:
    """Try a test on each database: its URL for asynchronous sessions, None for the suite's own of SQLite."""
    if request.param == "sqlite":
        return None
    return str(request.getfixturevalue("postgres_database").url("postgresql+asyncpg"))


@pytest.fixture
def serve(backend: StorageBackend, tmp_path: Path) -> Serve:
    """Run applications on SQLite, or on the database of a URL."""
    default = f"sqlite+aiosqlite:///{tmp_path}/web.db"
    return lambda url=None, **options: open_site(options.pop("backend", backend), url or default, **options)


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """The prebuilt router at /documents/."""
    async with serve(shared=True) as site:
        yield site
        await site.check()
