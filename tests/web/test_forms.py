"""What a hostile or clumsy client may send, and the problem that it gets; nothing is ever left behind."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.middleware.gzip import GZipMiddleware

from fastapi_filestore import Filestore
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import Site, problem_in

MULTIPART = "multipart/form-data; boundary=b"
TITLE = b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nt\r\n'
END = b"--b--\r\n"


def part(
    name: bytes = b"file", filename: bytes | None = b"a.txt", content: bytes = b"x", headers: bytes = b""
) -> bytes:
    """Write one part of a form."""
    named = b"" if filename is None else b'; filename="' + filename + b'"'
    return (
        b'--b\r\nContent-Disposition: form-data; name="'
        + name
        + b'"'
        + named
        + b"\r\n"
        + headers
        + b"\r\n"
        + (content + b"\r\n")
    )


BODIES: dict[str, tuple[bytes, int, str]] = {
    "no file": (TITLE + END, 422, "missing-file"),
    "nothing but the end": (END, 422, "missing-file"),
    "wrong field": (TITLE + part(b"datei") + END, 422, "missing-file"),
    "file as text": (TITLE + part(filename=None) + END, 422, "missing-file"),
    "empty filename": (TITLE + part(filename=b"", content=b"") + END, 422, "missing-file"),
    "two files": (TITLE + part() * 2 + END, 422, "too-many-files"),
    "three files": (TITLE + part() * 3 + END, 422, "too-many-files"),
    "two file fields": (TITLE + part() + part(b"other") + END, 422, "too-many-files"),
    "a thousand files": (part() * 1000 + END, 422, "too-many-files"),
    "missing title": (part() + END, 422, "invalid-fields"),
    "field that is not the client's": (TITLE + part() + part(b"token", None) + END, 422, "invalid-fields"),
    "duplicate field": (TITLE * 2 + part() + END, 422, "invalid-fields"),
    "title too long": (part(b"title", None, b"t" * 41) + part() + END, 422, "invalid-fields"),
    "wrong enum": (TITLE + part(b"kind", None, b"novel") + part() + END, 422, "invalid-fields"),
    "wrong number": (TITLE + part(b"pages", None, b"many") + part() + END, 422, "invalid-fields"),
    "number too large": (TITLE + part(b"pages", None, b"9" * 30) + part() + END, 422, "invalid-fields"),
    "wrong date": (TITLE + part(b"day", None, b"2026-02-30") + part() + END, 422, "invalid-fields"),
    "field too large": (part(b"title", None, b"t" * 2001) + part() + END, 413, "upload-too-large"),
    "too many fields": (b"".join(part(b"f%d" % n, None) for n in range(6)) + part() + END, 400, "malformed-upload"),
    "part without a name": (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + END, 400, "malformed-upload"),
    "part without headers": (b"--b\r\n\r\nx\r\n" + END, 400, "malformed-upload"),
    "wrong boundary": (b"--c\r\n\r\nx\r\n--c--\r\n", 400, "malformed-upload"),
    "not multipart inside": (b"hello", 400, "malformed-upload"),
    "empty body": (b"", 400, "malformed-upload"),
    "cut in the headers": ((TITLE + part())[:60], 400, "malformed-upload"),
    "cut in the file": (TITLE + part(content=b"x" * 900)[:-500], 400, "malformed-upload"),
    "cut before the end": (part() + TITLE, 400, "malformed-upload"),
    "cut in the last field": (part() + TITLE + part(b"pages", None, b"12345")[:-4], 400, "malformed-upload"),
    "huge header": (part(headers=b"X-A: " + b"a" * 20_000 + b"\r\n") + END, 400, "malformed-upload"),
    "many headers": (part(headers=b"X: y\r\n" * 2000) + END, 400, "malformed-upload"),
    "file too large": (TITLE + part(content=b"x" * 10_001) + END, 413, "upload-too-large"),
    "file far too large": (TITLE + part(content=b"x" * 3_000_000) + END, 413, "upload-too-large"),
}


@pytest.fixture
async def strict(serve: Serve) -> AsyncIterator[Site]:
    """A site with low limits."""
    async with serve(max_upload_size=10_000, max_field_size=2000, max_form_fields=5, shared=True) as site:
        yield site


@pytest.mark.parametrize("case", BODIES)
async def test_a_bad_form_is_a_problem(strict: Site, case: str) -> None:
    """Each form is refused with its own status, and neither a row nor an object is left."""
    body, status, name = BODIES[case]
    response = await strict.client.post("/documents/", content=body, headers={"content-type": MULTIPART})

    problem_in(response, status, name)
    await strict.check_empty()


@pytest.mark.parametrize("case", [case for case in BODIES if case != "missing title"])
async def test_a_bad_form_replaces_nothing(strict: Site, case: str) -> None:
    """The same forms leave a row's file as it was; a replacement takes no field beside the file."""
    created = (await strict.upload(content=b"old")).json()
    headers = {"content-type": MULTIPART}
    response = await strict.client.put(created["file"]["url"], content=BODIES[case][0], headers=headers)

    assert response.status_code in {400, 413, 422}
    assert (await strict.client.get(created["file"]["url"])).content == b"old"
    await strict.check()


