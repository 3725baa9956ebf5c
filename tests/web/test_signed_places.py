"""Signed URLs of applications below a mount, a prefix or a root path; slashes that clients leave out."""

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from httpx import ASGITransport, AsyncClient

from fastapi_filestore import FileObject, Filestore
from fastapi_filestore.intake.types.media_types import is_same
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import SIGNING_KEY, Site, problem_in
from tests.web.uploading import begin

Build = Callable[[FastAPI, Filestore], None]


def plain(app: FastAPI, files: Filestore) -> None:
    """Include everything in the application itself."""
    app.include_router(files.router(Document, uploads=True), prefix="/documents")
    app.include_router(files.signed_router())


def mounted(app: FastAPI, files: Filestore) -> None:
    """Mount all of it, under a name and a path with a letter that URLs escape."""
    below = FastAPI()
    plain(below, files)
    app.mount("/äpi/v1", below, name="below")


def mounted_twice(app: FastAPI, files: Filestore) -> None:
    """Mount all of it in what is mounted."""
    below = FastAPI()
    mounted(below, files)
    app.mount("/outer", below)


def beside(app: FastAPI, files: Filestore) -> None:
    """Mount the documents and include the signed URLs in the application itself."""
    below = FastAPI()
    below.include_router(files.router(Document, uploads=True), prefix="/documents")
    app.mount("/api", below)
    app.include_router(files.signed_router())


def prefixed(app: FastAPI, files: Filestore) -> None:
    """Include everything below prefixes."""
    inner, outer = APIRouter(), APIRouter(prefix="/v1")
    inner.include_router(files.router(Document, uploads=True), prefix="/documents")
    inner.include_router(files.signed_router(), prefix="/signed")
    outer.include_router(inner, prefix="/api")
    app.include_router(outer)


def rooted(app: FastAPI, files: Filestore) -> None:
    """Say that a proxy strips a path."""
    app.root_path = "/proxy"
    prefixed(app, files)


PLACES: dict[str, tuple[Build, str, str, str]] = {
    "plain": (plain, "", "", "/filestore?"),
    "mounted": (mounted, "/%C3%A4pi/v1", "", "/%C3%A4pi/v1/filestore?"),
    "mounted twice": (mounted_twice, "/outer/%C3%A4pi/v1", "", "/outer/%C3%A4pi/v1/filestore?"),
    "beside": (beside, "/api", "", "/filestore?"),
    "prefixed": (prefixed, "/v1/api", "", "/v1/api/signed/filestore?"),
    "rooted by the application": (rooted, "/v1/api", "", "/proxy/v1/api/signed/filestore?"),
    "rooted by the server": (plain, "", "/proxy", "/proxy/filestore?"),
    "mounted, and rooted by the server": (mounted, "/%C3%A4pi/v1", "/proxy", "/proxy/%C3%A4pi/v1/filestore?"),
    "beside, and rooted by the server": (beside, "/api", "/proxy", "/proxy/filestore?"),
}
"""How it is built, where the documents are, what the server says, and how signed URLs begin."""


@pytest.mark.parametrize("place", PLACES)
async def test_a_signed_url_is_where_the_route_is(serve: Serve, place: str) -> None:
    """Without FILESTORE_PUBLIC_URL its path is that at which clients reach the route, and it works there."""
    build, documents, root, expected = PLACES[place]
    async with serve(build=build, signing_keys=[SIGNING_KEY], shared=True) as site:
        transport = ASGITransport(site.app, root_path=root)
        async with AsyncClient(transport=transport, base_url=f"http://site{root}") as client:
            direct = (await begin(client, f"{documents}/documents/uploads"))["direct"]
            url = direct["url"]
            # A proxy strips what the application says of itself.
            path = url if root or "/proxy" not in url else url.removeprefix("/proxy")
            stored = await client.put(f"http://site{path}", content=b"x", headers=direct["headers"])

        assert url.startswith(expected)
        assert stored.status_code == 201, stored.text


