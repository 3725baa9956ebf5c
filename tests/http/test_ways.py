"""Which way a file reaches its client, and who may keep a copy."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from fastapi_filestore import FileObject, Filestore, FilestoreSettings, ObstoreBackend, StorageRegistry
from tests.servers.seaweedfs import SeaweedFS
from tests.storage.stores import make_backend

CONTENT = b"<script>alert(1)</script>"


class Place:
    """An application with one file, whose route asks for a way."""

    def __init__(self, backend: ObstoreBackend, **settings: Any) -> None:
        self.registry = StorageRegistry()
        self.registry.register_backend(backend)
        self.files = Filestore(settings=FilestoreSettings(_env_file=None, **settings), registry=self.registry)
        self.file = FileObject(backend.key, "ä.html", content=CONTENT, registry=self.registry)
        self.options: dict[str, Any] = {}
        app = FastAPI(exception_handlers=self.files.exception_handlers)
        app.add_api_route("/file", self.serve, methods=["GET", "HEAD"])
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

    async def serve(self, request: Request) -> Response:
        """Serve the file."""
        return await self.files.download(request, self.file, **self.options)


@pytest.fixture
async def s3(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A file on S3, to which clients are redirected."""
    place = Place(make_backend("seaweedfs", request), downloads="redirect")
    await place.file.save_async()
    async with place.client:
        yield place


