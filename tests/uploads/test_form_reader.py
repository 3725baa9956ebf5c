"""Forms as they come in: any cut of the bytes reads alike, and what is no form is refused in bounded memory."""

from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_filestore.errors import (
    InvalidFieldsError,
    MalformedUploadError,
    TooManyFilesError,
    UploadError,
    UploadTooLargeError,
)
from fastapi_filestore.intake.forms.limits import FormLimits
from fastapi_filestore.intake.forms.multipart import FormReader
from fastapi_filestore.intake.forms.part_head import read_head

LIMITS = FormLimits(file_size=100_000, fields=5, field_size=1000, files=3)
TYPE = "multipart/form-data; boundary=b"
END = b"--b--\r\n"


def part(disposition: bytes, content: bytes = b"x", headers: bytes = b"") -> bytes:
    """Write one part of a form."""
    return b"--b\r\nContent-Disposition: form-data; " + disposition + b"\r\n" + headers + b"\r\n" + content + b"\r\n"


TEXT = part(b'name="title"', "Bericht ä".encode())
FILE = part(b'name="file"; filename="a.txt"', b"\r\n--B not yet\r\n--", b"Content-Type: text/plain\r\n")
FORM = b"\r\n" + TEXT + FILE + part(b'name="late"', b"1") + END + b"epilogue"

Read = tuple[dict[str, str], list[tuple[str, str | None, bytes]]]


async def read(body: bytes, *, cut: int = 65536, limits: FormLimits = LIMITS, content_type: str = TYPE) -> Read:
    """Read a form that comes in pieces of a size."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), cut):
            yield body[start : start + cut]

    reader = FormReader(pieces(), content_type=content_type, limits=limits)
    files = []
    while head := await reader.next_file():
        files.append(
            (head.filename or "", head.content_type, b"".join([chunk async for chunk in reader.file_chunks()]))
        )
    return reader.fields, files


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 64, 65536])
async def test_any_cut_reads_alike(cut: int) -> None:
    """Fields before and after the file, and bytes that look like a boundary, are the same however they arrive."""
    fields, files = await read(FORM, cut=cut)

    assert fields == {"title": "Bericht ä", "late": "1"}
    assert files == [("a.txt", "text/plain", b"\r\n--B not yet\r\n--")]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=3), st.integers(1, 400))
async def test_any_bytes_survive(contents: list[bytes], cut: int) -> None:
    """Whatever a file holds, but its boundary, comes out as it went in."""
    contents = [content for content in contents if b"\r\n--b" not in content]
    body = b"".join(part(b'name="f"; filename="n"', content) for content in contents) + END

    assert [content for _, _, content in (await read(body, cut=cut))[1]] == contents


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.integers(0, len(FORM)), st.integers(1, 100))
async def test_noise_is_a_form_or_an_upload_error(noise: bytes, at: int, cut: int) -> None:
    """Bytes that no client would send are read, or refused as a client's fault: never anything else."""
    with suppress(UploadError, InvalidFieldsError):
        await read(FORM[:at] + noise + FORM[at:], cut=cut)


