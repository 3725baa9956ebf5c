"""The folder that a client had a file in: made safe, and bounded."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_filestore.intake.folders import MAX_FOLDER_BYTES, PATH_FIELDS, folder_of, safe_folder

PIECES = st.sampled_from([*"a/\\.: \0\n\u202e", "..", "../", "//", "C:\\", "ä", "x" * 300, "\ud800"])
PATHS = st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join)


@given(PATHS, PATHS)
def test_a_folder_is_safe(filename: str, path: str) -> None:
    """Whatever is sent, it is a short relative path without ways up, hidden characters or empty names."""
    folder = folder_of(filename, {"relativePath": path})
    names = folder.split("/") if folder else []

    assert not {"", ".", ".."} & set(names)
    assert len(folder.encode()) <= MAX_FOLDER_BYTES
    assert "\\" not in folder
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Cs"} for char in folder)
    assert safe_folder(folder) == folder


@pytest.mark.parametrize(
    ("filename", "folder"),
    [
        ("a.jpg", ""),
        ("photos/2026/a.jpg", "photos/2026"),
        (r"photos\2026\a.jpg", "photos/2026"),
        ("/photos/a.jpg", "photos"),
        ("./photos/./a.jpg", "photos"),
        ("photos/../../etc/a.jpg", "etc"),
        ("../../../etc/passwd", "etc"),
        (r"C:\fakepath\a.jpg", ""),
        ("c:/Users/bob/a.jpg", ""),
        (r"\\server\share\a.jpg", ""),
        ("photos/", "photos"),
        (" photos / 2026 /a.jpg", "photos/2026"),
        ("größe/表/a.jpg", "größe/表"),
        ("/".join(["d" * 99] * 9) + "/a.jpg", "/".join(["d" * 99] * 6)),
    ],
)
def test_the_folder_in_a_name(filename: str, folder: str) -> None:
    """What is before the name is the folder; where a client's own disk has it is nobody's business."""
    assert folder_of(filename, {}) == folder


@pytest.mark.parametrize("field", PATH_FIELDS)
def test_the_folder_in_a_field(field: str) -> None:
    """A field has the path with the name, and the name of the file comes first if it has one."""
    assert folder_of("a.jpg", {field: "photos/a.jpg"}) == "photos"
    assert folder_of("a.jpg", {field: "/photos/2026/b.jpg"}) == "photos/2026"
    assert folder_of("own/a.jpg", {field: "photos/a.jpg"}) == "own"
    assert folder_of("a.jpg", {field: "null"}) == folder_of("a.jpg", {field: ""}) == ""
