"""What a client calls its file, and the media type that follows from it."""

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_filestore.intake.names import (
    MAX_FILENAME_BYTES,
    MAX_MEDIA_TYPE,
    guess_content_type,
    is_media_type,
    safe_filename,
)

HOSTILE = st.text(
    st.one_of(st.sampled_from("./\\ \x00\n\u202e\u200b\u00a0\u3000\ud800\u2028é😀"), st.characters()), max_size=400
)
LONG = st.builds(lambda text, times: text * times, st.text(min_size=1, max_size=5), st.integers(1, 300))
NAMES = st.one_of(HOSTILE, LONG)


@given(NAMES)
def test_no_folder_and_nothing_hidden(name: str) -> None:
    """A safe name has no folder, no control character, no override of direction and no lone surrogate."""
    safe = safe_filename(name)

    assert not set(safe) & set("/\\")
    assert safe.strip(". ") != ""
    assert not {unicodedata.category(character) for character in safe} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(NAMES)
def test_length(name: str) -> None:
    """A safe name can be saved on common file systems: between one and 255 bytes of UTF-8."""
    assert 1 <= len(safe_filename(name).encode()) <= MAX_FILENAME_BYTES


@given(NAMES)
def test_idempotence(name: str) -> None:
    """A safe name stays as it is."""
    assert safe_filename(safe_filename(name)) == safe_filename(name)


@given(NAMES, st.sampled_from(["pdf", "tar.gz", "jpeg", "ünï"]))
def test_the_extension_is_kept(name: str, extension: str) -> None:
    """However long or strange a name is, its extension stays."""
    assert safe_filename(f"{name}.{extension}").endswith(extension.rpartition(".")[2])


@pytest.mark.parametrize(
    "name", ["report.pdf", "My Report (1).pdf", "résumé.txt", "日本語.png", "a'b;c%20d.txt", ".env", "no ending"]
)
def test_ordinary_names(name: str) -> None:
    """An ordinary name in any language is kept as it is."""
    assert safe_filename(name) == name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\cv.pdf", "cv.pdf"),
        ("/absolute.txt", "absolute.txt"),
        ("a\r\nSet-Cookie: x.txt", "aSet-Cookie: x.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("nul\x00.txt", "nul.txt"),
        ("lone\ud800.txt", "lone.txt"),
        ("  spaces.txt  ", "spaces.txt"),
        ("", "file"),
        (".", "file"),
        ("..", "file"),
        ("../", "file"),
        ("\u00a0..", "file"),
        (" . . ", "file"),
        ("\u200b", "file"),
    ],
    ids=ascii,
)
def test_hostile_names(name: str, safe: str) -> None:
    """Known tricks lose their effect."""
    assert safe_filename(name) == safe


@pytest.mark.parametrize("name", ["a" * 4096, "ü" * 4096, "a" * 254 + " b", "." * 300 + "x" * 30, "x." + "y" * 4096])
def test_long_names(name: str) -> None:
    """A name of 4 KB is shortened within whole characters, and has no space at its new end."""
    safe = safe_filename(name)

    assert len(safe.encode()) <= MAX_FILENAME_BYTES
    assert safe == safe.strip() == safe_filename(safe)
    assert safe == "file" or safe in name


@pytest.mark.parametrize(
    ("filename", "content_type"),
    [
        ("a.pdf", "application/pdf"),
        ("a.PDF", "application/pdf"),
        ("a.txt", "text/plain"),
        ("a.jpg", "image/jpeg"),
        ("a.webp", "image/webp"),
        ("a.html", "text/html"),
        ("a.tar.gz", "application/gzip"),
        ("a.html.gz", "application/gzip"),
        ("a.svgz", "application/gzip"),
        ("a.tar.bz2", "application/x-bzip2"),
        ("a.txt.xz", "application/x-xz"),
        ("a.html.Z", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("pdf", "application/octet-stream"),
        ("data:,a.pdf", "application/pdf"),
        ("data:text;a=b", "application/octet-stream"),
        ("http:a.pdf", "application/pdf"),
        ("", "application/octet-stream"),
    ],
)
def test_guessing(filename: str, content_type: str) -> None:
    """The type is that of the bytes: what is compressed is not what is inside, and a name is never read as a URL."""
    assert guess_content_type(filename) == content_type


FOREIGN = """
import mimetypes
mimetypes.knownfiles.append({path!r})
mimetypes.add_type("x/early", ".early")
mimetypes.init()
from fastapi_filestore.intake.names import guess_content_type
mimetypes.add_type("x/late", ".late")
print(*map(guess_content_type, ["a.pdf", "a.machine", "a.early", "a.late"]))
"""


def test_guessing_is_independent_of_the_machine(tmp_path: Path) -> None:
    """What the machine or the application adds to Python's table changes nothing that is stored."""
    path = tmp_path / "mime.types"
    path.write_text("x/pdf pdf\nx/machine machine\n")
    run = subprocess.run(
        [sys.executable, "-c", FOREIGN.format(path=str(path))], capture_output=True, text=True, check=True
    )

    assert run.stdout.split() == ["application/pdf", *["application/octet-stream"] * 3]


@pytest.mark.parametrize(
    "text",
    [
        "text/plain",
        "image/svg+xml",
        "application/vnd.oasis.opendocument.text",
        "text/plain; charset=utf-8",
        "a/b;c=d",
        "a/b;".ljust(MAX_MEDIA_TYPE, "c"),
    ],
)
def test_media_types(text: str) -> None:
    """A media type as the RFC spells it is one, with parameters as well."""
    assert is_media_type(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "text/",
        "/plain",
        "a/b/c",
        "a b/c",
        "a/b\n",
        "a/b;\r\nX: y",
        "a/b; é",
        "*/*;\x7f",
        "a" * 128 + "/b",
        "a/b;".ljust(MAX_MEDIA_TYPE + 1, "c"),
    ],
)
def test_no_media_types(text: str) -> None:
    """Anything else is none, above all what would begin a new header."""
    assert not is_media_type(text)


@given(st.from_regex(r"\A[a-z]+/[a-z]+[ \t]*;.*", alphabet=st.characters(max_codepoint=300)))
def test_a_media_type_fits_a_header(text: str) -> None:
    """Whatever is taken for a media type is printable ASCII."""
    assert not is_media_type(text) or (text.isascii() and text.isprintable())
