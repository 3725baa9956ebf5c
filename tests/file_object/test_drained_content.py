"""Content that somebody else has read, closed or cut off is never stored as an empty file."""

import asyncio
import io
import os
from collections.abc import Callable
from typing import Any

import pytest
from starlette.datastructures import UploadFile

from fastapi_filestore import ContentConsumedError, ObstoreBackend, StorageRegistry
from fastapi_filestore.storage.content import read_content
from fastapi_filestore.testing import FaultyBackend
from tests.file_object.conftest import keys
from tests.file_object.contents import BODY, FILES, ONCE, generate, generate_async, make, pending, upload

__all__ = ["make", "upload"]


@pytest.mark.parametrize("form", ONCE)
async def test_a_reading_that_broke_off(memory: ObstoreBackend, make: Callable[[str], Any], form: str) -> None:
    """The rest that a failed upload left of a source is never stored as if it were the whole."""
    content = make(form)
    first, second = read_content(content), read_content(content)
    chunks = first.chunks()
    await anext(chunks)
    await chunks.aclose()
    with pytest.raises(ContentConsumedError):
        await memory.put("a", second)

    assert await keys(memory) == set()


@pytest.mark.parametrize("form", FILES)
async def test_rewound_after_a_failure(memory: ObstoreBackend, make: Callable[[str], Any], form: str) -> None:
    """A handle whose upload failed is rewound and stored by a new FileObject."""
    registry = StorageRegistry()
    registry.register_backend(FaultyBackend(memory, lambda call, operation: call == 1, after=True))
    content = make(form)
    with pytest.raises(ConnectionError):
        await pending(registry, content).save_async()
    content.seek(0)
    file = await pending(registry, content).save_async()

    assert await file.get_content_async() == BODY


async def test_a_read_that_is_cut_off(memory: ObstoreBackend) -> None:
    """A file that may still be read by a thread whose upload was cancelled is not read by the next."""
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb", buffering=0) as content, os.fdopen(write_end, "wb", buffering=0) as writer:
        putting = asyncio.create_task(memory.put("a", content))
        await asyncio.sleep(0.05)
        putting.cancel()
        await asyncio.wait({putting})
        with pytest.raises(ContentConsumedError):
            await memory.put("a", content)
        writer.write(b"x")


async def test_a_source_that_is_gone_is_forgotten(memory: ObstoreBackend) -> None:
    """What broke off is no reason to refuse a new source that takes its place in memory."""
    for _ in range(50):
        chunks = read_content(generate()).chunks()
        await anext(chunks)
        await chunks.aclose()
        del chunks
        await memory.put("a", generate())

    assert await (await memory.open("a")).read() == BODY


def _read(content: Any) -> Any:
    content.read()
    return content


def _exhausted(content: Any) -> Any:
    assert list(content)
    return content


def _asked_for_all(content: Any) -> Any:
    for _ in range(2):
        next(content)
    return content


async def _exhausted_async(content: Any) -> Any:
    assert [chunk async for chunk in content]
    return content


def _written() -> io.BytesIO:
    content = io.BytesIO()
    content.write(BODY)
    return content


DRAINED: dict[str, Callable[[], Any]] = {
    "file": lambda: _read(io.BytesIO(BODY)),
    "file that was written": _written,
    "generator": lambda: _exhausted(generate()),
    "generator at its last chunk": lambda: _asked_for_all(generate()),
    "list's iterator": lambda: _exhausted(iter([BODY])),
    "list's iterator at its last item": lambda: _asked_for_all(iter([BODY, BODY])),
    "tuple's iterator": lambda: _exhausted(iter((BODY,))),
}


@pytest.mark.parametrize("form", DRAINED)
async def test_what_somebody_else_has_drained(registry: StorageRegistry, memory: ObstoreBackend, form: str) -> None:
    """A source that was read, or written, to its end before it was given is no empty file."""
    with pytest.raises(ContentConsumedError, match="new content"):
        await pending(registry, DRAINED[form]()).save_async()

    assert await keys(memory) == set()


async def test_an_async_generator_that_somebody_else_has_drained(registry: StorageRegistry) -> None:
    """The same holds for an async generator."""
    with pytest.raises(ContentConsumedError, match="new content"):
        await pending(registry, await _exhausted_async(generate_async())).save_async()


@pytest.mark.parametrize("make_empty", [lambda: iter([]), lambda: iter(()), lambda: (b"" for _ in ()), io.BytesIO])
async def test_a_source_that_is_empty(registry: StorageRegistry, make_empty: Callable[[], Any]) -> None:
    """A source of no bytes that nobody has touched is an empty file."""
    file = await pending(registry, make_empty()).save_async()

    assert file.size == 0


@pytest.mark.parametrize("form", ["file", "BytesIO"])
async def test_a_file_that_is_closed(
    registry: StorageRegistry, memory: ObstoreBackend, make: Callable[[str], Any], form: str
) -> None:
    """A file that was closed is refused in words."""
    content = make(form)
    file = pending(registry, content)
    content.close()
    with pytest.raises(ContentConsumedError, match="is closed"):
        await file.save_async()

    assert await keys(memory) == set()


async def test_an_upload_that_is_closed(registry: StorageRegistry, memory: ObstoreBackend, upload: UploadFile) -> None:
    """An UploadFile whose request has ended is refused in words."""
    await upload.close()
    with pytest.raises(ContentConsumedError, match="is closed"):
        await pending(registry, upload).save_async()

    assert await keys(memory) == set()
