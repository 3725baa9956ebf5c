"""A `put` that fails leaves nothing, whoever wrote it and whatever it raises; a refused body costs no request."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from fastapi_filestore import (
    FileObject,
    ObjectInfo,
    ObstoreBackend,
    StorageRegistry,
    UploadError,
    UploadTooLargeError,
    WrappedBackend,
)
from fastapi_filestore.intake.rules import FileRules
from fastapi_filestore.storage.content import Content
from tests.file_object.conftest import keys


class Own(WrappedBackend):
    """Stores, or copies, and fails all the same, with an error of its own; notes what it deletes."""

    withheld = frozenset({"copy"})
    error: Exception | None = None

    async def put(self, path: str, content: Content, **options: Any) -> ObjectInfo:
        """Store, and fail."""
        info = await super().put(path, content, **options)
        if self.error is not None:
            raise self.error
        return info

    async def delete(self, *paths: str) -> None:
        """Note it, and delete."""
        self.deleted = [*getattr(self, "deleted", []), *paths]
        await super().delete(*paths)


class Undeletable(Own):
    """Can't delete, with an error of its own either."""

    async def delete(self, *paths: str) -> None:
        """Fail."""
        raise LookupError("no such thing as deleting")


@pytest.fixture
def own(memory: ObstoreBackend, registry: StorageRegistry) -> Own:
    """A backend of one's own."""
    registry.register_backend(backend := Own(memory), replace=True)
    return backend


def pending(registry: StorageRegistry, content: Any = b"hello", **options: Any) -> FileObject:
    """Return a file to store."""
    return FileObject("memory", "a.txt", content=content, registry=registry, **options)


ERRORS = [RuntimeError("own"), UploadError("one of ours"), OSError(5, "a disk")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_error_of_its_own(own: Own, memory: ObstoreBackend, registry: StorageRegistry, error: Any) -> None:
    """What was stored before the error is deleted, whatever the error is; and the error is the one that is raised."""
    own.error = error
    with pytest.raises(type(error)) as caught:
        await (file := pending(registry)).save_async()

    assert caught.value is error
    assert len(own.deleted) == 1
    assert await keys(memory) == set()
    assert not file.is_stored


async def test_a_copy_that_fails(own: Own, memory: ObstoreBackend, registry: StorageRegistry) -> None:
    """A copy that was made before the error goes, and its source stays."""
    file = await pending(registry).save_async()
    own.error = RuntimeError("own")
    with pytest.raises(RuntimeError, match="own"):
        await file.copy_async()

    assert await keys(memory) == {file.path}


async def test_the_first_error_is_told(memory: ObstoreBackend, registry: StorageRegistry) -> None:
    """What can't be undone hides no cause."""
    registry.register_backend(backend := Undeletable(memory), replace=True)
    backend.error = RuntimeError("own")
    with pytest.raises(RuntimeError, match="own"):
        await pending(registry).save_async()


async def test_a_path_of_ones_own_stays(own: Own, memory: ObstoreBackend, registry: StorageRegistry) -> None:
    """At a path that the application chose may be somebody else's object."""
    own.error = RuntimeError("own")
    with pytest.raises(RuntimeError, match="own"):
        await pending(registry, path="reports/a.txt").save_async()

    assert await keys(memory) == {"reports/a.txt"}


async def broken() -> AsyncIterator[bytes]:
    """Break off, as a client does."""
    yield b"the beginning"
    raise ConnectionResetError


async def refused() -> AsyncIterator[bytes]:
    """Be refused by somebody who looks at the bytes."""
    yield b"the beginning"
    raise UploadError("not what it should be")


@pytest.mark.parametrize(
    ("content", "error"),
    [(broken, ConnectionResetError), (refused, UploadError), (lambda: b"x" * 100, UploadTooLargeError)],
)
async def test_a_refused_body_costs_no_request(
    own: Own, registry: StorageRegistry, content: Any, error: type[Exception]
) -> None:
    """Nothing is deleted where the body itself fails: it was not stored."""
    file = pending(registry, content())
    file.custody.rules = FileRules(max_size=50)
    with pytest.raises(error):
        await file.save_async()

    assert not hasattr(own, "deleted")
    assert [info async for info in own.list()] == []