async def test_a_route_of_ones_own_signs_where_it_is(serve: Serve) -> None:
    """What a route signs by itself, in an application that is mounted and has a life of its own, works as well."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.signed_router())

        @app.get("/link")
        async def link() -> str:
            file = await FileObject("web", "a.txt", content=b"x").save_async()
            return await file.sign_async()

    async with serve(build=build, signing_keys=[SIGNING_KEY]) as site:
        outer = FastAPI()
        outer.mount("/api", site.app)
        transport = ASGITransport(outer, root_path="/proxy")
        async with AsyncClient(transport=transport, base_url="http://site/proxy") as client:
            url = (await client.get("/api/link")).json()
            content = (await client.get(f"http://site{url}")).content
        file = await FileObject("web", "a.txt", content=b"x").save_async()
        outside = await file.sign_async()

    assert url.startswith("/proxy/api/filestore?sig=")
    assert content == b"x"
    assert outside.startswith("/filestore?sig=")


async def test_outside_of_requests_the_application_says_it(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """A job that signs a URL knows of mounts, prefixes and the application's own root path."""
    async with serve(build=rooted, signing_keys=[SIGNING_KEY]) as site:
        signer = site.files.registry.signer
        assert signer is not None
        url = signer.sign("web", "a", method="GET", expires_in=60).url

    assert url.startswith("/proxy/v1/api/signed/filestore?sig=")
    assert "public_url_missing" not in caplog.text


