"""A file's metadata: a dict that tells whoever watches it that it changed in place."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from fastapi_filestore import FileObject, UnsupportedContentError
from fastapi_filestore.file_object.metadata import Metadata


def _merge(metadata: Metadata) -> None:
    metadata |= {"b": "2"}


CHANGES: dict[str, tuple[Callable[[Metadata], Any], dict[str, str]]] = {
    "set": (lambda metadata: metadata.__setitem__("b", "2"), {"a": "1", "b": "2"}),
    "delete": (lambda metadata: metadata.__delitem__("a"), {}),
    "update": (lambda metadata: metadata.update({"b": "2"}), {"a": "1", "b": "2"}),
    "update by name": (lambda metadata: metadata.update(b="2"), {"a": "1", "b": "2"}),
    "merge": (_merge, {"a": "1", "b": "2"}),
    "clear": (lambda metadata: metadata.clear(), {}),
    "pop": (lambda metadata: metadata.pop("a"), {}),
    "popitem": (lambda metadata: metadata.popitem(), {}),
    "setdefault": (lambda metadata: metadata.setdefault("b", "2"), {"a": "1", "b": "2"}),
    "replace": (lambda metadata: metadata.replace({"b": "2"}), {"b": "2"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_told(change: str) -> None:
    """Every way to change a dict in place changes it as dict does, and is told."""
    metadata, told = Metadata({"a": "1"}), list[str]()
    metadata.watch("row", lambda *_: told.append("changed"))
    make, expected = CHANGES[change]
    make(metadata)

    assert metadata == expected
    assert told == ["changed"]


def test_a_watcher_is_told_once() -> None:
    """A row that watches twice is told once."""
    metadata, told = Metadata(), list[str]()
    for _ in range(2):
        metadata.watch("row", lambda *_: told.append("changed"))
    metadata["a"] = "1"

    assert told == ["changed"]


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_is_not_watched(duplicate: Callable[[Metadata], Metadata]) -> None:
    """A copy and a pickle have the values and no watcher."""
    metadata, told = Metadata({"a": "1"}), list[str]()
    metadata.watch("row", lambda *_: told.append("changed"))
    twin = duplicate(metadata)
    twin["a"] = "2"

    assert (metadata, twin, told) == ({"a": "1"}, {"a": "2"}, [])


@pytest.mark.parametrize(
    "change",
    [
        lambda metadata: metadata.__setitem__("n", 1),
        lambda metadata: metadata.__setitem__(1, "n"),
        lambda metadata: metadata.update(n=None),
        lambda metadata: metadata.setdefault("n", b"x"),
        lambda metadata: metadata.replace({"n": 1}),
    ],
)
def test_what_is_no_text_changes_nothing(change: Callable[[Any], Any]) -> None:
    """Metadata that changes in place takes text only, as that of a new file does."""
    file = FileObject(filename="a.txt", metadata={"k": "v"})
    with pytest.raises(UnsupportedContentError, match="text to text"):
        change(file.metadata)

    assert file.metadata == {"k": "v"}


def test_a_file_keeps_its_metadata_object() -> None:
    """Giving a file other metadata changes what is watched in place, and leaves what was given alone."""
    file, told = FileObject(filename="a.txt", metadata={"a": "1"}), list[str]()
    file.metadata.watch("row", lambda *_: told.append("changed"))
    given = {"b": "2"}
    file.metadata = given
    file.metadata["c"] = "3"

    assert file.metadata == {"b": "2", "c": "3"}
    assert given == {"b": "2"}
    assert told == ["changed", "changed"]


def test_a_name_and_a_type_are_told_and_checked() -> None:
    """A name or a type that is set is what the constructor would make of it, and whoever watches is told."""
    file, told = FileObject(filename="a.txt"), list[str]()
    file.metadata.watch("row", lambda *_: told.append("changed"))
    file.filename = "../b/renamed.pdf"
    file.content_type = "application/pdf"
    with pytest.raises(UnsupportedContentError, match="write it like 'application/pdf'"):
        file.content_type = "text/html\r\nX: y"

    assert (file.filename, file.content_type) == ("renamed.pdf", "application/pdf")
    assert told == ["changed", "changed"]
