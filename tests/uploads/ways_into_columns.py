"""Ways of content into a column of the gallery, and a gallery on every database."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastapi_filestore import (
    FileObject,
    ObstoreBackend,
    Upload,
    storages,
)
from tests.intake.heads import png
from tests.uploads.gallery import Gallery, make_engine, open_gallery

PNG = png()


BIG = PNG + b"\0" * 2**20


async def stream(content: bytes) -> AsyncIterator[bytes]:
    """Yield content in pieces."""
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


def pieces(content: bytes) -> Iterator[bytes]:
    """Yield content in pieces."""
    yield from (content[start : start + 1000] for start in range(0, len(content), 1000))


def upload(content: bytes) -> Upload:
    """Return content as a route without rules gets it."""

    async def chunks() -> AsyncIterator[bytes]:
        async for chunk in stream(content):
            yield chunk

    return Upload(chunks(), filename="a.png", content_type="image/png")  # type: ignore[arg-type]


def pending(content: Any) -> FileObject:
    """Return content as a file to be stored."""
    return FileObject(filename="a.png", content=content)


@pytest.fixture
def backend() -> Iterator[ObstoreBackend]:
    """Register the backend of the gallery, in memory."""
    backend = ObstoreBackend(key="gallery", fs="memory://")
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend("gallery")


@pytest.fixture(params=["sqlite-sync", "sqlite-async", "postgres-async"])
async def gallery(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> AsyncIterator[Gallery]:
    """Give each test a database of every kind."""
    async with open_gallery(make_engine(request.param, request, tmp_path), backend) as gallery:
        yield gallery


@pytest.fixture
async def quick(request: pytest.FixtureRequest, tmp_path: Path, backend: ObstoreBackend) -> AsyncIterator[Gallery]:
    """Give a test one database."""
    async with open_gallery(make_engine("sqlite-async", request, tmp_path), backend) as gallery:
        yield gallery
