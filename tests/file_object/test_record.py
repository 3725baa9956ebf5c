"""A file as JSON in a row."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from fastapi_filestore import FileObject, StorageRegistry
from fastapi_filestore.file_object.record import file_of, to_record

ADVANCED_ALCHEMY: dict[str, Any] = {
    "filename": "a.txt",
    "content_type": "text/plain",
    "size": 5,
    "last_modified": 1795379941.47,
    "checksum": None,
    "etag": '"1"',
    "version_id": None,
    "metadata": {"k": "v"},
    "backend": "memory",
}
"""A row that advanced-alchemy wrote; its filename is the object's path."""


async def test_what_is_written_is_read(registry: StorageRegistry) -> None:
    """Every field of a stored file comes back from its JSON."""
    file = FileObject("memory", "a b.pdf", content=b"%PDF", metadata={"k": "ü\n"}, registry=registry)
    await file.save_async()
    back = file_of(json.loads(json.dumps(to_record(file))), FileObject, registry=registry)

    assert to_record(back) == to_record(file)
    assert (back, back.last_modified, back.is_stored) == (file, file.last_modified, True)
    assert await back.get_content_async() == b"%PDF"


async def test_a_row_of_advanced_alchemy(registry: StorageRegistry) -> None:
    """The bytes are read from where advanced-alchemy put them, and every field is there."""
    await registry.get_backend("memory").put("a.txt", b"hello")
    file = file_of(ADVANCED_ALCHEMY, FileObject, registry=registry)

    assert await file.get_content_async() == b"hello"
    assert (file.path, file.filename, file.content_type, file.size) == ("a.txt", "a.txt", "text/plain", 5)
    assert (file.etag, file.checksum, file.version_id, file.metadata) == ('"1"', None, None, {"k": "v"})
    assert file.last_modified == datetime.fromtimestamp(1795379941.47, UTC)


def test_folders_in_a_name_of_advanced_alchemy(registry: StorageRegistry) -> None:
    """A path with folders is the object's path as it is, and the filename is its last part."""
    file = file_of(ADVANCED_ALCHEMY | {"filename": "2024/05/a.txt"}, FileObject, registry=registry)

    assert (file.path, file.filename) == ("2024/05/a.txt", "a.txt")


def test_unknown_keys_are_ignored(registry: StorageRegistry) -> None:
    """A key that a newer version wrote makes no row unreadable."""
    assert file_of(ADVANCED_ALCHEMY | {"thumbnail": {"w": 1}}, FileObject, registry=registry).filename == "a.txt"


@pytest.mark.parametrize("record", [{"filename": "a.txt"}, {"path": "a.txt"}, {"filename": "a.txt", "path": None}])
def test_missing_keys(registry: StorageRegistry, record: dict[str, Any]) -> None:
    """A record of a name alone is a file of which nothing else is known."""
    file = file_of(record, FileObject, registry=registry)

    assert (file.path, file.filename, file.content_type) == ("a.txt", "a.txt", "application/octet-stream")
    assert (file.size, file.etag, file.last_modified, file.metadata) == (None, None, None, {})


def test_metadata_that_no_database_takes(registry: StorageRegistry) -> None:
    """What a row of SQLite may hold all the same is read as what every database can hold."""
    file = file_of(ADVANCED_ALCHEMY | {"metadata": {"nul\0": "a\0b", "half": "\ud83d!"}}, FileObject, registry=registry)

    assert file.metadata == {"nul\ufffd": "a\ufffdb", "half": "\ufffd!"}


def test_metadata_that_is_not_text(registry: StorageRegistry) -> None:
    """Other JSON that advanced-alchemy kept as metadata is read as its text."""
    file = file_of(
        ADVANCED_ALCHEMY | {"metadata": {"n": 1, "list": ["a"], "none": None}}, FileObject, registry=registry
    )

    assert file.metadata == {"n": "1", "list": '["a"]', "none": "null"}


@pytest.mark.parametrize("content_type", ["text/html\r\nX: y", "nonsense", "", None])
def test_a_content_type_that_is_none(registry: StorageRegistry, content_type: str | None) -> None:
    """What a row calls a content type but no header may hold is read as unknown."""
    file = file_of(ADVANCED_ALCHEMY | {"content_type": content_type}, FileObject, registry=registry)

    assert file.content_type == "application/octet-stream"


def test_a_backend_that_is_not_registered() -> None:
    """A row can be read before its backend is registered."""
    assert file_of(ADVANCED_ALCHEMY, FileObject, registry=StorageRegistry()).backend == "memory"
