"""Content that is unfit to be saved, and saves that are tried again."""

import io
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import UploadFile

from fastapi_filestore import (
    ContentConsumedError,
    FileObject,
    ObjectExistsError,
    ObstoreBackend,
    PendingContentError,
    StorageRegistry,
    UnknownBackendError,
    UnsupportedContentError,
)
from fastapi_filestore.storage.content import READ_SIZE
from fastapi_filestore.testing import FaultyBackend
from tests.file_object.conftest import keys
from tests.file_object.saving import BODY, chunks_of, pending


async def test_no_content(registry: StorageRegistry) -> None:
    """Saving a file that has no content says how to give it some."""
    with pytest.raises(PendingContentError, match="content="):
        await FileObject("memory", "a.txt", registry=registry).save_async()


async def test_reading_a_pending_file(registry: StorageRegistry) -> None:
    """Reading a file that is not stored says to save it first."""
    with pytest.raises(PendingContentError, match="Save it first"):
        await pending(registry).get_content_async()


async def test_an_unknown_backend() -> None:
    """A backend that nobody registered is named, and so are those that are."""
    registry = StorageRegistry()
    registry.register_backend(ObstoreBackend("documents", "memory://"))
    with pytest.raises(UnknownBackendError, match=r"'memory'.*'documents'"):
        await pending(registry).save_async()


async def test_the_default_backend(registry: StorageRegistry) -> None:
    """A file that names no backend is stored in the default one, and says so."""
    file = await FileObject(filename="a.txt", content=BODY, registry=registry).save_async()

    assert file.backend == "memory"


async def test_an_upload_is_rewound(registry: StorageRegistry) -> None:
    """An UploadFile that was looked at is stored from its start."""
    upload = UploadFile(io.BytesIO(BODY), filename="a.txt")
    await upload.read(4)
    file = await pending(registry, upload).save_async()

    assert await file.get_content_async() == BODY


async def test_an_open_stream_of_another_file(registry: StorageRegistry) -> None:
    """What another file is being read from can be stored as it comes."""
    first = await pending(registry).save_async()
    second = await pending(registry, await first.open_async(start=5)).save_async()

    assert await second.get_content_async() == b"bytes"


@pytest.mark.parametrize(
    "content", [["text"], iter([b"a", None, b"b"]), io.StringIO("")], ids=["str", "None", "StringIO"]
)
async def test_content_that_yields_no_bytes(memory: ObstoreBackend, registry: StorageRegistry, content: Any) -> None:
    """Content that turns out to yield something else fails, and nothing is stored, not even a part."""
    with pytest.raises(UnsupportedContentError):
        await pending(registry, content).save_async()

    assert await keys(memory) == set()


async def test_consumed_content(registry: StorageRegistry, memory: ObstoreBackend) -> None:
    """A stream that was read can't be stored again, and the error says so."""
    stream = io.BytesIO(BODY)
    broken = StorageRegistry()
    broken.register_backend(FaultyBackend(memory, lambda call, operation: call == 1, after=True))
    file = pending(broken, stream)
    with pytest.raises(ConnectionError):
        await file.save_async()

    with pytest.raises(ContentConsumedError, match="new content"):
        await file.save_async()


def _on_disk(folder: Path) -> Path:
    path = folder / "content"
    path.write_bytes(BODY)
    return path


REPLAYABLE: dict[str, Callable[[Path], Any]] = {
    "bytes": lambda folder: BODY,
    "path": _on_disk,
    "UploadFile": lambda folder: UploadFile(io.BytesIO(BODY), filename="a.txt"),
    "list": lambda folder: [b"some ", b"bytes"],
}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("form", REPLAYABLE)
async def test_saving_again_after_a_failure(memory: ObstoreBackend, tmp_path: Path, form: str, after: bool) -> None:
    """Content that can be read again is stored by the next save, and the failed one left nothing."""
    registry = StorageRegistry()
    registry.register_backend(FaultyBackend(memory, lambda call, operation: call == 1, after=after))
    file = pending(registry, REPLAYABLE[form](tmp_path))
    with pytest.raises(ConnectionError):
        await file.save_async()

    assert await keys(memory) == set()
    await file.save_async()
    assert await keys(memory) == {file.path}
    assert file.checksum == sha256(BODY).hexdigest()


async def test_an_own_path(registry: StorageRegistry) -> None:
    """A key of one's own is used as it is."""
    file = await pending(registry, path="reports/2026/a.txt").save_async()

    assert file.path == "reports/2026/a.txt"
    assert await file.get_content_async() == BODY


async def test_an_own_path_never_overwrites(memory: ObstoreBackend, registry: StorageRegistry) -> None:
    """A key of one's own that is taken is an error, and the other object stays as it is."""
    first = await pending(registry, b"first", path="a").save_async()
    with pytest.raises(ObjectExistsError):
        await pending(registry, b"second", path="a").save_async()

    assert await first.get_content_async() == b"first"


@pytest.mark.parametrize("after", [False, True])
async def test_an_own_path_that_fails_deletes_nothing_else(memory: ObstoreBackend, after: bool) -> None:
    """A save that fails at a key of one's own never deletes what another file has there."""
    await memory.put("a", b"first")
    registry = StorageRegistry()
    registry.register_backend(FaultyBackend(memory, lambda call, operation: call == 1, after=after))
    with pytest.raises(OSError, match=r".+"):
        await pending(registry, b"second", path="a").save_async()

    assert await (await memory.open("a")).read() == b"first"


async def test_size_reaches_the_store(
    registry: StorageRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size of content that has one is told to the backend, which cuts it into parts that fit."""
    sizes: list[int | None] = []
    inner = registry.get_backend("memory").put

    async def put(path: str, content: Any, **options: Any) -> Any:
        sizes.append(content.size)
        return await inner(path, content, **options)

    monkeypatch.setattr(registry.get_backend("memory"), "put", put)
    await pending(registry, _on_disk(tmp_path)).save_async()
    await pending(registry, chunks_of(BODY)).save_async()

    assert sizes == [len(BODY), None]


@settings(max_examples=30, deadline=None)
@given(chunks=st.lists(st.binary(max_size=300), max_size=8))
async def test_checksum_of_any_chunks(chunks: list[bytes]) -> None:
    """The checksum and the size are those of all bytes, however they come."""
    registry = StorageRegistry()
    registry.register_backend(ObstoreBackend("memory", "memory://"))
    file = await pending(registry, chunks_of(*chunks)).save_async()
    whole = b"".join(chunks)

    assert (file.checksum, file.size) == (sha256(whole).hexdigest(), len(whole))
    assert await file.get_content_async() == whole


async def test_checksum_of_big_chunks(registry: StorageRegistry) -> None:
    """Chunks that are hashed beside the loop are hashed in their order."""
    chunks = [bytes([number]) * (READ_SIZE + number) for number in range(5)]
    file = await pending(registry, chunks_of(*chunks)).save_async()

    assert file.checksum == sha256(b"".join(chunks)).hexdigest()
