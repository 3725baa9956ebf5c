"""Names in archives: any text becomes one that every system can unpack, beside all the others."""

import ntpath
import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_filestore.web.serving.zip_names import MAX_FOLDER_BYTES, ZipNames

PIECES = st.sampled_from(
    [
        *"aAäß./\\: \0\n\u200b\u202e",
        "a\u0308",
        "..",
        "../",
        "CON",
        "nul",
        "com1",
        ".txt",
        "C:",
        "x" * 250,
        "\u017f",
        "\ud800",
    ]
)
PATHS = st.lists(PIECES | st.text(max_size=3), max_size=8).map("".join)


@given(st.lists(PATHS, max_size=12))
def test_every_name_is_safe_and_its_own(paths: list[str]) -> None:
    """No name leaves the folder, is forbidden or too long somewhere, or is the same as, or a folder of, another one."""
    names = ZipNames()
    chosen = [names.choose(path) for path in paths]
    same = [unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold()) for name in chosen]

    assert len(set(same)) == len(paths)
    folders = {str(folder) for name in same for folder in list(PurePosixPath(name).parents)[:-1]}
    assert not folders & set(same)
    for name in chosen:
        parts = name.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert not re.search(r'[<>:"|?*\\\x00-\x1f\x7f\u202a-\u202e]', name)
        assert not any(part[-1] in ". " or part[0] == " " or len(part.encode()) > 255 for part in parts)
        assert not any(_is_device(part) for part in parts)
        assert len(name.encode()) <= MAX_FOLDER_BYTES + 255
        assert not PureWindowsPath(name).drive
        assert not name.startswith("/")
        assert unicodedata.is_normalized("NFC", name) or not name.isprintable()


def _is_device(part: str) -> bool:
    known = getattr(ntpath, "isreserved", lambda name: PureWindowsPath(name).is_reserved())
    return bool(known(part))


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a.pdf", "a.pdf", "A.PDF"], ["a.pdf", "a (2).pdf", "A (3).PDF"]),
        (["ä.txt", "a\u0308.txt"], ["ä.txt", "ä (2).txt"]),
        (["a (2).txt", "a.txt", "a.txt"], ["a (2).txt", "a.txt", "a (3).txt"]),
        (["a", "a/b", "a/c"], ["a", "a (2)/b", "a (2)/c"]),
        (["a/b", "a", "A/c"], ["a/b", "a (2)", "a/c"]),
        (["2026/May/x.pdf", "2026/May/x.pdf"], ["2026/May/x.pdf", "2026/May/x (2).pdf"]),
        (["../../etc/passwd", "/etc/passwd"], ["etc/passwd", "etc/passwd (2)"]),
        ([r"C:\Windows\x", "con.txt", "C\u200bON", "LPT¹ .a"], ["C_/Windows/x", "_con.txt", "_CON", "_LPT¹ .a"]),
        (["what?.txt", "a:b", "end. ", "..."], ["what_.txt", "a_b", "end", "file"]),
        (["x" * 300 + ".pdf"] * 2, ["x" * 251 + ".pdf", "x" * 239 + " (2).pdf"]),
    ],
)
def test_what_becomes_of_names(paths: list[str], names: list[str]) -> None:
    """Names stay as they are as far as every system allows, and a number tells one from another."""
    chosen = ZipNames()

    assert [chosen.choose(path) for path in paths] == names


def test_many_files_of_one_name_cost_linear_time() -> None:
    """Numbers are counted on, and not tried from the first again: 20,000 of long names alike take no time."""
    names = ZipNames()
    paths = [f"{'x' * 246}{number % 50:02}.jpg" for number in range(20_000)]

    assert len({names.choose(path) for path in paths}) == len(paths)