BAD: dict[str, tuple[bytes, type[Exception]]] = {
    "empty": (b"", MalformedUploadError),
    "no form": (b"hello", MalformedUploadError),
    "preamble without an end": (b"x" * 10_000 + FORM, MalformedUploadError),
    "boundary within a line": (b"This is a form. " + FORM[2:], MalformedUploadError),
    "padding without an end": (FORM[2:].replace(b"--b", b"--b" + b" " * 100, 1), MalformedUploadError),
    "lines that end with LF": (FORM.replace(b"\r\n", b"\n"), MalformedUploadError),
    "cut before the last boundary": (TEXT + FILE, MalformedUploadError),
    "cut in a file": (FORM[:120], MalformedUploadError),
    "no name": (part(b"") + END, MalformedUploadError),
    "no disposition": (b"--b\r\nContent-Type: a/b\r\n\r\nx\r\n" + END, MalformedUploadError),
    "attachment": (FORM.replace(b"form-data", b"attachment"), MalformedUploadError),
    "two names": (part(b'name="a"; name="b"') + END, MalformedUploadError),
    "two filenames": (part(b'name="a"; filename="b"; filename="c"') + END, MalformedUploadError),
    "two dispositions": (
        part(b'name="a"', headers=b"Content-Disposition: form-data; name=b\r\n") + END,
        MalformedUploadError,
    ),
    "two types": (part(b'name="a"', headers=b"Content-Type: a/b\r\ncontent-type: c/d\r\n") + END, MalformedUploadError),
    "open quote": (part(b'name="a') + END, MalformedUploadError),
    "base64": (part(b'name="a"', headers=b"Content-Transfer-Encoding: base64\r\n") + END, MalformedUploadError),
    "many headers": (part(b'name="a"', headers=b"X: y\r\n" * 20) + END, MalformedUploadError),
    "endless header": (part(b'name="a"', headers=b"X: " + b"y" * 9000 + b"\r\n") + END, MalformedUploadError),
    "many fields": (b"".join(part(b"name=f%d" % n) for n in range(6)) + END, MalformedUploadError),
    "many empty choices": (part(b'name="f"; filename=""', b"") * 6 + END, MalformedUploadError),
    "long field": (part(b"name=f", b"x" * 1001) + END, UploadTooLargeError),
    "long empty choice": (part(b'name=f; filename=""', b"x" * 1001) + END, UploadTooLargeError),
    "long file": (part(b"name=f; filename=n", b"x" * 100_001) + END, UploadTooLargeError),
    "many files": (FILE * 4 + END, TooManyFilesError),
    "field twice": (TEXT + FILE + TEXT + END, InvalidFieldsError),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("cut", [5, 65536])
async def test_a_bad_form_is_refused(case: str, cut: int) -> None:
    """Each is the fitting error, also after a file."""
    body, error = BAD[case]

    with pytest.raises(error):
        await read(body, cut=cut)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 71,
        "multipart/form-data; boundary=b; boundary=c",
        'multipart/form-data; boundary="a\\r"',
        'multipart/form-data; boundary="b "',
        "multipart/form-data; boundary=b; charset=utf-7",
        "multipart/form-data; boundary=b; charset=undefined",
        'multipart/form-data; boundary="b',
    ],
)
async def test_a_type_that_describes_no_form_is_refused(content_type: str) -> None:
    """A boundary is there, once, and the form's own, and the charset one that forms are in."""
    with pytest.raises(MalformedUploadError):
        await read(FORM, content_type=content_type)


async def test_text_may_be_in_an_older_charset() -> None:
    """A declared Latin-1 is decoded as such, and undeclared bytes that are no UTF-8 are taken for it."""
    body = part(b'name="a"', "ä".encode("latin-1")) + END

    assert (await read(body, content_type=f"{TYPE}; charset=ISO-8859-1"))[0] == {"a": "ä"}
    assert (await read(body))[0] == {"a": "ä"}


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        (b'form-data; name="f"; filename="a.txt"', "a.txt"),
        (b"form-data;name=f;filename=a.txt", "a.txt"),
        (b'FORM-DATA; NAME="f" ; FileName="a;b.txt";', "a;b.txt"),
        (b'form-data; name="f"; filename="a%22b.txt"', 'a"b.txt'),
        (b'form-data; name="f"; filename="a%2fb.txt"', "a%2fb.txt"),
        (rb'form-data; name="f"; filename="a\"b.txt"', 'a"b.txt'),
        (rb'form-data; name="f"; filename="C:\temp\a.txt"', r"C:\temp\a.txt"),
        ('form-data; name="f"; filename="größe.txt"'.encode(), "größe.txt"),
        (b'form-data; name="f"; filename="a.txt"; filename*=UTF-8\'\'evil.exe', "a.txt"),
        (b'form-data; name="f"; filename="b.txt"; filename*=UTF-8\'\'a.txt', "a.txt"),
        (b'form-data; name="f"; filename=""; filename*=UTF-8\'\'evil.exe', ""),
        (b"form-data; name=\"f\"; filename*=UTF-8''a.txt", "a.txt"),
        (b'form-data; name="f"; filename=""', ""),
        (b'form-data; name="f"', None),
    ],
)
def test_names_are_read_as_browsers_write_them(disposition: bytes, filename: str | None) -> None:
    """Quotes, escapes and any script are understood; `filename*`, which no form may have, changes no ending."""
    head = read_head([(b"content-disposition", disposition)])

    assert (head.name, head.filename) == ("f", filename)


async def test_an_empty_choice_is_no_file() -> None:
    """A browser's file input that nobody used is neither a file nor a field."""
    assert await read(part(b'name="f"; filename=""', b"") + TEXT + END) == ({"title": "Bericht ä"}, [])


async def test_a_file_comes_in_large_chunks() -> None:
    """Small pieces are joined, so that each chunk is worth a thread's time."""
    size = 3_000_000
    body = part(b"name=f; filename=n", b"x" * size) + END

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 60_000):
            yield body[start : start + 60_000]

    reader = FormReader(pieces(), content_type=TYPE, limits=FormLimits(size, 1, 1))
    await reader.next_file()
    sizes = [len(chunk) async for chunk in reader.file_chunks()]

    assert sum(sizes) == size
    assert all(size >= 64 * 1024 for size in sizes[:-1])
