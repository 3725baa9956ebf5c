"""What a hostile or clumsy client may send, and the problem that it gets; nothing is ever left behind."""

import pytest
from fastapi import FastAPI

from fastapi_filestore import Filestore
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.parts import END, MULTIPART, TITLE, part, strict
from tests.web.site import Site, problem_in

__all__ = ["strict"]

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


WITHOUT_FILE = {"no file", "nothing but the end", "empty filename"}
"""Forms of a row without a file, which the column may be."""


@pytest.mark.parametrize("case", [case for case in BODIES if case not in WITHOUT_FILE])
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
        ("application/json", 422, "invalid-fields"),
        ("application/x-www-form-urlencoded", 422, "invalid-fields"),  # of text alone, which a row without a file is
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
    """Only multipart/form-data with a boundary has files, and the fields of others are checked."""
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
