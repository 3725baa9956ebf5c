"""Upload URLs that write once: what was announced is stored, and nobody stores anything over it."""

import hashlib

import httpx
import pytest

from fastapi_filestore.storage.backend import SignedURL
from fastapi_filestore.storage.obstore.write_once import Announcement, bind_to_one_write
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.stores import make_backend

PATH, CONTENT = "a/b c", b"hello"
ANNOUNCED = Announcement(len(CONTENT), "image/png", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture(params=["seaweedfs", "azurite"])
def backend(request: pytest.FixtureRequest) -> ObstoreBackend:
    """A backend of each kind whose keys are at hand."""
    return make_backend(request.param, request)


async def sign(backend: ObstoreBackend, announced: Announcement) -> SignedURL:
    """Return a URL that writes once."""
    signed = await backend.sign(PATH, method="PUT", expires_in=60, content_type=announced.content_type)
    once = await bind_to_one_write(backend._driver._connection.store, PATH, signed, announced)  # type: ignore[union-attr]
    assert once is not None
    return once


async def put(signed: SignedURL, content: bytes, *, without: str = "") -> int:
    """Store with a URL, as whoever holds it would, and return the status."""
    headers = {name: value for name, value in signed.headers.items() if name != without}
    async with httpx.AsyncClient() as client:
        return (await client.put(signed.url, content=content, headers=headers)).status_code


async def test_the_second_is_refused(backend: ObstoreBackend) -> None:
    """The first PUT stores, and a second one with the same URL changes nothing."""
    signed = await sign(backend, Announcement(content_type="image/png"))

    assert await put(signed, CONTENT) in {200, 201}
    assert await put(signed, b"other") in {403, 412}
    assert await (await backend.open(PATH)).read() == CONTENT
    assert (await backend.head(PATH)).content_type == "image/png"


@pytest.mark.parametrize("backend", ["seaweedfs"], indirect=True)
async def test_what_was_not_announced_is_refused(backend: ObstoreBackend) -> None:
    """Amazon's signature holds the condition, the length and the checksum, so a client can leave none out."""
    signed = await sign(backend, ANNOUNCED)

    assert await put(signed, b"hello, and more") == 403
    assert await put(signed, b"jello") == 400
    assert await put(signed, CONTENT, without="If-None-Match") == 403
    assert await put(signed, CONTENT) == 200
