"""Where the bytes of a file are, as a table: every operation in every state."""

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fastapi_filestore import (
    FileObject,
    ObjectNotFoundError,
    ObstoreBackend,
    PendingContentError,
    StorageRegistry,
    UnreadableFileError,
)
from fastapi_filestore.file_object import FileState
from fastapi_filestore.file_object.record import unreadable_file
from fastapi_filestore.storage.signing import UrlSigner
from tests.file_object.conftest import keys

PENDING, RESERVED, STORED, GONE, UNREADABLE = FileState


async def _empty(registry: StorageRegistry) -> FileObject:
    return FileObject("memory", "a.txt", registry=registry)


async def _pending(registry: StorageRegistry) -> FileObject:
    return FileObject("memory", "a.txt", content=b"x", registry=registry)


async def _reserved(registry: StorageRegistry) -> FileObject:
    file = await _empty(registry)
    await file.sign_async(for_upload=True)
    return file


async def _reserved_with_content(registry: StorageRegistry) -> FileObject:
    file = await _pending(registry)
    await file.sign_async(for_upload=True)
    return file


async def _uploaded(registry: StorageRegistry) -> FileObject:
    file = await _reserved(registry)
    await registry.get_backend("memory").put(str(file.path), b"x")
    return file


async def _stored(registry: StorageRegistry) -> FileObject:
    return await (await _pending(registry)).save_async()


async def _settled(registry: StorageRegistry) -> FileObject:
    file = await _stored(registry)
    file.note_committed()
    return file


async def _gone(registry: StorageRegistry) -> FileObject:
    file = await _stored(registry)
    await file.delete_async()
    return file


async def _unreadable(registry: StorageRegistry) -> FileObject:
    return unreadable_file("a bare path", "it is text", FileObject, registry=registry)


START: dict[str, Callable[[StorageRegistry], Awaitable[FileObject]]] = {
    "empty": _empty,
    "pending": _pending,
    "reserved": _reserved,
    "reserved with content": _reserved_with_content,
    "uploaded": _uploaded,
    "stored": _stored,
    "settled": _settled,
    "gone": _gone,
    "unreadable": _unreadable,
}
"""How a file comes into each state."""

OPERATIONS: dict[str, Callable[[FileObject], Awaitable[Any]]] = {
    "save": lambda file: file.save_async(),
    "read": lambda file: file.get_content_async(),
    "sign": lambda file: file.sign_async(),
    "sign for upload": lambda file: file.sign_async(for_upload=True),
    "confirm": lambda file: file.confirm_async(),
    "delete": lambda file: file.delete_async(),
}

TABLE: dict[str, dict[str, FileState | type[Exception]]] = {
    "empty": {
        "save": PendingContentError,
        "read": PendingContentError,
        "sign": PendingContentError,
        "sign for upload": RESERVED,
        "confirm": PENDING,
        "delete": PendingContentError,
    },
    "pending": {
        "save": STORED,
        "read": PendingContentError,
        "sign": PendingContentError,
        "sign for upload": RESERVED,
        "confirm": PENDING,
        "delete": PENDING,
    },
    "reserved": {
        "save": PendingContentError,
        "read": ObjectNotFoundError,
        "sign": RESERVED,
        "sign for upload": RESERVED,
        "confirm": ObjectNotFoundError,
        "delete": GONE,
    },
    "reserved with content": {
        "save": STORED,
        "read": ObjectNotFoundError,
        "sign": RESERVED,
        "sign for upload": RESERVED,
        "confirm": STORED,
        "delete": GONE,
    },
    "uploaded": {
        "save": PendingContentError,
        "read": RESERVED,
        "sign": RESERVED,
        "sign for upload": RESERVED,
        "confirm": STORED,
        "delete": GONE,
    },
    "stored": {
        "save": STORED,
        "read": STORED,
        "sign": STORED,
        "sign for upload": STORED,
        "confirm": STORED,
        "delete": GONE,
    },
    "settled": {
        "save": STORED,
        "read": STORED,
        "sign": STORED,
        "sign for upload": STORED,
        "confirm": STORED,
        "delete": GONE,
    },
    "gone": {
        "save": PendingContentError,
        "read": ObjectNotFoundError,
        "sign": GONE,
        "sign for upload": PendingContentError,
        "confirm": GONE,
        "delete": GONE,
    },
    "unreadable": {
        "save": UnreadableFileError,
        "read": UnreadableFileError,
        "sign": UnreadableFileError,
        "sign for upload": UnreadableFileError,
        "confirm": UNREADABLE,
        "delete": UnreadableFileError,
    },
}
CASES = [(start, operation) for start, row in TABLE.items() for operation in row]


@pytest.fixture
def registry(registry: StorageRegistry) -> StorageRegistry:
    """A registry that signs."""
    registry.signer = UrlSigner(["a-signing-key-that-is-long-enough-for-all"], base_url="/filestore/")
    return registry