@pytest.mark.parametrize(
    ("content_type", "status", "name"),
    [
        (None, 415, "unsupported-upload"),
        ("", 415, "unsupported-upload"),
        ("application/json", 415, "unsupported-upload"),
        ("application/x-www-form-urlencoded", 415, "unsupported-upload"),
        ("multipart/mixed; boundary=b", 415, "unsupported-upload"),
        ("multipart/form-dataX; boundary=b", 415, "unsupported-upload"),
        ("multipart/form-data", 400, "malformed-upload"),
        ("multipart/form-data; boundary=", 400, "malformed-upload"),
        ("multipart/form-data; boundary=" + "b" * 5000, 400, "malformed-upload"),
        ("multipart/form-data; boundary=ü", 400, "malformed-upload"),
    ],
)
async def test_a_body_that_is_no_form_is_a_problem(
    site: Site, content_type: str | None, status: int, name: str
) -> None:
    """Only multipart/form-data with a boundary is read."""
    headers = {} if content_type is None else {b"content-type": content_type.encode()}
    response = await site.client.post("/documents/", content=TITLE + part() + END, headers=headers)

    problem_in(response, status, name)
    await site.check_empty()


SIGNED = b'--b\r\nContent-Disposition: form-data; name="signed"\r\n\r\n'


@pytest.mark.parametrize(("values", "signed"), [([b"false", b"true"], True), ([b"true", b"false"], False)])
async def test_the_last_value_of_a_checkbox_counts(site: Site, values: list[bytes], *, signed: bool) -> None:
    """Rails and ASP.NET send a hidden `false` beside it, for what is off sends nothing."""
    body = TITLE + b"".join(SIGNED + value + b"\r\n" for value in values) + part() + END
    created = await site.client.post("/documents/", content=body, headers={"content-type": MULTIPART})

    assert (created.status_code, created.json()["signed"]) == (201, signed)


@pytest.mark.parametrize(
    ("body", "status", "name", "words"),
    [
        (TITLE + part() * 2 + END, 422, "too-many-files", "There are 2 files; at most 1 are taken in the field 'file'"),
        (
            part(b"title", None, b"@@@", b"Content-Transfer-Encoding: base64\r\n") + part() + END,
            400,
            "malformed-upload",
            "its part 'title' is no base64",
        ),
        (
            TITLE + part().replace(b"; filename", b";\r\n filename") + END,
            400,
            "malformed-upload",
            "a header that is folded over several lines",
        ),
        (
            TITLE + part().replace(b"; filename", b";\r\n\tfilename") + END,
            400,
            "malformed-upload",
            "a header that is folded over several lines",
        ),
    ],
)
async def test_a_refused_form_is_told_as_what_it_is(
    site: Site, caplog: pytest.LogCaptureFixture, *, body: bytes, status: int, name: str, words: str
) -> None:
    """The sentence names the field or the line, and no parser logs what only its author understands."""
    caplog.clear()
    response = await site.client.post("/documents/", content=body, headers={"content-type": MULTIPART})

    assert words in problem_in(response, status, name)["detail"]
    assert [record for record in caplog.records if record.name.startswith("python_multipart")] == []


async def test_base64_of_several_lines_is_text(site: Site) -> None:
    """A part of text may be encoded so, in lines of any length."""
    title = part(b"title", None, b"YWJj\r\nZGVm\r\n", b"Content-Transfer-Encoding: base64\r\n")
    created = await site.client.post("/documents/", content=title + part() + END, headers={"content-type": MULTIPART})

    assert (created.status_code, created.json()["title"]) == (201, "abcdef")


@pytest.mark.parametrize("charset", ["utf-8", "UTF-16", "undefined", "idna", "punycode", "raw_unicode_escape", "x\x01"])
async def test_a_charset_confuses_nobody(serve: Serve, charset: str) -> None:
    """Whatever charset a form claims, the answer is a row or a problem."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Document, unknown_fields="refuse"), prefix="/documents")

    hostile = part(b"\\ud800", None, b"\\udfff") + TITLE + part(filename=b"\\ud800.txt") + END
    headers = {"content-type": f"{MULTIPART}; charset={charset}"}
    async with serve(build=build) as site:
        response = await site.client.post("/documents/", content=hostile, headers=headers)

        assert response.status_code in {400, 422}
        assert response.json()["status"] == response.status_code
        await site.check_empty()


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
