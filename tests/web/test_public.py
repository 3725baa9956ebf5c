"""A router in front of a backend whose files are public."""

from collections.abc import Iterator

import pytest

from fastapi_filestore import ObstoreBackend, storages
from tests.web.conftest import Serve


@pytest.fixture
def backend() -> Iterator[ObstoreBackend]:
    """Register the backend of the models, with a public address."""
    backend = ObstoreBackend("web", "memory://", public_url="https://cdn.example.com/files")
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("web")


async def test_the_router_shows_public_addresses(serve: Serve) -> None:
    """A file of a public backend is shown with its public address, and can be downloaded through the router as well."""
    async with serve() as site:
        created = (await site.upload()).json()
        (key,) = await site.keys()
        download = await site.client.get(f"/documents/{created['id']}/file")

        assert created["file"]["url"] == f"https://cdn.example.com/files/{key}"
        assert download.content == b"content"
