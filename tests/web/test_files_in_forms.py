"""Files in forms: how large they may be, and what is kept of their names and types."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.middleware.gzip import GZipMiddleware

from fastapi_filestore import Filestore
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.parts import END, MULTIPART, TITLE, part, strict
from tests.web.site import Site, problem_in

__all__ = ["strict"]


async def test_an_empty_file_is_a_file(site: Site) -> None:
    """A file of no bytes is stored, and downloaded as such."""
    created = await site.upload(content=b"")
    download = await site.client.get(created.json()["file"]["url"])

    assert (created.status_code, created.json()["file"]["size"]) == (201, 0)
    assert (download.status_code, download.content, download.headers["content-length"]) == (200, b"", "0")


async def test_a_file_at_the_limit_is_accepted(strict: Site) -> None:
    """The limit is the largest size that is accepted, and one byte more is not."""
    accepted = await strict.upload(content=b"x" * 10_000)
    refused = problem_in(await strict.upload(title="u", content=b"x" * 10_001), 413, "upload-too-large")

    assert accepted.status_code == 201
    assert refused["limit"] == 10_000


@pytest.mark.parametrize("declared", [True, False])
async def test_an_oversized_body_is_not_read_to_its_end(strict: Site, declared: bool) -> None:
    """With a Content-Length only the head of the file is read before the answer; chunked, the limit and a chunk."""
    sent, answered = 0, False

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield TITLE + part()[:-3]
        while sent < 50_000_000:
            sent += 1000
            yield b"x" * 1000

    headers = {"content-type": MULTIPART} | ({"content-length": "50000000"} if declared else {})
    received = 0

    async def counted(scope: Any, receive: Any, send: Any) -> None:
        async def count() -> Any:
            nonlocal received
            message = await receive()
            received += 0 if answered else len(message.get("body", b""))
            return message

        async def note(message: Any) -> None:
            nonlocal answered
            answered = True
            await send(message)

        await strict.app(scope, count, note)

    strict.client._transport.app = counted  # type: ignore[attr-defined]  # noqa: SLF001
    response = await strict.client.post("/documents/", content=endless(), headers=headers)

    problem_in(response, 413, "upload-too-large")
    assert received <= (1000 if declared else 10_000 + 2000)
    await strict.check_empty()


NAMES: dict[str, tuple[bytes, str]] = {
    "traversal": (b"../../etc/passwd", "passwd"),
    "windows path": (rb"C:\\Users\\me\\cv.pdf", "cv.pdf"),
    "dots": (b"..", "file"),
    "absolute": (b"/etc/shadow", "shadow"),
    "encoded traversal": (b"%2e%2e%2fpasswd", "%2e%2e%2fpasswd"),
    "right to left": ("exe.\u202egnp.txt".encode(), "exe.gnp.txt"),
    "quote": (b"a%22b.txt", 'a"b.txt'),
    "backslash quote": (rb"a\"b.txt", "b.txt"),
    "umlaut": ("größe.txt".encode(), "größe.txt"),
    "emoji": ("🎉.txt".encode(), "🎉.txt"),
    "latin-1": (b"gr\xf6\xdfe.txt", "größe.txt"),
    "NUL": (b"a\x00b.txt", "ab.txt"),
    "lone surrogate": (b"a\xed\xa0\x80b.txt", "a"),
    "blank": (b"   ", "file"),
}


@pytest.mark.parametrize("case", NAMES)
async def test_a_name_is_data_only(site: Site, case: str) -> None:
    """A name is made safe, kept, and sent with the download; the object's key has nothing of it."""
    sent, _kept = NAMES[case]
    body = TITLE + part(filename=sent) + END
    created = await site.client.post("/documents/", content=body, headers={"content-type": MULTIPART})
    name = created.json()["file"]["filename"]
    download = await site.client.get(created.json()["file"]["url"])

    assert created.status_code == 201
    assert not set(name) & set("/\\\r\n\0\u202e")
    assert download.content == b"x"
    assert "\n" not in download.headers["content-disposition"]
    assert all(key.isascii() and len(key) == 35 for key in await site.keys())


async def test_a_name_of_four_kilobytes_is_cut(site: Site) -> None:
    """A very long name keeps its ending and fits into 255 bytes."""
    created = await site.upload(filename="ü" * 2000 + ".tar.gz")
    name = created.json()["file"]["filename"]

    assert created.status_code == 201
    assert name.endswith(".gz")
    assert len(name.encode()) <= 255


async def test_line_breaks_in_a_name_end_no_header(site: Site) -> None:
    """A part header can't be smuggled in with a name."""
    body = TITLE + part(filename=b'a.txt"\r\nContent-Type: text/html\r\nX: "') + END
    response = await site.client.post("/documents/", content=body, headers={"content-type": MULTIPART})
    download = await site.client.get("/documents/1/file")

    assert response.status_code == 201
    assert download.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("sent", "stored", "disposition"),
    [
        (b"application/pdf", "application/pdf", "inline"),
        (b"TEXT/HTML", "TEXT/HTML", "attachment"),
        (b"image/svg+xml", "image/svg+xml", "attachment"),
        (b"text/html; image/png", "text/html; image/png", "attachment"),
        (b"image/png, text/html", "text/plain", "inline"),
        (b"nonsense", "text/plain", "inline"),
        (b"a/b\x01", "text/plain", "inline"),
        (b"", "text/plain", "inline"),
        ("text/plän".encode(), "text/plain", "inline"),
        (b"x/" + b"y" * 200, "text/plain", "inline"),
    ],
)
async def test_a_type_is_kept_only_if_it_is_one(site: Site, sent: bytes, stored: str, disposition: str) -> None:
    """A declared type that is none is guessed from the name; one that may run a script is a download."""
    body = TITLE + part(headers=b"Content-Type: " + sent + b"\r\n") + END
    created = await site.client.post("/documents/", content=body, headers={"content-type": MULTIPART})
    download = await site.client.get("/documents/1/file")

    assert created.json()["file"]["content_type"] == stored
    assert download.headers["content-disposition"].startswith(disposition)
    assert download.headers["x-content-type-options"] == "nosniff"


async def test_middleware_hears_a_refusal(serve: Serve) -> None:
    """Middleware that wraps requests and answers passes a refusal of an unread body on, compressed or not."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Document), prefix="/documents")
        app.add_middleware(GZipMiddleware, minimum_size=1)

        @app.middleware("http")
        async def stamp(request: Request, call_next: Any) -> Any:
            response = await call_next(request)
            response.headers["X-Stamp"] = "yes"
            return response

    async with serve(build=build) as site:
        headers = {"content-type": "text/css; not=a form", "content-length": "200000"}
        response = await site.client.put("/documents/9/file", content=b"x" * 200_000, headers=headers)

        problem_in(response, 404, "row-not-found")
        assert response.headers["x-stamp"] == "yes"
