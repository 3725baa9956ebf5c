"""What clients stored by themselves is judged by router and column: before a row takes it, and as it is then."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastapi_filestore import Filestore, UploadError
from tests.web.conftest import Serve
from tests.web.models import Document, Photo
from tests.web.site import SIGNING_KEY, Site, problem_in
from tests.web.uploading import begin, put, send

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(20)


class NoSecrets:
    """Refuse what begins with a word."""

    async def validate(self, head: bytes, upload: Any) -> None:
        """Look at the first bytes."""
        if head.startswith(b"secret"):
            raise UploadError("It is a secret.")


class NoMiddle:
    """Refuse what has a word in it, once it is stored."""

    async def validate_object(self, file: Any) -> None:
        """Look at all bytes."""
        if b"middle" in await file.get_content_async():
            raise UploadError("It has a middle.")


def judged(app: FastAPI, files: Filestore) -> None:
    """Mount photos, and documents with rules of their router."""
    app.include_router(files.router(Photo, sniff=True, uploads=True), prefix="/photos")
    app.include_router(
        files.router(Document, max_size=30, validators=[NoSecrets(), NoMiddle()], uploads=True), prefix="/documents"
    )
    app.include_router(files.signed_router())


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """Photos and documents that are judged."""
    async with serve(build=judged, signing_keys=[SIGNING_KEY], shared=True) as site:
        yield site
        await site.check()


@pytest.mark.parametrize("verb", ["complete", "json", "form"])
@pytest.mark.parametrize(("content", "detail"), [(b"secret", "It is a secret."), (b"a middle", "It has a middle.")])
async def test_what_is_refused(site: Site, verb: str, content: bytes, detail: str) -> None:
    """No row has it; what is stored once more in its place is judged anew."""
    upload = await send(site.client, content)
    claim = {"title": "t", "upload": upload["id"]}
    ways: dict[str, tuple[str, Any]] = {
        "complete": (f"{upload['url']}/complete", {}),
        "json": ("/documents/", {"json": claim}),
        "form": ("/documents/", {"data": claim}),
    }
    url, options = ways[verb]
    refused = await site.client.post(url, **options)
    await site.check()

    assert problem_in(refused, 422, "invalid-upload")["detail"] == detail
    assert (await site.client.get(upload["url"])).json()["state"] == "open"
    assert await site.rows(Document) == 0
    await site.client.delete(upload["url"])
    await site.check_empty()


async def test_bytes_that_are_not_what_they_are_said_to_be(site: Site) -> None:
    """A page that is announced as a picture is refused by its first bytes; a picture is taken."""
    picture = {"filename": "a.png", "content_type": "image/png"}
    page = await send(site.client, b"<html><script>", "/photos/uploads", **picture)
    right = await send(site.client, PNG, "/photos/uploads", **picture)
    refused = await site.client.post("/photos/", json={"upload": page["id"]})
    taken = await site.client.post("/photos/", json={"upload": right["id"]})

    problem_in(refused, 415, "type-mismatch")
    assert taken.status_code == 201, taken.text
    assert taken.json()["file"]["content_type"] == "image/png"


async def test_one_refused_of_several_leaves_the_others(site: Site) -> None:
    """What is right stays complete, whichever comes first."""
    good, bad = await send(site.client), await send(site.client, b"secret")
    for ids in ([good["id"], bad["id"]], [bad["id"], good["id"]]):
        answer = await site.client.post("/documents/", json={"title": "t", "upload": ids})
        await site.check()

        assert answer.status_code == 422
    assert (await site.client.post("/documents/", json={"title": "t", "upload": good["id"]})).status_code == 201


JUNK = [
    "x",
    "a" * 21,
    "a" * 65,
    "../../etc/passwd",
    "%2e%2e",
    "a" * 30 + "/",
    "ä" * 30,
    "a b" * 10,
    "\0" * 30,
    "'" * 30,
]


@pytest.mark.parametrize("identity", JUNK)
async def test_ids_that_are_none(site: Site, identity: str) -> None:
    """They are 422 in a body, whoever sends them, and 404 or 405 in a path."""
    await site.client.post("/documents/", json={"title": "t"})
    for request in (
        ("POST", "/documents/", {"json": {"title": "u", "upload": identity}}),
        ("POST", "/documents/", {"data": {"title": "u", "upload": identity}}),
    ):
        method, url, options = request
        answer = await site.client.request(method, url, **options)  # type: ignore[arg-type]

        assert problem_in(answer, 422, "invalid-fields")["errors"][0]["loc"][0] == "upload"
    replaced = await site.client.put("/documents/1/file", json={"upload": identity})
    assert replaced.status_code == 422, replaced.text


PATHS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=70)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | PATHS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PATHS, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES, text=PATHS)
async def test_no_id_is_an_error_of_ours(site: Site, value: object, text: str) -> None:
    """Whatever a client names, it is told what is wrong, and nothing breaks."""
    answers = [
        await site.client.post("/documents/", json={"title": "t" * 41, "upload": value}),
        await site.client.post("/documents/", data={"title": "t" * 41, "upload": text}),
        await site.client.get(f"/documents/uploads/{quote(text, safe='')}"),
        await site.client.delete(f"/documents/uploads/{quote(text, safe='')}"),
        await site.client.post(f"/documents/uploads/{quote(text, safe='')}/complete"),
    ]

    assert all(400 <= answer.status_code < 500 for answer in answers), [answer.text for answer in answers]


async def test_a_repeated_field_names_all_or_is_told(site: Site) -> None:
    """A form that repeats the field is no reason to forget one of its ids."""
    uploads = [await send(site.client) for _ in range(2)]
    ids = [upload["id"] for upload in uploads]
    answer = await site.client.post("/documents/", data={"title": "t", "upload": ids})

    assert answer.status_code in {400, 422}, answer.text


async def test_a_begun_upload_is_put_once_for_the_application(site: Site) -> None:
    """What was stored can't be overwritten by the URL of the application, and is what the row has."""
    upload = await begin(site.client)
    first, second = [await put(site.client, upload, content) for content in (b"first", b"second")]
    created = await site.client.post("/documents/", json={"title": "t", "upload": upload["id"]})

    assert (first.status_code, second.status_code) == (201, 409)
    assert (await site.client.get(f"{created.headers['location']}/file")).content == b"first"
