"""Where a soak runs: what a process needs to know to reach the database and the store."""

from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fastapi_filestore import ObstoreBackend
from tests.soak.models import BACKEND


@dataclass(frozen=True)
class Place:
    """A PostgreSQL database beside a SeaweedFS bucket.

    Attributes:
        url: The database, with its asynchronous driver.
        fs: The bucket and a prefix in it.
        options: The store's options.
    """

    url: str
    fs: str
    options: dict[str, object] = field(default_factory=dict)

    def engine(self) -> AsyncEngine:
        """Return an engine with the pool that it has by default."""
        return create_async_engine(self.url)

    def backend(self) -> ObstoreBackend:
        """Return the store."""
        return ObstoreBackend(BACKEND, self.fs, **self.options)
