"""Upload URLs that write once: what was announced is stored, and nobody stores anything over it."""

import hashlib

import httpx
import pytest

from fastapi_filestore.storage.backend import Announcement, SignedURL
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.stores import make_backend

PATH, CONTENT = "a/b c", b"hello"
ANNOUNCED = Announcement(len(CONTENT), "image/png", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture(params=["seaweedfs", "azurite", "gcs"])
def backend(request: pytest.FixtureRequest) -> ObstoreBackend:
    """A backend of each kind whose keys are at hand."""
    return make_backend(request.param, request)


async def sign(backend: ObstoreBackend, announced: Announcement, path: str = PATH) -> SignedURL:
    """Return a URL that writes once."""
    return await backend.sign_once(path, expires_in=60, announced=announced)


async def put(signed: SignedURL, content: bytes, *, without: str = "") -> int:
    """Store with a URL, as whoever holds it would, and return the status."""
    headers = {name: value for name, value in signed.headers.items() if name != without}
    async with httpx.AsyncClient() as client:
        return (await client.put(signed.url, content=content, headers=headers)).status_code


async def test_the_second_is_refused(backend: ObstoreBackend) -> None:
    """The first PUT stores, and a second one with the same URL changes nothing; what it was tried with is gone."""
    signed = await sign(backend, Announcement(content_type="image/png"))

    assert await put(signed, CONTENT) in {200, 201}
    assert await put(signed, b"other") in {403, 412}
    assert await (await backend.open(PATH)).read() == CONTENT
    assert (await backend.head(PATH)).content_type == "image/png"
    assert [info.path async for info in backend.list()] == [PATH]


@pytest.mark.parametrize("backend", ["seaweedfs"], indirect=True)
async def test_what_was_not_announced_is_refused(backend: ObstoreBackend) -> None:
    """Amazon's signature holds the condition, the length and the checksum, so a client can leave none out."""
    signed = await sign(backend, ANNOUNCED)

    assert await put(signed, b"hello, and more") == 403
    assert await put(signed, b"jello") == 400
    assert await put(signed, CONTENT, without="If-None-Match") == 403
    assert await put(signed, CONTENT) == 200
