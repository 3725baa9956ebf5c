"""A `put` of one's own that stores, and fails all the same, leaves nothing where its rows are."""

from typing import Any

import pytest

from fastapi_filestore import FileObject, ObjectInfo, ObstoreBackend, StorageUnavailableError, WrappedBackend, storages
from fastapi_filestore.storage.content import Content
from tests.rows.conftest import Rows


class Failing(WrappedBackend):
    """Stores, and fails with an error of its own; may fail to delete, too."""

    is_stuck = False

    async def put(self, path: str, content: Content, **options: Any) -> ObjectInfo:
        """Store, and fail."""
        await super().put(path, content, **options)
        raise RuntimeError("own")

    async def delete(self, *paths: str) -> None:
        """Delete, or fail."""
        if self.is_stuck:
            raise StorageUnavailableError("stuck")
        await super().delete(*paths)


@pytest.mark.parametrize("is_stuck", [False, True])
async def test_a_put_that_stores_and_fails(rows: Rows, backend: ObstoreBackend, is_stuck: bool) -> None:
    """The object is deleted at once; where that fails, too, a sweep finds it by the intent of its upload."""
    failing = Failing(backend)
    failing.is_stuck = is_stuck
    storages.register_backend(failing, replace=True)
    with pytest.raises(RuntimeError, match="own"):
        await rows.add(title="a", file=FileObject("rows", "a.txt", content=b"x"))
    storages.register_backend(backend, replace=True)

    assert len(await rows.keys()) == is_stuck
    if is_stuck and rows.has_ledger:
        assert await rows.keys() <= await rows.intents("upload")
        await rows.sweep()
        assert await rows.keys() == set()