@pytest.fixture
async def local(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A file on local disk, with nginx in front."""
    place = Place(make_backend("local", request), downloads="accel", accel_prefix="/internal/files/")
    await place.file.save_async()
    async with place.client:
        yield place


@pytest.fixture(params=["redirect", "accel"])
async def either(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A file that goes either way."""
    backend = make_backend("seaweedfs" if request.param == "redirect" else "local", request)
    place = Place(backend, downloads=request.param)
    await place.file.save_async()
    async with place.client:
        yield place


async def test_a_redirect_is_followed_to_a_safe_answer(s3: Place) -> None:
    """The store itself sends the bytes, with the type and as the download that the application would send."""
    sent = await s3.client.get("/file")
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(sent.headers["location"])

    assert (sent.status_code, sent.content, sent.headers["cache-control"]) == (307, b"", "private, max-age=60")
    assert (answer.content, answer.headers["content-type"]) == (CONTENT, "text/html")
    assert answer.headers["content-disposition"] == "attachment; filename=\"_.html\"; filename*=UTF-8''%C3%A4.html"


async def test_a_redirect_is_kept_for_less_than_its_life(request: pytest.FixtureRequest) -> None:
    """A short-lived URL is not kept until it has expired."""
    place = Place(make_backend("seaweedfs", request), downloads="redirect", url_expiry=30)
    await place.file.save_async()
    async with place.client:
        answer = await place.client.get("/file")

    assert answer.headers["cache-control"] == "private, max-age=15"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_conditions_are_decided_here(either: Place, method: str) -> None:
    """Whichever way the bytes go, 304 and 412 are the application's."""
    tag = (await either.client.head("/file")).headers["etag"]
    for name, value, status in (("If-None-Match", tag, 304), ("If-Match", '"x"', 412), ("If-Match", tag, 200)):
        answer = await either.client.request(method, "/file", headers={name: value})

        expected = {200, 307} if status == 200 else {status}
        assert answer.status_code in expected
        assert status == 200 or "x-accel-redirect" not in answer.headers


async def test_the_stores_own_tag_is_known(either: Place) -> None:
    """A client that was sent to the store knows the file by the store's tag, which is as good as ours."""
    answer = await either.client.get("/file", headers={"If-None-Match": str(either.file.etag)})

    assert answer.status_code == 304


async def test_the_rest_of_another_file_is_not_sent(either: Place) -> None:
    """A client that resumes another state gets the whole file, from here: not every store heeds If-Range."""
    answer = await either.client.get("/file", headers={"Range": "bytes=5-", "If-Range": '"another"'})

    assert (answer.status_code, answer.content) == (200, CONTENT)


async def test_head_is_answered_here(either: Place) -> None:
    """HEAD tells type and length without a way to go: what a store signs is good for GET alone."""
    answer = await either.client.head("/file")

    assert (answer.status_code, answer.headers["content-length"]) == (200, str(len(CONTENT)))
    assert {"location", "x-accel-redirect"}.isdisjoint(answer.headers)


async def test_nginx_is_told_where_a_local_file_is(local: Place) -> None:
    """It gets an internal path and the headers to send, and no body."""
    answer = await local.client.get("/file", headers={"Range": "bytes=0-1"})

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["x-accel-redirect"] == f"/internal/files/local/{local.file.path}"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"


async def test_nginx_is_told_where_an_object_of_s3_is(s3: Place, seaweedfs: SeaweedFS) -> None:
    """It gets an internal path that ends as the signed URL does, to pass on to the store."""
    s3.options["downloads"] = "accel"
    target = urlsplit((await s3.client.get("/file")).headers["x-accel-redirect"])
    async with httpx.AsyncClient() as nginx:
        answer = await nginx.get(
            f"{seaweedfs.endpoint}/{target.path.removeprefix('/protected/seaweedfs/')}?{target.query}"
        )

    assert answer.content == CONTENT


async def test_browsers_go_elsewhere_than_nginx(request: pytest.FixtureRequest, seaweedfs: SeaweedFS) -> None:
    """Where browsers reach the store by another name, a redirect is for them; nginx stands beside the application."""
    place = Place(make_backend("seaweedfs", request, public_endpoint="https://files.example.com"), downloads="accel")
    await place.file.save_async()
    async with place.client, httpx.AsyncClient() as nginx:
        target = urlsplit((await place.client.get("/file")).headers["x-accel-redirect"])
        inside = f"{seaweedfs.endpoint}/{target.path.removeprefix('/protected/seaweedfs/')}?{target.query}"
        answer = await nginx.get(inside)
        place.options["downloads"] = "redirect"
        redirect = await place.client.get("/file")

    assert answer.content == CONTENT
    assert redirect.headers["location"].startswith("https://files.example.com/")


HOSTILE = ["a\r\nX-Evil: 1", "../../etc/passwd", "a/../b", "/etc/passwd", "a\x00b", "%0d%0aX-Evil: 1", "a?b#c", "ü /x"]


@pytest.mark.parametrize("key", HOSTILE)
async def test_no_key_escapes_its_header_or_its_location(local: Place, key: str) -> None:
    """A row may hold any path: it is quoted, or refused."""
    local.file._path = key  # noqa: SLF001 - as a row may have it
    answer = await local.client.get("/file")
    told = answer.headers.get("x-accel-redirect", "/internal/files/local/refused")

    assert "x-evil" not in answer.headers
    assert told.startswith("/internal/files/local/")
    assert told.isascii()
    assert not set(told) & set("?# \r\n\x00")
    assert ".." not in unquote(told).split("/")
    assert answer.status_code == 500 or unquote(told) == f"/internal/files/local/{key}"


@pytest.mark.parametrize("way", ["redirect", "accel"])
async def test_what_has_no_url_is_streamed(way: Any) -> None:
    """Memory has neither URLs nor files, so the application sends the bytes itself."""
    place = Place(ObstoreBackend("memory", "memory://"), downloads=way)
    await place.file.save_async()
    async with place.client:
        answer = await place.client.get("/file")

    assert (answer.status_code, answer.content) == (200, CONTENT)


async def test_a_redirect_needs_a_store_with_urls(local: Place) -> None:
    """A local file is streamed where others are redirected: development needs no other setting."""
    local.options["downloads"] = "redirect"

    assert (await local.client.get("/file")).content == CONTENT


@pytest.mark.parametrize(
    ("backend", "everywhere", "here", "status"),
    [(None, "redirect", None, 307), ("stream", "redirect", None, 200), ("redirect", "stream", None, 307),
     ("redirect", "redirect", "stream", 200), ("stream", "stream", "redirect", 307)],
)  # fmt: skip
async def test_the_nearest_word_counts(
    request: pytest.FixtureRequest, backend: str | None, everywhere: str, here: str | None, status: int
) -> None:
    """The call decides before the backend's setting, and that before the setting for all."""
    settings = {"seaweedfs": {"url": "s3://bucket/", "downloads": backend}}
    place = Place(make_backend("seaweedfs", request), downloads=everywhere, backends=settings)
    place.options["downloads"] = here
    await place.file.save_async()
    async with place.client:
        answer = await place.client.get("/file")

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("options", "cache", "policy"),
    [
        ({}, "private, no-cache", "same-site"),
        ({"visibility": "public"}, "public, no-cache", "cross-origin"),
        ({"visibility": "public", "immutable": True}, "public, max-age=31536000, immutable", "cross-origin"),
        ({"immutable": True}, "private, max-age=31536000, immutable", "same-site"),
        ({"cross_origin": "same-origin"}, "private, no-cache", "same-origin"),
        ({"cross_origin": "same-site", "visibility": "public"}, "public, no-cache", "same-site"),
    ],
)
async def test_who_may_keep_a_copy(local: Place, options: dict[str, Any], cache: str, policy: str) -> None:
    """Nobody keeps a copy unasked; shared caches none but of what is public; for good what its URL names alone.

    Pages of other sites embed what is public, unless the call says otherwise.
    """
    local.options = {**options, "downloads": "stream"}
    answer = await local.client.get("/file")
    again = await local.client.get("/file", headers={"If-None-Match": answer.headers["etag"]})

    assert [each.headers["cache-control"] for each in (answer, again)] == [cache, cache]
    assert answer.headers["cross-origin-resource-policy"] == policy


async def test_a_download_may_be_asked_for(tmp_path: Path) -> None:
    """What a browser could show is a download if the route wants it."""
    place = Place(ObstoreBackend(uuid4().hex, tmp_path))
    place.file = await FileObject(None, "a.png", content=b"x", registry=place.registry).save_async()
    async with place.client:
        shown = await place.client.get("/file")
        place.options["attachment"] = True
        saved = await place.client.get("/file")

    assert shown.headers["content-disposition"] == 'inline; filename="a.png"'
    assert saved.headers["content-disposition"] == 'attachment; filename="a.png"'
