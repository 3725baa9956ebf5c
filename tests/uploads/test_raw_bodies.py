"""Bodies that are the file itself: PUT and POST without a form."""

import hashlib
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, UploadFile
from httpx import ASGITransport, AsyncClient

from fastapi_filestore.errors import MalformedUploadError
from fastapi_filestore.intake.digests import client_digests
from tests.uploads.routes import build
from tests.web.conftest import Serve
from tests.web.site import Site, problem_in

BODY = b"%PDF and more" * 100_000


@pytest.fixture
async def url(site: Site) -> str:
    """The URL of a row's file."""
    return str((await site.upload(content=b"old")).json()["file"]["url"])


def of(algorithm: str, body: bytes = BODY) -> str:
    """Return a digest as headers have it."""
    return b64encode(hashlib.new(algorithm, body).digest()).decode()


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="report.pdf"', "report.pdf"),
        ("attachment; filename=\"r.pdf\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.pdf", "größe.pdf"),
        ("attachment; filename*=iso-8859-1'de'gr%F6%DFe.pdf", "größe.pdf"),
        ("attachment; filename*=UTF-8''..%2F..%2Fpasswd", "passwd"),
        ("attachment", "file.pdf"),
        ("", "file.pdf"),
    ],
)
async def test_a_put_body_is_the_file(site: Site, url: str, disposition: str, name: str) -> None:
    """Its bytes, its type and the name of Content-Disposition are kept."""
    headers = {"content-type": "application/pdf", "content-disposition": disposition}
    response = await site.client.put(url, content=BODY, headers=headers)
    file = response.json()["file"]

    assert (response.status_code, file["filename"], file["content_type"]) == (200, name, "application/pdf")
    assert (await site.client.get(url)).content == BODY


async def test_a_post_body_needs_a_model_without_required_fields(serve: Serve) -> None:
    """A model that needs fields says which; another takes the file alone."""
    async with serve(build=build, shared=True) as site:
        headers = {"content-type": "image/png"}
        refused = await site.client.post("/documents/", content=BODY, headers=headers)
        accepted = await site.client.post("/albums-of/", content=BODY, headers=headers)

        assert problem_in(refused, 422, "invalid-fields")["errors"][0]["loc"] == ["title"]
        assert (accepted.status_code, accepted.json()["cover"]["size"]) == (201, len(BODY))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "application/pdf", "content-encoding": "gzip"}, 415),
        ({"content-type": "application/pdf", "content-range": "bytes 0-9/100"}, 400),
        ({"content-type": "application/pdf", "content-disposition": 'attachment; filename="a'}, 400),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "multipart/mixed; boundary=b"}, 415),
    ],
)
async def test_what_is_not_the_whole_file_is_refused(
    site: Site, url: str, headers: dict[str, str], status: int
) -> None:
    """Coded bytes, a part of a file, a form: each is a problem, and the old file stays."""
    response = await site.client.put(url, content=BODY, headers=headers)

    assert response.status_code == status
    assert (await site.client.get(url)).content == b"old"


async def test_a_body_that_says_nothing_is_the_file(site: Site, url: str) -> None:
    """`curl -T report.pdf` sends no Content-Type: the name, or the bytes, tell the type."""
    request = site.client.build_request(
        "PUT", url, content=BODY, headers={"content-disposition": "attachment; filename=a.pdf"}
    )
    assert "content-type" not in request.headers
    response = await site.client.send(request)

    assert (response.status_code, response.json()["file"]["content_type"]) == (200, "application/pdf")
    assert (await site.client.get(url)).content == BODY


