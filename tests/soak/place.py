"""Where a soak runs: what a process needs to know to reach the database and the store."""

from dataclasses import dataclass, field

from sqlalchemy import Engine, create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fastapi_filestore import ObstoreBackend
from tests.soak.models import BACKEND

BLOCKING = "postgresql+psycopg"
"""The driver of sessions that block."""


@dataclass(frozen=True)
class Place:
    """A PostgreSQL database beside a SeaweedFS bucket.

    Attributes:
        url: The database, with its asynchronous driver.
        fs: The bucket and a prefix in it.
        options: The store's options.
        blocking: Whether the workers' sessions block.
    """

    url: str
    fs: str
    options: dict[str, object] = field(default_factory=dict)
    blocking: bool = False

    def engine(self) -> AsyncEngine:
        """Return an engine with the pool that it has by default."""
        return create_async_engine(self.url)

    def working_engine(self) -> Engine | AsyncEngine:
        """Return the engine of the workers' sessions."""
        return create_engine(make_url(self.url).set(drivername=BLOCKING)) if self.blocking else self.engine()

    def backend(self) -> ObstoreBackend:
        """Return the store."""
        return ObstoreBackend(BACKEND, self.fs, **self.options)
