"""Applications below a prefix: behind a proxy that strips it, mounted, or with a root path."""

from collections.abc import AsyncIterator
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.web.resumed.conftest import Open
from tests.web.resumed.replicas import MEDIA_TYPE, VERSION

SITE = "https://files.example.com"
PLACES = {"stripped": "/api/v1", "root path": "/api/v1", "mounted": "/api/v1", "none": ""}


def stripping(app: ASGIApp, prefix: str) -> ASGIApp:
    """Return the application behind a proxy that strips a prefix, and has another name."""

    async def proxied(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"].removeprefix(prefix)
            host = dict(scope["headers"])[b"host"]
            headers = [(b"host", b"10.0.0.7:8000"), (b"x-forwarded-host", host)]
            headers += [pair for pair in scope["headers"] if pair[0] != b"host"]
            scope = {**scope, "path": path, "raw_path": path.encode(), "scheme": "http", "headers": headers}
        await app(scope, receive, send)

    return proxied


def placed(app: FastAPI, where: str) -> tuple[ASGIApp, str]:
    """Return the application at a place, and the root path that its server knows."""
    if where == "mounted":
        outer = FastAPI()
        outer.mount("/api/v1", app)
        return outer, ""
    return (stripping(app, "/api/v1"), "") if where == "stripped" else (app, PLACES[where])


@pytest.fixture(params=PLACES)
async def place(request: pytest.FixtureRequest, run: Open) -> AsyncIterator[tuple[AsyncClient, str]]:
    """A client of the application at a place, and where its uploads begin."""
    async with run() as site:
        app, root = placed(site.app, request.param)
        async with AsyncClient(transport=ASGITransport(app=app, root_path=root), base_url=SITE) as client:
            yield client, f"{SITE}{PLACES[request.param]}/clips/uploads"


async def test_locations_are_right_wherever_it_is(place: tuple[AsyncClient, str]) -> None:
    """Uploads are found where a client joins their Locations, and so are the parts of one, by whole URLs or paths."""
    client, begin = place
    parts = []
    for content in (b"01", b"23", b"45"):
        answer = await client.post(begin, headers={**VERSION, "Upload-Length": "2", "Upload-Concat": "partial"})
        url = urljoin(begin, answer.headers["location"])
        sent = await client.patch(url, headers={**VERSION, **MEDIA_TYPE, "Upload-Offset": "0"}, content=content)
        assert sent.status_code == 204, (url, sent.text)
        parts.append(url)
    names = [parts[0], parts[1].removeprefix(SITE), parts[2].rpartition("/clips/")[2]]
    final = await client.post(begin, headers={**VERSION, "Upload-Concat": f"final;{' '.join(names)}"})
    assert final.status_code == 201, final.text
    url = urljoin(begin, final.headers["location"])
    head = await client.head(url, headers=VERSION)

    assert (head.status_code, head.headers["upload-length"]) == (200, "6")
    row = await client.post(begin.removesuffix("uploads"), json={"upload": url.rpartition("/")[2]})
    assert row.status_code == 201, row.text
