"""Digests of whole forms: Content-Digest is of all that is sent, boundaries and fields included (RFC 9530)."""

import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator

import pytest
from httpx import Response

from tests.uploads.routes import build
from tests.web.conftest import Serve
from tests.web.site import Site, problem_in

FILE = b'--b\r\nContent-Disposition: form-data; name="%b"; filename="a.png"\r\nContent-Type: %b\r\n\r\n%b\r\n'
TITLE = b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nt\r\n'
END = b"--b--\r\n"
PDF, PNG = b"application/pdf", b"image/png"
FORMS = {
    "/documents/": TITLE + FILE % (b"file", PDF, b"%PDF" * 50_000) + END,
    "/reports": FILE % (b"file", PDF, b"%PDF" * 50_000) + END,
    "/described": FILE % (b"paper", PDF, b"%PDF") + TITLE + END,
    "/albums": TITLE + FILE % (b"photos", PNG, b"1" * 100_000) + FILE % (b"photos", PNG, b"2" * 100_000) + END,
}
"""A form for the prebuilt router, for two routes of `files.upload`, and for one of `files.uploads`."""


@pytest.fixture
async def reports(serve: Serve) -> AsyncIterator[Site]:
    """A site with routes of its own."""
    async with serve(build=build, shared=True) as site:
        yield site
        await site.check()


def digest(algorithm: str, body: bytes) -> str:
    """Return a digest in base64."""
    return b64encode(hashlib.new(algorithm, body).digest()).decode()


async def send(site: Site, path: str, *digests: tuple[str, str], method: str = "POST") -> Response:
    """Send a form and what is said of it."""
    headers = [("Content-Type", "multipart/form-data; boundary=b"), *digests]
    return await site.client.request(method, path, content=FORMS.get(path, FORMS["/reports"]), headers=headers)


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_with_its_digest_is_taken(reports: Site, path: str) -> None:
    """The digests of the whole body, in any field that has one, are those of a form that arrived whole."""
    right = [
        ("Content-Digest", f"sha-256=:{digest('sha256', FORMS[path])}:"),
        ("Content-Digest", f"sha-512=:{digest('sha512', FORMS[path])}:"),
        ("Content-MD5", digest("md5", FORMS[path])),
    ]
    response = await send(reports, path, *right)

    assert response.status_code == 201, response.text


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "wrong", [("Content-Digest", f"sha-256=:{digest('sha256', b'')}:"), ("Content-MD5", digest("md5", b""))]
)
async def test_a_damaged_form_leaves_nothing(reports: Site, path: str, wrong: tuple[str, str]) -> None:
    """A digest of other bytes is a 400, with neither an object nor a row."""
    response = await send(reports, path, wrong)

    assert (response.status_code, "digest" in response.text) == (400, True)
    await reports.check_empty()


@pytest.mark.parametrize("path", FORMS)
async def test_a_digest_that_is_none_is_told_before_the_body_is_read(reports: Site, path: str) -> None:
    """What can't be read is a 400, too, and leaves nothing."""
    assert (await send(reports, path, ("Content-Digest", "sha-256=nonsense"))).status_code == 400
    await reports.check_empty()


async def test_a_damaged_replacement_leaves_the_old_file(reports: Site) -> None:
    """PUT of a form verifies its digest before the row is written."""
    await reports.upload(content=b"old")
    wrong = ("Content-Digest", f"sha-256=:{digest('sha256', b'')}:")
    response = await send(reports, "/documents/1/file", wrong, method="PUT")

    problem_in(response, 400, "digest-mismatch")
    assert (await reports.client.get("/documents/1/file")).content == b"old"
    assert len(await reports.keys()) == 1
