"""Header values, held to their RFCs by a table."""

from datetime import UTC, datetime
from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_filestore import FileObject
from fastapi_filestore.intake.disposition import content_disposition, disposition_of, served_type
from fastapi_filestore.intake.names import safe_filename
from fastapi_filestore.web.serving.headers import file_headers, validators_of

DISPOSITIONS = [
    ("a.txt", 'attachment; filename="a.txt"'),
    ("two words.txt", 'attachment; filename="two words.txt"'),
    ("größe.txt", "attachment; filename=\"gr__e.txt\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.txt"),
    ("日本.pdf", "attachment; filename=\"__.pdf\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.pdf"),
    ("🎉", "attachment; filename=\"_\"; filename*=UTF-8''%F0%9F%8E%89"),
    ("مرحبا.txt", "attachment; filename=\"_____.txt\"; filename*=UTF-8''%D9%85%D8%B1%D8%AD%D8%A8%D8%A7.txt"),
    ('a"b.txt', "attachment; filename=\"a'b.txt\"; filename*=UTF-8''a%22b.txt"),
    ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
    ("why?.txt", "attachment; filename=\"why_.txt\"; filename*=UTF-8''why%3F.txt"),
    ("a;b=c.txt", 'attachment; filename="a;b=c.txt"'),
    ("it's(1)*.txt", 'attachment; filename="it\'s(1)*.txt"'),
]


@pytest.mark.parametrize(("filename", "header"), DISPOSITIONS)
def test_a_disposition_names_the_file_in_any_script(filename: str, header: str) -> None:
    """ASCII stands as it is; anything else has a plain fallback and the true name in UTF-8."""
    assert content_disposition(filename, inline=False) == header


@given(st.text(max_size=80))
def test_any_name_is_read_back_from_its_disposition(name: str) -> None:
    """Whatever a client called its file, the header is plain ASCII and a parser finds the kept name."""
    kept = safe_filename(name)
    header = content_disposition(kept, inline=True)
    message = Message()
    message["Content-Disposition"] = header
    parameter = message.get_param("filename", header="content-disposition")

    assert header.isascii()
    assert header.isprintable()
    if "filename*=" in header:
        assert unquote(header.rpartition("UTF-8''")[2], errors="strict") == kept
    else:
        assert parameter == kept


@pytest.mark.parametrize(
    ("content_type", "served", "inline"),
    [
        ("image/png", "image/png", True),
        ("IMAGE/PNG", "IMAGE/PNG", True),
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8", True),
        ("image/svg+xml", "image/svg+xml", False),
        ("text/html", "text/html", False),
        ("application/xhtml+xml", "application/xhtml+xml", False),
        ("multipart/related", "multipart/related", False),
        ("text/javascript", "application/octet-stream", False),
        ("TEXT/JavaScript1.5 ; charset=utf-8", "application/octet-stream", False),
        ("application/x-ecmascript", "application/octet-stream", False),
        ("text/typescript", "text/typescript", False),
        ("image/png; x, text/html", "application/octet-stream", False),
        ("text/html\r\nX: y", "application/octet-stream", False),
        ("täxt/plain", "application/octet-stream", False),
        ("", "application/octet-stream", False),
    ],
)
def test_a_type_is_served_only_if_no_browser_can_misread_it(content_type: str, served: str, inline: bool) -> None:
    """Rows of another library may hold any text; a header gets a media type, in place only if it runs no script."""
    assert served_type(content_type) == served
    assert disposition_of("a", content_type).startswith("inline") is inline


@pytest.mark.parametrize(
    "content_type",
    ["text/html", "image/png", "video/mp4", "Audio/WAV", "audio/x-html", "Application/PDF; x=y", "application/x-pdf"],
)
def test_no_policy_allows_a_script(content_type: str) -> None:
    """A file may load nothing, and is in a sandbox; a recording that is played may load recordings.

    A viewer of PDFs may load the document and have styles: without these, and in a sandbox, Safari shows nothing.
    """
    file = FileObject(filename="a", content_type=content_type)
    sandbox, *allowed = file_headers(file)["Content-Security-Policy"].split("; ")

    if content_type in {"video/mp4", "Audio/WAV"}:
        assert (sandbox, allowed) == ("default-src 'none'", ["media-src 'self'"])
    elif content_type == "Application/PDF; x=y":
        assert (sandbox, allowed) == ("default-src 'none'", ["object-src 'self'", "style-src 'unsafe-inline'"])
    else:
        assert (sandbox, allowed) == ("sandbox", ["default-src 'none'"])


@pytest.mark.parametrize(
    ("checksum", "etag", "tag"),
    [
        ("abc", '"store"', '"abc"'),
        (None, '"store"', '"store"'),
        (None, "store", '"store"'),
        (None, None, None),
        (None, 'a"b', None),
        (None, "ü", None),
        (None, "a\nb", None),
    ],
)
def test_an_entity_tag_is_strong_or_missing(checksum: str | None, etag: str | None, tag: str | None) -> None:
    """The checksum is the tag; without one the store's, if a header can carry it."""
    file = FileObject(filename="a")
    file.checksum, file.etag = checksum, etag

    assert validators_of(file).etag == tag


def test_a_date_is_written_as_http_does() -> None:
    """Last-Modified is in GMT."""
    file = FileObject(filename="a")
    file.last_modified = datetime(2026, 11, 22, 10, 0, 0, 5, UTC)

    assert file_headers(file)["Last-Modified"] == "Sun, 22 Nov 2026 10:00:00 GMT"
