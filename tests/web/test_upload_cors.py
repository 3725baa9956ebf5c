"""Pages of other origins upload: by tus, by JSON, and by the claim; those of others don't."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from fastapi_filestore import UPLOAD_CORS, Filestore
from tests.web.conftest import Serve
from tests.web.models import Document
from tests.web.site import Site

ORIGIN = "https://page.example"


def taking_uploads(app: FastAPI, files: Filestore) -> None:
    """Mount documents for pages of one other origin."""
    app.add_middleware(CORSMiddleware, allow_origins=[ORIGIN], **UPLOAD_CORS)
    app.include_router(files.router(Document), prefix="/documents")


@pytest.fixture
async def site(serve: Serve) -> AsyncIterator[Site]:
    """An application that pages of another origin use."""
    async with serve(build=taking_uploads, shared=True) as site:
        yield site


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", "content-type"),
        ("POST", "content-type,authorization,tus-resumable,upload-length,upload-metadata,upload-concat"),
        ("PATCH", "content-type,tus-resumable,upload-offset,upload-checksum"),
        ("HEAD", "tus-resumable"),
        ("DELETE", "authorization,tus-resumable"),
        ("PUT", "content-type,if-match"),
    ],
)
async def test_a_page_may(site: Site, method: str, headers: str) -> None:
    """A browser asks before, and hears that its page may."""
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    allowed = await site.client.options("/documents/uploads", headers={"Origin": ORIGIN, **asked})
    refused = await site.client.options("/documents/uploads", headers={"Origin": "https://other.example", **asked})

    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, ORIGIN)
    assert "access-control-allow-origin" not in refused.headers


async def test_a_page_reads_what_it_needs(site: Site) -> None:
    """It may see where the row is, and when to come again."""
    answer = await site.client.post(
        "/documents/", headers={"Origin": ORIGIN}, files={"file": b"x"}, data={"title": "t"}
    )
    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}

    assert answer.status_code == 201
    assert exposed >= {"location", "retry-after", "etag", "upload-offset", "upload-expires"}