@pytest.mark.parametrize("prefix", [None, "/{tenant}"])
async def test_the_start_says_what_it_cannot_know(
    serve: Serve, prefix: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the application has no route for its signed URLs, or one of many paths, a warning names the setting."""

    def build(app: FastAPI, files: Filestore) -> None:
        if prefix is not None:
            app.include_router(files.signed_router(), prefix=prefix)

    with caplog.at_level(logging.WARNING, "fastapi_filestore"):
        async with serve(build=build, signing_keys=[SIGNING_KEY]):
            pass
        said = caplog.text
        caplog.clear()
        async with serve(build=build, signing_keys=[SIGNING_KEY], public_url="https://files.example"):
            pass

    assert "fastapi_filestore.public_url_missing url_path=/filestore" in said
    assert "FILESTORE_PUBLIC_URL" in said
    assert "public_url_missing" not in caplog.text


@pytest.mark.parametrize(
    ("content_type", "other", "expected"),
    [
        ("text/plain; charset=UTF-8", "text/plain;charset=utf-8", True),
        ("Text/Plain", "text/plain", True),
        ('text/plain; charset="utf-8"', "text/plain;CHARSET=utf-8;", True),
        ("text/plain; a=1; b=2", "text/plain;b=2;a=1", True),
        ("text/plain; a=X", "text/plain; a=x", False),
        ("text/plain; charset=utf-8", "text/plain", False),
        ("text/plain", "text/html", False),
        ("text/plain; a", "text/plain; a", True),
        ("text/plain; a", "text/plain;a", False),
    ],
)
def test_equal_types_are_equal(content_type: str, other: str, *, expected: bool) -> None:
    """Case, spaces, quotes and order make no other type; values other than a charset's do."""
    assert is_same(content_type, other) is expected


async def test_a_signed_put_takes_its_type_however_it_is_written(serve: Serve) -> None:
    """A client's library may write the type that was signed in its own way."""
    async with serve(build=plain, signing_keys=[SIGNING_KEY]) as site:
        upload = await begin(site.client, content_type="text/plain;charset=utf-8")
        url = upload["direct"]["url"]
        other = await site.client.put(url, content=b"x", headers={"content-type": "text/plain"})
        stored = await site.client.put(url, content=b"x", headers={"content-type": "text/plain; charset=UTF-8"})

        problem_in(other, 415, "unsupported-upload")
        assert stored.status_code == 201


# -- slashes -------------------------------------------------------------------------------------------


@pytest.fixture
async def documented(serve: Serve) -> AsyncIterator[Site]:
    """Documents, and signed URLs."""
    async with serve(build=plain, shared=True) as site:
        yield site


async def test_a_slash_too_few_or_too_many_is_answered(site: Site) -> None:
    """Each route answers with and without its last slash, and says the same paths."""
    fields: Any = {"files": {"file": b"x"}, "data": {"title": "t"}}
    created = await site.client.post("/documents", **fields)
    listed = await site.client.get("/documents")
    read = await site.client.get("/documents/1/")
    changed = await site.client.patch("/documents/1/", json={"title": "u"})
    file = await site.client.get("/documents/1/file/")
    replaced = await site.client.put("/documents/1/file/", files={"file": b"y"})

    assert (created.status_code, created.headers["location"]) == (201, "/documents/1")
    assert listed.json()["items"] == [read.json()] == [created.json()]
    assert listed.json()["items"][0]["file"]["url"] == "/documents/1/file"
    assert (file.content, changed.json()["title"]) == (b"x", "u")
    assert replaced.json()["file"]["url"] == "/documents/1/file"
    assert (await site.client.delete("/documents/1/")).status_code == 204


ROOTS = [
    *((place, root, root) for place in ("plain", "mounted twice", "prefixed") for root in ("/proxy", "/proxy/", "/")),
    ("plain", "/proxy/", ""),
]


@pytest.mark.parametrize(("place", "root", "asked"), ROOTS)
async def test_a_root_path_with_a_slash_doubles_none(serve: Serve, place: str, root: str, asked: str) -> None:
    """What a row is at has no slash twice, whether or not the server puts its root path before the request's path."""
    build, documents, _, _ = PLACES[place]
    async with serve(build=build) as site:
        transport = ASGITransport(site.app, root_path=root)
        async with AsyncClient(transport=transport, base_url="http://site") as client:
            url = f"http://site{asked}{documents}/documents/"
            created = await client.post(url, files={"file": b"x"}, data={"title": "t"})
            listed = (await client.get(url)).json()["items"]

        location = f"{root.rstrip('/')}{documents}/documents/1"
        assert created.headers["location"] == location
        assert [created.json()["file"]["url"], *(row["file"]["url"] for row in listed)] == [f"{location}/file"] * 2


async def test_what_is_mounted_below_a_root_path_with_a_slash(serve: Serve) -> None:
    """An application with a life of its own signs without a slash twice where the outer one's root path has one."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Document, uploads=True), prefix="/documents")
        app.include_router(files.signed_router())

    async with serve(build=build, signing_keys=[SIGNING_KEY]) as site:
        outer = FastAPI()
        outer.mount("/api", site.app)
        async with AsyncClient(transport=ASGITransport(outer, root_path="/proxy/"), base_url="http://site") as client:
            upload = await begin(client, "/proxy//api/documents/uploads")

    assert upload["url"].startswith("/proxy/api/documents/uploads/")
    assert upload["direct"]["url"].startswith("/proxy/api/filestore?sig=")


SLASHES = ["", "/", "//", "///", "/1", "/1/", "/1//", "/1/file/", "/1/file//", "/uploads//", "/uploads/x/"]


@pytest.mark.parametrize("path", [*(f"/documents{path}" for path in SLASHES), "//documents/", "/filestore//"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_no_answer_repeats_a_foreign_host(documented: Site, path: str, method: str) -> None:
    """Whatever host a request names, and however many slashes it has, it is sent nowhere."""
    response = await documented.client.request(method, f"http://site{path}", headers={"host": "evil.example"})

    assert not response.is_redirect
    assert "evil.example" not in str(response.headers) + response.text


@pytest.mark.parametrize("is_first", [True, False])
async def test_routes_of_ones_own_come_first(serve: Serve, *, is_first: bool) -> None:
    """A path that the application has itself, slash or none, is its own, wherever its route stands."""

    def own(app: FastAPI) -> None:
        app.get("/documents")(lambda: "page")
        app.get("/documents/search/")(lambda: "search")

    def build(app: FastAPI, files: Filestore) -> None:
        if is_first:
            own(app)
        app.include_router(files.router(Document), prefix="/documents")
        if not is_first:
            own(app)

    async with serve(build=build) as site:
        assert (await site.client.get("/documents")).json() == "page"
        assert (await site.client.get("/documents/search/")).json() == "search"
        assert (await site.client.get("/documents/")).json()["items"] == []


async def test_a_mount_takes_no_path(serve: Serve) -> None:
    """What is mounted at `/`, as a page is, does not answer for the documents."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.include_router(files.router(Document), prefix="/documents")
        app.mount("/", FastAPI())

    async with serve(build=build) as site:
        assert (await site.client.get("/documents")).json()["items"] == []
