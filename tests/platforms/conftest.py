"""What these tests need, alone: on Windows nothing of the rest of the suite can be loaded (`--confcutdir`)."""

from pathlib import Path

import pytest

from fastapi_filestore import ObstoreBackend, StorageRegistry


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run every asynchronous test on asyncio."""
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path) -> ObstoreBackend:
    """A backend in a local folder."""
    return ObstoreBackend("files", tmp_path / "files")


@pytest.fixture
def registry(folder: ObstoreBackend) -> StorageRegistry:
    """A registry of that backend."""
    registry = StorageRegistry()
    registry.register_backend(folder)
    return registry
