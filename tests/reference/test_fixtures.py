"""The reference's test fixtures and the tests that use them, as they stand there."""

from collections.abc import Iterator

import pytest

from fastapi_filestore import FileObject, storages
from fastapi_filestore.storage.obstore_backend import ObstoreBackend


@pytest.fixture
def memory_storage() -> Iterator[ObstoreBackend]:
    """Configure in-memory obstore storage."""
    backend = ObstoreBackend(key="test", fs="memory://")
    storages.register_backend(backend)
    yield backend
    storages._backends.pop("test", None)  # noqa: SLF001 - as in the reference


async def test_file_upload(memory_storage: ObstoreBackend) -> None:
    """Test file upload with obstore memory backend."""
    file_obj = FileObject(
        backend="test",
        filename="test.txt",
        content=b"Test content",
    )

    await file_obj.save_async()
    content = await file_obj.get_content_async()
    assert content == b"Test content"


@pytest.fixture
async def sample_file(memory_storage: ObstoreBackend) -> FileObject:
    """Create sample file for testing."""
    file_obj = FileObject(
        backend="test",
        filename="sample.txt",
        content_type="text/plain",
        content=b"Sample content",
    )
    await file_obj.save_async()
    return file_obj


async def test_file_operations(sample_file: FileObject) -> None:
    """Test file operations."""
    content = await sample_file.get_content_async()
    assert content == b"Sample content"

    await sample_file.delete_async()


async def test_nothing_is_left_registered() -> None:
    """The fixture took its backend away, so the next test may register one of the same key."""
    assert "test" not in storages
