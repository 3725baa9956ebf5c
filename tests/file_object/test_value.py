"""A file as a Python value: how it is made, compared, copied and pickled."""

import copy
import io
import json
import pickle
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from fastapi import UploadFile
from starlette.datastructures import Headers

from fastapi_filestore import (
    FileObject,
    NotAFileError,
    ObstoreBackend,
    PendingContentError,
    StorageRegistry,
    UnsupportedContentError,
    storages,
)


@pytest.fixture
async def file(registry: StorageRegistry) -> FileObject:
    """A stored file."""
    return await FileObject("memory", "a.txt", content=b"hello", metadata={"k": "v"}, registry=registry).save_async()


def test_a_filename_is_made_safe() -> None:
    """Folders of a client's name are dropped; the object key is never made of it."""
    file = FileObject(filename="../../etc/passwd", content=b"x")

    assert (file.filename, file.path) == ("passwd", None)


def test_the_content_type_is_guessed_from_the_name() -> None:
    """Without a content type the filename's ending suggests one."""
    assert FileObject(filename="a.pdf").content_type == "application/pdf"


@pytest.mark.parametrize(
    "content_type",
    ["pdf", "", "text/html\nX: y", "text /html", "text/html;\x00", "é/é", "a/b/c", "a/b;".ljust(256, "c")],
)
def test_refused_content_types(content_type: str) -> None:
    """What is no media type is refused when the file is made."""
    with pytest.raises(UnsupportedContentError, match="media type"):
        FileObject(filename="a.txt", content_type=content_type)


@pytest.mark.parametrize(
    "metadata",
    [{"n": 1}, {"none": None}, {"bytes": b"x"}, {"nested": {"a": "b"}}, {"nul": "a\0b"}, {"half": "\ud83d"}],
)
def test_refused_metadata(metadata: Any) -> None:
    """Metadata that is not text is refused when the file is made, and the key is named."""
    with pytest.raises(UnsupportedContentError, match=repr(next(iter(metadata)))):
        FileObject(filename="a.txt", metadata=metadata)


@pytest.mark.parametrize(
    "given",
    [
        {"filename": 5},
        {"content_type": 5},
        {"metadata": "a"},
        {"metadata": [1]},
        {"metadata": {1: "a"}},
        {"backend": 5},
        {"path": PurePosixPath("a/b")},
    ],
)
def test_what_is_no_text_is_named(given: dict[str, Any]) -> None:
    """What is of another type than it should be is refused by name, and not by an accident further on."""
    with pytest.raises(UnsupportedContentError, match=r"text|its key"):
        FileObject(content=b"1", **given)


@pytest.mark.parametrize("name", ["filename", "content_type", "metadata"])
@pytest.mark.parametrize("value", [None, 5])
def test_what_is_set_to_no_text_is_named(name: str, value: Any) -> None:
    """So is what it is changed to, which changes nothing."""
    file = FileObject(filename="a.txt", metadata={"k": "v"})
    with pytest.raises(UnsupportedContentError, match="text"):
        setattr(file, name, value)

    assert (file.filename, file.content_type, file.metadata) == ("a.txt", "text/plain", {"k": "v"})


def test_an_upload_without_a_name() -> None:
    """What has no name, as an UploadFile may, is called as one that lost all of it."""
    assert FileObject(filename=None, content=b"1").filename == "file"


def test_refused_text() -> None:
    """A str is refused, for a store might take it for the path of a file."""
    with pytest.raises(UnsupportedContentError, match="encode"):
        FileObject(filename="a.txt", content="/etc/passwd")  # type: ignore[arg-type]


def test_refused_text_file(tmp_path: Path) -> None:
    """A file in text mode is refused, an empty one as well."""
    path = tmp_path / "a.txt"
    path.touch()
    with path.open() as text, pytest.raises(UnsupportedContentError, match="text mode"):
        FileObject(filename="a.txt", content=text)  # type: ignore[arg-type]


def test_the_mapping_given_is_not_shared() -> None:
    """Changing the mapping that was given does not change the file."""
    given = {"k": "v"}
    file = FileObject(filename="a.txt", metadata=given)
    given["k"] = "other"

    assert file.metadata == {"k": "v"}


def test_a_backend_may_be_given_itself(registry: StorageRegistry) -> None:
    """A backend that is given instead of its key is registered."""
    backend = ObstoreBackend("other", "memory://")
    file = FileObject(backend, "a.txt", content=b"x", registry=registry)

    assert file.backend == "other"
    assert registry.get_backend("other") is backend


async def test_repr(file: FileObject) -> None:
    """The representation says what it is and where, and shows no content."""
    assert repr(file) == f"<FileObject 'a.txt' text/plain stored size=5 backend='memory' path={file.path!r}>"


@pytest.mark.parametrize(("name", "value"), [("path", "b"), ("path", None), ("backend", "other"), ("backend", None)])
async def test_a_stored_file_does_not_move(file: FileObject, name: str, value: str | None) -> None:
    """Its place is what a row keeps of it: one that is set is refused, and not lost in silence."""
    place = file.location

    setattr(file, name, getattr(file, name))  # where it is already
    with pytest.raises(UnsupportedContentError, match=f"The {name} of 'a.txt' can't become {value!r}.*copy_async"):
        setattr(file, name, value)

    assert file.location == place


async def test_a_key_that_is_set_before_it_is_stored(memory: ObstoreBackend, registry: StorageRegistry) -> None:
    """It is an object key of one's own, as the one that the constructor takes."""
    file = FileObject(filename="a.txt", content=b"hello", registry=registry)
    with pytest.raises(UnsupportedContentError, match="A backend is one of ours or its key, and not a int"):
        file.backend = 5  # type: ignore[assignment]  # what a program might do
    file.path, file.backend = "own/a.txt", memory
    assert file.backend == "memory"
    await file.save_async()

    assert await (await memory.open("own/a.txt")).read() == b"hello"
    assert file.has_own_path
    with pytest.raises(UnsupportedContentError, match=r"An object key \(path=\) is text, and not a int"):
        FileObject(content=b"x").path = 5  # type: ignore[assignment]  # what a program might do