@pytest.mark.parametrize(
    ("path", "headers", "expected", "words"),
    [
        (
            "/documents/1/file",
            {"content-type": "application/x-www-form-urlencoded"},
            ["multipart/form-data", "*/*"],
            "application/octet-stream",
        ),
        (
            "/documents/1/file",
            {"content-type": "text/plain", "content-encoding": "gzip"},
            ["identity"],
            "A body with Content-Encoding: gzip can't be read: send it as it is",
        ),
        (
            "/documents/1/file",
            {"content-type": "multipart/mixed; boundary=b"},
            ["multipart/form-data", "*/*"],
            "set the Content-Type: multipart/form-data",
        ),
    ],
)
async def test_a_refused_body_is_told_what_would_be_taken(
    serve: Serve, path: str, headers: dict[str, str], expected: list[str], words: str
) -> None:
    """The sentence names the header that is at fault, and `expected` is what the route does take."""
    async with serve(build=build, shared=True) as site:
        created = await site.upload(content=b"old")
        path = path.replace("/documents/1", str(created.headers["location"]))
        send: Any = site.client.put if path.endswith("/file") else site.client.post
        problem = problem_in(await send(path, content=BODY, headers=headers), 415, "unsupported-upload")

    assert problem["expected"] == expected
    assert words in problem["detail"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/merge-patch+json", b'{"title": "n\xc3\xa9w"}'),
        ("application/json", b'\xef\xbb\xbf{"title": "n\xc3\xa9w"}'),
        ("application/json; charset=UTF-8", b'{"title": "n\xc3\xa9w"}'),
        ("application/json; charset=iso-8859-1", b'{"title": "n\\u00e9w"}'),
    ],
)
async def test_json_is_taken_as_programs_send_it(site: Site, url: str, kind: str, body: bytes) -> None:
    """With a type of its own, with a byte order mark, with a charset that makes no difference."""
    changed = await site.client.patch(url.removesuffix("/file"), content=body, headers={"content-type": kind})

    assert (changed.status_code, changed.json()["title"]) == (200, "néw")


@pytest.mark.parametrize(
    ("kind", "codec"),
    [
        ("application/json; charset=utf-16", "utf-16"),
        ("application/json", "utf-16-le"),
        ("application/json", "utf-32"),
        ("application/json; charset=iso-8859-1", "iso-8859-1"),
    ],
)
async def test_json_in_another_charset_is_told_as_that(site: Site, url: str, kind: str, codec: str) -> None:
    """The sentence names the charset, said or found, and what to send."""
    content = '{"title": "néw"}'.encode(codec)
    answer = await site.client.patch(url.removesuffix("/file"), content=content, headers={"content-type": kind})
    problem = problem_in(answer, 415, "unsupported-upload")

    assert f"JSON in the charset {codec!r} can't be read here: send UTF-8" in problem["detail"]


@pytest.mark.parametrize(
    ("codings", "status"),
    [
        (["gzip"], 415),
        (["identity", "gzip"], 415),  # two lines are one list
        (["identity, BR"], 415),
        (["identity"], 200),
        (["Identity", "identity"], 200),
        ([""], 200),
    ],
)
async def test_a_compressed_body_is_refused(site: Site, url: str, codings: list[str], status: int) -> None:
    """A file, a form and JSON: none is read with its coding left on, whichever line of the header names it."""
    lines = [("content-encoding", coding) for coding in codings]
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nx\r\n--b--\r\n'
    bodies = {"text/plain": b"x", "multipart/form-data; boundary=b": form}
    for kind, body in bodies.items():
        response = await site.client.put(url, content=body, headers=[("content-type", kind), *lines])
        assert response.status_code == status, response.text
    headers = [("content-type", "application/json"), *lines]
    changed = await site.client.patch(url.removesuffix("/file"), content=b'{"title": "new"}', headers=headers)

    assert changed.status_code == status
    assert (await site.client.get(url)).content == (b"x" if status == 200 else b"old")


DIGESTS = {
    "content-digest": ("content-digest", f"sha-256=:{of('sha256')}:"),
    "repr-digest": ("repr-digest", f"sha-512=:{of('sha512')}:"),
    "both": ("content-digest", f"sha-512=:{of('sha512')}:, sha-256=:{of('sha256')}:;x=1"),
    "unknown beside": ("content-digest", f"unixsum=:AAA=:,sha-256=:{of('sha256')}:"),
    "md5": ("content-md5", of("md5")),
}


