"""Forms as clients really send them are read as they mean it, and what can't be read is told as what it is."""

from collections.abc import AsyncIterator

import pytest

from fastapi_filestore.errors import (
    InvalidFieldsError,
    MalformedUploadError,
    MissingFileError,
    TooManyFilesError,
    UploadTooLargeError,
)
from fastapi_filestore.intake.forms.limits import FormLimits
from fastapi_filestore.intake.forms.multipart import FormReader
from tests.uploads.clients import CLIENTS

LIMITS = FormLimits(file_size=1000, fields=5, field_size=500, files=1)


async def read(
    sent: bytes, content_type: str, cut: int = 65536
) -> tuple[dict[str, str], list[tuple[str, str | None, str | None, bytes]]]:
    """Read a form."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(sent), cut):
            yield sent[start : start + cut]

    reader = FormReader(
        pieces(), content_type=content_type, limits=LIMITS, file_field="file", known={"title", "meta", "file"}
    )
    files = []
    while head := await reader.next_file():
        files.append(
            (head.name, head.filename, head.content_type, b"".join([part async for part in reader.file_chunks()]))
        )
    return reader.fields, files


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("cut", [7, 65536])
async def test_what_a_client_sends_is_read_as_it_means_it(client: str, cut: int) -> None:
    """Names, charsets and bytes are those that the client had, whatever it makes of them on the wire."""
    sent = CLIENTS[client]
    fields, files = await read(sent.body(), sent.content_type, cut)

    assert files == [("file", sent.filename, sent.declared, b"hello")]
    assert fields == ({"title": sent.title} if sent.title else {}) | sent.fields


def part(name: str, content: bytes, declared: str | None, filename: str = "blob") -> bytes:
    """Write a part as browsers write a `Blob`."""
    head = f'--X\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
    return (head + (f"Content-Type: {declared}\r\n" if declared else "")).encode() + b"\r\n" + content + b"\r\n"


FILE = part("file", b"hello", "text/plain", "a.txt")


@pytest.mark.parametrize(
    ("content", "declared"),
    [
        ('{"größe": 1}'.encode(), "application/json"),
        ('{"größe": 1}'.encode("utf-16"), "text/plain; charset=utf-16"),
        (b"{}", "application/octet-stream"),
        (b"", None),
    ],
)
async def test_a_blob_of_text_is_a_field(content: bytes, declared: str | None) -> None:
    """A browser gives each `Blob` a filename; in a field that is known it is text, before the file and behind it."""
    meta = part("meta", content, declared)
    value = content.decode("utf-16" if "16" in (declared or "") else "utf-8")

    for sent in (meta + FILE, FILE + meta):
        fields, files = await read(sent + b"--X--\r\n", "multipart/form-data; boundary=X")
        assert (fields, [name for name, *_ in files]) == ({"meta": value}, ["file"])


REFUSED: dict[str, tuple[bytes, str, type[Exception], str]] = {
    "fetch, with a Content-Type set by hand": (b"--X\r\n", "multipart/form-data", MalformedUploadError, "by itself"),
    "a boundary that is not the body's": (b"--Y\r\n", "multipart/form-data; boundary=X", MalformedUploadError, "begin"),
    "a here document of a shell": (
        b'--X\nContent-Disposition: form-data; name="file"; filename="a"\n\nx\n--X--\n',
        "multipart/form-data; boundary=X",
        MalformedUploadError,
        "end with LF alone",
    ),
    "a file without a filename, larger than a field": (
        b'--X\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + b"x" * 600 + b"\r\n--X--\r\n",
        "multipart/form-data; boundary=X",
        MissingFileError,
        "'file' has no filename",
    ),
    "a field that is too large": (
        b'--X\r\nContent-Disposition: form-data; name="note"\r\n\r\n' + b"x" * 600 + b"\r\n--X--\r\n",
        "multipart/form-data; boundary=X",
        UploadTooLargeError,
        "field 'note'",
    ),
    "a name that goes on behind its quotes": (
        b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.jpg".html\r\n\r\nx\r\n--X--\r\n',
        "multipart/form-data; boundary=X",
        MalformedUploadError,
        "each must be",
    ),
    "text in an unknown charset": (
        b'--X\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: ;charset=x-none\r\n\r\n\xe4\r\n--X--\r\n',
        "multipart/form-data; boundary=X",
        MalformedUploadError,
        "'a' is in the charset 'x-none'",
    ),
    "a form in an unknown charset": (
        b'--X\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\nx-none\r\n--X--\r\n',
        "multipart/form-data; boundary=X",
        MalformedUploadError,
        "charset 'x-none'",
    ),
    "Netty, several files in its mixed mode": (
        b"--X\r\nContent-Disposition: form-data; name=f\r\nContent-Type: multipart/mixed; boundary=Y\r\n\r\n--Y\r\n",
        "multipart/form-data; boundary=X",
        MalformedUploadError,
        "'f' is a multipart/mixed of several files",
    ),
    "a picture where text is taken": (
        part("meta", b"hello", "image/png", "a.png") + FILE,
        "multipart/form-data; boundary=X",
        InvalidFieldsError,
        r"meta: A file came here \(filename='a.png', Content-Type: image/png\), where text is taken",
    ),
    "bytes where text is taken": (
        part("meta", b"\x89PNG", "application/octet-stream") + FILE,
        "multipart/form-data; boundary=X",
        InvalidFieldsError,
        "meta: A file came here",
    ),
    "a blob of text that is larger than a field": (
        part("meta", b"x" * 600, "application/json") + FILE,
        "multipart/form-data; boundary=X",
        UploadTooLargeError,
        "field 'meta'",
    ),
    "a second file in a field of its own": (
        FILE + part("cover", b"x", "image/png"),
        "multipart/form-data; boundary=X",
        TooManyFilesError,
        "in the field 'file': leave out the one in the field 'cover'",
    ),
    "a name of which a piece is missing": (
        b"--X\r\nContent-Disposition: form-data; name=file; filename*0=a; filename*2=b\r\n\r\n",
        "multipart/form-data; boundary=X",
        MalformedUploadError,
        "'filename' in pieces",
    ),
    "a name of which a piece comes twice": (
        b"--X\r\nContent-Disposition: form-data; name=file; filename*0=a; filename*0*=utf-8''b\r\n\r\n",
        "multipart/form-data; boundary=X",
        MalformedUploadError,
        "piece 0 of the parameter 'filename' twice",
    ),
    "a name in a charset that nobody knows": (
        b"--X\r\nContent-Disposition: form-data; name=file; filename*=x-none''a\r\n\r\n",
        "multipart/form-data; boundary=X",
        MalformedUploadError,
        r"filename\*=x-none''a",
    ),
    "a file in base64": (
        b"--X\r\nContent-Disposition: form-data; name=f; filename=a\r\nContent-Transfer-Encoding: BASE64\r\n\r\nQQ==",
        "multipart/form-data; boundary=X",
        MalformedUploadError,
        "base64; send plain bytes",
    ),
}
"""What can't be read, and the words that say why."""


@pytest.mark.parametrize("case", REFUSED)
async def test_what_cannot_be_read_is_told_as_what_it_is(case: str) -> None:
    """The error names what is wrong in the words of whoever wrote the client."""
    sent, content_type, error, said = REFUSED[case]

    with pytest.raises(error, match=said):
        await read(sent, content_type)
