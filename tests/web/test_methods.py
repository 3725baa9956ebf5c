"""Methods of the router's paths: HEAD wherever there is GET, and a 405 that names all others."""

import pytest
from fastapi import APIRouter, FastAPI

from fastapi_filestore import Filestore
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import SIGNING_KEY, Build, Site, problem_in

ALLOWED = {
    "/documents/": "GET, HEAD, POST",
    "/documents/uploads": "GET, HEAD, POST, PATCH, DELETE, OPTIONS",  # a key, too
    "/documents/uploads/x": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    "/documents/uploads/x/complete": "POST",
    "/documents/1": "GET, HEAD, PATCH, DELETE",
    "/documents/1/file": "GET, HEAD, PUT, DELETE",
    "/filestore": "GET, HEAD, PUT",
}


def included(app: FastAPI, files: Filestore) -> None:
    """Mount the documents and the signed URLs."""
    app.include_router(files.router(Document, uploads=True), prefix="/documents")
    app.include_router(files.signed_router())


def nested(app: FastAPI, files: Filestore) -> None:
    """Mount them by way of another router."""
    router = APIRouter()
    router.include_router(files.router(Document, uploads=True))
    app.include_router(router, prefix="/documents")
    app.include_router(files.signed_router())


def mounted(app: FastAPI, files: Filestore) -> None:
    """Mount them in an application of their own."""
    inner = FastAPI()
    included(inner, files)
    app.mount("/api", inner)


@pytest.mark.parametrize(("build", "prefix"), [(included, ""), (nested, ""), (mounted, "/api")])
async def test_an_unknown_method_is_told_those_there_are(serve: Serve, build: Build, prefix: str) -> None:
    """A 405 is a problem that lists every method of its path, whichever routes have them (RFC 9110, section 10.2.1)."""
    async with serve(build=build, signing_keys=[SIGNING_KEY]) as site:
        for path, allowed in ALLOWED.items():
            for method in {"OPTIONS", "TRACE", "BREW"} - set(allowed.split(", ")):
                response = await site.client.request(method, prefix + path, content=b"body")

                problem_in(response, 405, "method-not-allowed")
                assert response.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/documents/", "/documents/1", "/documents/1/file"])
async def test_head_is_get_without_a_body(site: Site, path: str) -> None:
    """The status and the headers are those of GET."""
    await site.upload()
    got, head = await site.client.get(path), await site.client.head(path)

    assert (head.status_code, head.content, head.headers) == (200, b"", got.headers)


@pytest.mark.parametrize("path", ["/documents/9", "/documents/?limit=0", "/documents/x"])
async def test_head_of_what_is_not_there_has_the_status_of_get(site: Site, path: str) -> None:
    """Its problem has no body, either."""
    got, head = await site.client.get(path), await site.client.head(path)

    assert (head.status_code, head.content, head.headers) == (got.status_code, b"", got.headers)
    assert got.content