@pytest.mark.parametrize("case", DIGESTS)
async def test_a_digest_is_verified(site: Site, url: str, case: str) -> None:
    """The right bytes are stored; others with the same digest are refused, and nothing of them stays."""
    field, value = DIGESTS[case]
    headers = {"content-type": "application/pdf", field: value}
    damaged = await site.client.put(url, content=BODY[:-1] + b"x", headers=headers)
    assert len(await site.keys()) == 1
    whole = await site.client.put(url, content=BODY, headers=headers)

    problem_in(damaged, 400, "digest-mismatch")
    assert (whole.status_code, whole.json()["file"]["size"]) == (200, len(BODY))


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([("content-digest", f"sha-256=:{of('sha256')}:"), ("content-digest", f"sha-512=:{of('sha512')}:")], 200),
        ([("content-digest", f"sha-256=:{of('sha256')}:"), ("content-digest", f"sha-512=:{of('sha512', b'')}:")], 400),
        ([("content-digest", f"sha-256=:{of('sha256', b'')}:"), ("content-digest", f"sha-512=:{of('sha512')}:")], 400),
        ([("content-md5", of("md5")), ("content-md5", of("md5"))], 400),  # which is no list
        ([("content-md5", of("md5")), ("content-md5", of("md5", b""))], 400),
    ],
)
async def test_every_line_of_a_digest_counts(site: Site, url: str, lines: list[tuple[str, str]], status: int) -> None:
    """Lines of one name are one list: what any of them says is verified."""
    response = await site.client.put(url, content=BODY, headers=[("content-type", "application/pdf"), *lines])

    assert response.status_code == status, response.text
    assert len(await site.keys()) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"content-digest": "sha-256"},
        {"content-digest": "sha-256=abc"},
        {"content-digest": "sha-256=:abc:"},
        {"content-digest": "sha-256=:AAAA:"},
        {"content-digest": f"sha-256=:{of('sha256')}: sha-512=:{of('sha512')}:"},
        {"content-md5": "AAAA"},
        {"content-md5": "ä"},
        {"content-digest": f"sha-256=:{of('sha256')}:", "repr-digest": f"sha-256=:{of('sha256', b'')}:"},
    ],
)
def test_a_digest_that_is_none_is_refused(headers: dict[str, str]) -> None:
    """What a client vouches for must be readable, and one thing."""
    with pytest.raises(MalformedUploadError):
        client_digests(headers)


@pytest.mark.parametrize(
    ("content_type", "kept"), [("a/" + "b" * 100 + ";c=" + "d" * 150, True), ("a/b;c=" + "d" * 250, False)]
)
async def test_a_type_without_end_counts_as_none(site: Site, url: str, content_type: str, kept: bool) -> None:
    """A media type of more than 255 characters is not kept: the filename says what the file is."""
    headers = {"content-type": content_type, "content-disposition": 'attachment; filename="r.pdf"'}
    response = await site.client.put(url, content=BODY, headers=headers)

    assert response.json()["file"]["content_type"] == (content_type if kept else "application/pdf")


async def test_no_temporary_file_is_made(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nowhere for temporary files, an upload works where FastAPI's own fails."""
    spooled = FastAPI()

    @spooled.post("/")
    async def spool(file: UploadFile) -> None: ...

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    form = {"file": ("a", b"x" * 5_000_000)}
    async with AsyncClient(transport=ASGITransport(spooled), base_url="http://spool") as client:
        failed = await client.post("/", files=form)
    created = await site.upload(content=b"x" * 5_000_000)

    assert (failed.status_code, created.status_code) == (400, 201)


async def test_a_client_that_goes_away_leaves_the_old_file(site: Site, url: str) -> None:
    """A body that ends in an error replaces nothing."""

    async def breaking() -> AsyncIterator[bytes]:
        yield BODY
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await site.client.put(url, content=breaking(), headers={"content-type": "a/b"})

    assert (await site.client.get(url)).content == b"old"
    assert len(await site.keys()) == 1
