"""A record of a file, by which it gets from one process to another through a queue."""

import io
import json
import logging
import pickle
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from fastapi.encoders import jsonable_encoder
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fastapi_filestore import (
    FileObject,
    InvalidRecordError,
    ObjectNotFoundError,
    PendingContentError,
    StorageRegistry,
    UnknownBackendError,
    storages,
)

RIGHT: dict[str, Any] = {"backend": "memory", "path": "a/b.txt", "filename": "b.txt"}
WRONG: dict[str, list[Any]] = {
    "backend": [None, "", 5, ["memory"], "x" * 256, "\ud83d", True],
    "path": ["", 7, "../x", "a//b", "a\0b", "x" * 1025, "ü" * 600, {}, False, "\ud83d"],
    "filename": [3, ["b.txt"], "x" * 1025, "b\0.txt"],
    "content_type": ["nonsense", "text/html\r\nX: y", 1, ""],
    "size": [-1, "5", 1.5, True, 2**63, float("nan")],
    "checksum": [1, "x" * 1025],
    "etag": [1, "x" * 1025],
    "last_modified": ["2024-01-01", float("nan"), float("inf"), True, 10**400, -1e300],
    "version_id": [1, "x" * 1025],
    "metadata": [[], "k", {"k": 1}, {"k": None}, {1: "v"}, {"k": "\0"}, {"k": "x" * 65536}],
}
"""Fields, each with values that are none of it."""
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
RECORDS = st.fixed_dictionaries({"backend": st.text() | JSON, "path": st.text() | JSON}, optional=dict.fromkeys((
    "filename", "content_type", "size", "checksum", "etag", "last_modified", "version_id", "metadata", "more"
), JSON))  # fmt: skip


@pytest.fixture
def file(registry: StorageRegistry) -> FileObject:
    """A stored file."""
    return FileObject("memory", "a b.pdf", content=b"%PDF", metadata={"k": "ü\n"}, registry=registry).save()


async def test_a_record(file: FileObject, registry: StorageRegistry) -> None:
    """All that is known of a file comes back, and it can be read, opened, looked at, signed and copied."""
    record = json.loads(json.dumps(file.to_record()))
    back = FileObject.from_record(record, registry=registry)

    assert back == file
    assert back.to_record() == record
    assert await back.get_content_async() == b"%PDF"
    assert await (await back.open_async(start=1, end=3)).read() == b"PD"
    assert (await back.head_async()).size == 4
    copied = await back.copy_async()
    assert (copied.path != back.path, await copied.get_content_async()) == (True, b"%PDF")


def test_blocking_twins(registry: StorageRegistry) -> None:
    """A worker that blocks opens the file of a record as any other."""
    saved = FileObject("memory", "a.txt", content=b"one\ntwo\n", registry=registry).save()
    back = FileObject.from_record(saved.to_record(), registry=registry)

    assert list(io.TextIOWrapper(back.open())) == ["one\n", "two\n"]
    assert back.copy().get_content() == b"one\ntwo\n"


def test_the_json_of_a_row_is_a_record(registry: StorageRegistry) -> None:
    """What a row of ours or of advanced-alchemy holds can be given as it is, and what is unknown in it is ignored."""
    row = {"filename": "2024/a.txt", "size": 5, "backend": "memory", "thumbnail": {"w": 1}, "checksum": None}
    file = FileObject.from_record(row, registry=registry)

    assert (file.path, file.filename, file.size, file.content_type) == (
        "2024/a.txt", "a.txt", 5, "application/octet-stream",
    )  # fmt: skip


@pytest.mark.parametrize("field", WRONG)
def test_a_part_that_is_wrong(field: str) -> None:
    """A record with a value that is none of its field is refused by the field's name, and shows no value."""
    for value in WRONG[field]:
        with pytest.raises(InvalidRecordError, match=f"its {field} is ") as error:
            FileObject.from_record({**RIGHT, field: value})

        assert (error.value.field, len(str(error.value)) < 300) == (field, True)


@pytest.mark.parametrize("record", [None, [], "text", b"{}", 5, json.dumps(RIGHT)])
def test_what_is_no_record(record: Any) -> None:
    """Anything but a dict is refused by its type; text is told to be parsed."""
    with pytest.raises(InvalidRecordError, match=f"it is a {type(record).__name__} and no dict") as error:
        FileObject.from_record(record)

    assert error.value.field is None
    assert ("parse its JSON first" in str(error.value)) is isinstance(record, str | bytes)


@given(RECORDS)
def test_garbage(record: dict[str, Any]) -> None:
    """Whatever JSON it is, it is refused by one error, or is a record that comes back."""
    with suppress(InvalidRecordError):
        file = FileObject.from_record(record)
        assert FileObject.from_record(file.to_record()) == file


def test_files_without_a_record(registry: StorageRegistry) -> None:
    """What is not stored has none: it says what to do first."""
    for file in (FileObject("memory", content=b"x"), FileObject("memory", path="a/b"), FileObject()):
        with pytest.raises(PendingContentError, match=r"can't become a record: .*save_async.*confirm_async"):
            file.to_record()
    deleted = FileObject("memory", content=b"x", registry=registry).save()
    deleted.delete()
    with pytest.raises(PendingContentError, match="its bytes were deleted"):
        deleted.to_record()


async def test_metadata_that_no_queue_takes(registry: StorageRegistry) -> None:
    """Who sends it is told, and not who receives it."""
    metadata = {str(number): "x" * 1000 for number in range(66)}
    file = await FileObject("memory", content=b"x", metadata=metadata, registry=registry).save_async()

    with pytest.raises(InvalidRecordError, match="its metadata is not an object of texts, of at most 65536 characters"):
        file.to_record()


@pytest.mark.parametrize("travel", ["record", "pickle"])
async def test_a_file_that_is_gone(travel: str, registry: StorageRegistry, caplog: pytest.LogCaptureFixture) -> None:
    """A message may be older than its file: whoever reads it is told, and no alarm tells operators of a lost object."""
    storages.register_backend(registry.get_backend("memory"))
    try:
        file = await FileObject("memory", content=b"x").save_async()
        back = FileObject.from_record(file.to_record()) if travel == "record" else pickle.loads(pickle.dumps(file))
        await file.delete_async()
        with caplog.at_level(logging.DEBUG, "fastapi_filestore"):
            for read in (back.get_content_async, back.head_async, back.copy_async, deepcopy(back).get_content_async):
                with pytest.raises(ObjectNotFoundError):
                    await read()
    finally:
        storages.unregister_backend("memory")

    assert caplog.records == []


def test_a_backend_that_the_worker_lacks() -> None:
    """The file is made all the same, and its first use names the block that registers backends."""
    file = FileObject.from_record(RIGHT, registry=StorageRegistry())

    with pytest.raises(UnknownBackendError, match="in a script or a worker"):
        file.get_content()


def test_no_request_can_give_one(file: FileObject) -> None:
    """A model of a request takes no record in the place of a file, and a response shows none."""
    record = file.to_record()

    with pytest.raises(ValidationError):
        TypeAdapter(FileObject).validate_python(record)
    with pytest.raises(ValidationError):
        TypeAdapter(FileObject).validate_json(json.dumps(record))
    assert {"backend", "path"} & set(jsonable_encoder(TypeAdapter(FileObject).dump_python(file, mode="json"))) == set()


def test_what_a_queue_of_json_says_of_a_file(file: FileObject) -> None:
    """A file itself is no JSON, so that none is sent by mistake."""
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(file)
