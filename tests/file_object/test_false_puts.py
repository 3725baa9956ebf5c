"""A `put` that somebody else wrote, and that does not do what it says, makes no file."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from fastapi_filestore import (
    FileObject,
    ObjectInfo,
    ObstoreBackend,
    StorageError,
    StorageRegistry,
    WrappedBackend,
    read_content,
)
from fastapi_filestore.storage.content import Content
from tests.file_object.conftest import keys


class Unread(WrappedBackend):
    """Stores something else, and reads nothing."""

    async def put(self, path: str, content: Content, **options: Any) -> ObjectInfo:
        """Store nothing."""
        return await super().put(path, b"", **options)


class Broken(WrappedBackend):
    """Reads the first chunk, and no more."""

    async def put(self, path: str, content: Content, **options: Any) -> ObjectInfo:
        """Store the first chunk."""
        return await super().put(path, await anext(aiter(read_content(content))), **options)


class Half(WrappedBackend):
    """Reads it all, and stores half of it."""

    async def put(self, path: str, content: Content, **options: Any) -> ObjectInfo:
        """Store half of the content."""
        body = b"".join([chunk async for chunk in read_content(content)])
        return await super().put(path, body[: len(body) // 2], **options)


async def two_chunks() -> AsyncIterator[bytes]:
    """Content of six bytes."""
    yield b"abc"
    yield b"def"


@pytest.mark.parametrize("path", [None, "reports/mine.txt"])
@pytest.mark.parametrize(
    ("false", "numbers"),
    [
        (Unread, "read 0 bytes, not to the end, and said that it stored 0"),
        (Broken, "read 3 bytes, not to the end, and said that it stored 3"),
        (Half, "read 6 bytes, and said that it stored 3"),
    ],
)
async def test_content_that_is_not_kept(
    memory: ObstoreBackend, registry: StorageRegistry, false: type[WrappedBackend], numbers: str, path: str | None
) -> None:
    """A put that keeps less than all of the content is told with its numbers, and what it stored is deleted."""
    registry.register_backend(false(memory), replace=True)
    file = FileObject("memory", "a.txt", content=two_chunks(), path=path, registry=registry)
    with pytest.raises(StorageError, match=rf"put of backend 'memory' \({false.__name__}\) .*{numbers}"):
        await file.save_async()

    assert await keys(memory) == set()
    assert not file.is_stored