@pytest.mark.parametrize(("start", "operation"), CASES)
async def test_transitions(registry: StorageRegistry, memory: ObstoreBackend, start: str, operation: str) -> None:
    """An operation leads to the state that the table names, or fails as it says and changes none."""
    file = await START[start](registry)
    before, outcome = file.state, TABLE[start][operation]
    upload = file.path  # what is confirmed there stays till a row has the copy
    if isinstance(outcome, FileState):
        await OPERATIONS[operation](file)
    else:
        with pytest.raises(outcome):
            await OPERATIONS[operation](file)

    assert file.state is (outcome if isinstance(outcome, FileState) else before)
    assert await keys(memory) <= {file.path, upload}


async def test_undo_of_content_that_can_be_read_again(registry: StorageRegistry) -> None:
    """What a rolled-back transaction stored waits for its next save, under another key, and knows no size."""
    file = await _stored(registry)
    path = file.path
    await registry.get_backend("memory").delete(str(path))
    file.undo()

    assert (file.state, file.path, file.size, file.checksum, file.etag) == (PENDING, None, None, None, None)
    assert (await file.save_async()).path != path


async def test_undo_keeps_an_own_path(registry: StorageRegistry) -> None:
    """A key that the user chose is still the one after a rollback."""
    file = FileObject("memory", "a.txt", content=b"x", path="mine", registry=registry)
    await file.save_async()
    await file.delete_async()
    file.undo()
    await file.save_async()

    assert (file.path, file.state) == ("mine", STORED)


async def test_undo_without_content(registry: StorageRegistry) -> None:
    """What a rolled-back transaction deleted, and nobody can store again, is gone."""
    file = await _settled(registry)
    file.undo()

    assert file.state is GONE


async def test_settling(registry: StorageRegistry) -> None:
    """A file that a committed row points to is no longer fresh, and lets go of its content."""
    file = await _stored(registry)
    fresh = file.custody.fresh
    file.note_committed()

    assert (fresh, file.custody.fresh) == (True, False)
    assert (await file.save_async()).state is STORED


async def test_assign_chooses_once(memory: ObstoreBackend) -> None:
    """A column chooses the backend of a file that names none, and its registry for any that is not stored."""
    registry = StorageRegistry()
    registry.register_backend(memory)
    registry.register_backend(ObstoreBackend("other", "memory://"))
    unnamed, named = FileObject(content=b"x"), FileObject("other", content=b"x")
    for file in (unnamed, named):
        file.assign("memory", registry)
        await file.save_async()

    assert (unnamed.backend, named.backend) == ("memory", "other")


async def test_assign_leaves_a_stored_file_alone(registry: StorageRegistry) -> None:
    """A file that is stored stays where it is."""
    file = await _stored(registry)
    file.assign("elsewhere", StorageRegistry())

    assert file.backend == "memory"
    assert await file.get_content_async() == b"x"


NAMELESS: dict[str, Callable[[FileObject], Awaitable[Any]]] = {
    **{name: OPERATIONS[name] for name in ("delete", "read", "sign", "save")},
    "delete, blocking": lambda file: asyncio.to_thread(file.delete),
    "read, blocking": lambda file: asyncio.to_thread(file.get_content),
    "sign, blocking": lambda file: asyncio.to_thread(file.sign),
    "save, blocking": lambda file: asyncio.to_thread(file.save),
    "open": lambda file: file.open_async(),
    "head": lambda file: file.head_async(),
    "copy": lambda file: file.copy_async(),
    "pickle": lambda file: asyncio.to_thread(pickle.dumps, file),
}
"""What can't be done to a file that says neither what its bytes are nor where."""


@pytest.mark.parametrize("operation", NAMELESS)
async def test_a_filename_is_no_path(registry: StorageRegistry, memory: ObstoreBackend, operation: str) -> None:
    """A file that is known by its filename only is refused by a sentence that names `path=`, and none is harmed."""
    await memory.put("a.txt", b"stored")
    with pytest.raises(PendingContentError, match="path="):
        await NAMELESS[operation](await _empty(registry))

    assert await keys(memory) == {"a.txt"}


async def test_a_path_names_a_stored_object(registry: StorageRegistry, memory: ObstoreBackend) -> None:
    """What the sentence says works: with `path=` the object is deleted."""
    await memory.put("a.txt", b"stored")
    await FileObject("memory", path="a.txt", registry=registry).delete_async()

    assert await keys(memory) == set()


@pytest.mark.parametrize("path", [None, "mine"])
@pytest.mark.parametrize("blocking", [True, False])
async def test_a_pending_file_survives_its_deletion(
    registry: StorageRegistry, memory: ObstoreBackend, path: str | None, blocking: bool
) -> None:
    """Deleting a file that has content to store does nothing, to it or to what lies at its path; it can be saved."""
    await memory.put("other", b"other")
    file = FileObject("memory", "a.txt", content=b"x", path=path, registry=registry)
    await (asyncio.to_thread(file.delete) if blocking else file.delete_async())
    await file.save_async()

    assert await file.get_content_async() == b"x"
    assert await keys(memory) == {"other", file.path}