async def test_equality(file: FileObject, registry: StorageRegistry) -> None:
    """Two files are the same when backend and path are, whatever else they say."""
    same = FileObject("memory", "other name", path=file.path, registry=registry)
    other = await FileObject("memory", "a.txt", content=b"hello", registry=registry).save_async()

    assert file == same
    assert hash(file) == hash(same)
    assert file != other
    assert file != FileObject("elsewhere", path=file.path)
    assert file != "a.txt"


def test_pending_files_are_themselves_only() -> None:
    """Before they are stored, two files of one name and content are not the same."""
    first, second = (FileObject(filename="a.txt", content=b"x") for _ in range(2))

    assert first == first  # noqa: PLR0124 - identity is what is stated
    assert first != second


def test_a_pending_file_has_no_hash() -> None:
    """A file that has no place yet can't be a key: its hash would change."""
    with pytest.raises(TypeError, match="before it is stored"):
        hash(FileObject(filename="a.txt", content=b"x"))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
async def test_copies(file: FileObject, duplicate: Any) -> None:
    """A copy is the same object with metadata of its own, and its bytes can be read."""
    twin = duplicate(file)
    twin.metadata["k"] = "changed"

    assert twin == file
    assert twin is not file
    assert file.metadata == {"k": "v"}
    assert await twin.get_content_async() == b"hello"


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
async def test_copies_of_a_pending_file(memory: ObstoreBackend, registry: StorageRegistry, duplicate: Any) -> None:
    """Copies of a file that is not stored yet are stored under keys of their own."""
    file = FileObject("memory", "a.txt", content=b"hello", registry=registry)
    twin = duplicate(file)
    await file.save_async()
    await twin.save_async()

    assert file != twin
    assert {info.path async for info in memory.list()} == {file.path, twin.path}


async def test_a_reserved_key_is_used_once(memory: ObstoreBackend, registry: StorageRegistry) -> None:
    """The key that a ledger reserved for a file is not used for its copy, which no ledger knows of."""
    file = FileObject("memory", "a.txt", content=b"hello", registry=registry)
    file.reserve("reserved", claim := object())
    twin = copy.copy(file)
    await file.save_async()
    await twin.save_async()

    assert (file.path, file.custody.claim) == ("reserved", claim)
    assert twin.custody.claim is None
    assert {info.path async for info in memory.list()} == {"reserved", twin.path}


async def test_deepcopy_keeps_identity_inside(file: FileObject) -> None:
    """A file that is twice in a structure is once in its deep copy."""
    first, second = copy.deepcopy([file, file])

    assert first is second


async def test_pickle(file: FileObject) -> None:
    """A stored file can be pickled, and says the same afterwards."""
    twin = pickle.loads(pickle.dumps(file))

    assert twin == file
    assert (twin.filename, twin.size, twin.checksum) == (file.filename, file.size, file.checksum)
    assert (twin.metadata, twin.last_modified, twin.state) == (file.metadata, file.last_modified, file.state)


async def test_a_pickle_is_read_with_the_default_registry(file: FileObject, memory: ObstoreBackend) -> None:
    """Where a pickle is read, its backend is looked up in that process's registry."""
    storages.register_backend(memory)
    try:
        twin: FileObject = pickle.loads(pickle.dumps(file))

        assert await twin.get_content_async() == b"hello"
    finally:
        storages.unregister_backend("memory")


def test_a_pending_file_cannot_be_pickled() -> None:
    """Content can't travel, so pickling a file that is not stored is a clear error."""
    with pytest.raises(PendingContentError, match="Save it first"):
        pickle.dumps(FileObject(filename="a.txt", content=b"x"))


async def test_copy_inside_the_store(file: FileObject, memory: ObstoreBackend) -> None:
    """A copy of the bytes is another object with the same name, type, metadata and checksum."""
    twin = await file.copy_async()

    assert twin != file
    assert await twin.get_content_async() == b"hello"
    assert (twin.filename, twin.content_type, twin.metadata) == (file.filename, file.content_type, file.metadata)
    assert (twin.checksum, twin.size, twin.custody.fresh) == (file.checksum, 5, True)
    assert {info.path async for info in memory.list()} == {file.path, twin.path}


def test_text_and_dict(registry: StorageRegistry) -> None:
    """As text it is its filename, and as a dict all that is known of it but the backend."""
    file = FileObject("memory", "a.txt", content=b"hello", metadata={"a": "1"}, registry=registry).save()
    file.update_metadata({"b": "2"})
    known = file.to_dict()

    assert f"{file}" == "a.txt"
    assert (known["filename"], known["content_type"], known["size"]) == ("a.txt", "text/plain", 5)
    assert (known["path"], known["checksum"], known["metadata"]) == (file.path, file.checksum, {"a": "1", "b": "2"})
    assert json.loads(json.dumps(known)) == known


def test_of(registry: StorageRegistry) -> None:
    """It is made of an upload, and is itself; of anything else it is not made."""
    upload = UploadFile(io.BytesIO(b"x"), filename="a.png", headers=Headers({"content-type": "image/png"}))
    file = FileObject.of(upload)

    assert (file.filename, file.content_type) == ("a.png", "image/png")
    assert FileObject.of(file) is file
    with pytest.raises(NotAFileError, match="can't hold a bytes"):
        FileObject.of(b"x")
