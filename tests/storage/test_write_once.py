"""Upload URLs that write once: what was announced is stored, and nobody stores anything over it."""

import hashlib
import json
import sys
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fastapi_filestore import SigningUnavailableError
from fastapi_filestore.storage.backend import Announcement, SignedURL
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.servers.gcs import GCS
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


async def test_what_google_is_asked_for(gcs: GCS, request: pytest.FixtureRequest) -> None:
    """The signature is of the request that Google documents, with the condition in it; its servers aren't here to say.

    What stands in for them here heeds the condition, and checks no signature.
    """
    backend = make_backend("gcs", request)
    signed = await sign(backend, Announcement(5, "image/png"), "a/b")
    url = urlsplit(signed.url)
    query, _, signature = url.query.rpartition("&X-Goog-Signature=")
    fields = dict(parse_qsl(query))
    day = fields["X-Goog-Date"][:8]
    canonical_request = "\n".join(
        [
            "PUT",
            url.path,
            query,
            "content-type:image/png",
            f"host:{url.netloc}",
            "x-goog-content-length-range:5,5",
            "x-goog-if-generation-match:0",
            "",
            "content-type;host;x-goog-content-length-range;x-goog-if-generation-match",
            "UNSIGNED-PAYLOAD",
        ]
    )
    string_to_sign = "\n".join(
        [
            "GOOG4-RSA-SHA256",
            fields["X-Goog-Date"],
            f"{day}/auto/storage/goog4_request",
            hashlib.sha256(canonical_request.encode()).hexdigest(),
        ]
    )
    account = json.loads(gcs.service_account_json)
    key = load_pem_private_key(account["private_key"].encode(), None)
    assert isinstance(key, RSAPrivateKey)
    key.public_key().verify(bytes.fromhex(signature), string_to_sign.encode(), PKCS1v15(), SHA256())

    assert query == "&".join(sorted(query.split("&")))
    assert fields["X-Goog-Credential"] == f"{account['client_email']}/{day}/auto/storage/goog4_request"
    assert fields["X-Goog-SignedHeaders"] == canonical_request.splitlines()[-2]
    assert (fields["X-Goog-Algorithm"], fields["X-Goog-Expires"]) == ("GOOG4-RSA-SHA256", "60")
    assert unquote(url.path).endswith("/a/b")
    assert {**signed.headers} == {
        "Content-Type": "image/png",
        "x-goog-content-length-range": "5,5",
        "x-goog-if-generation-match": "0",
    }


async def test_google_without_its_extra(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """RSA needs google-auth; without it what clients store is copied."""
    backend = make_backend("gcs", request)
    monkeypatch.setitem(sys.modules, "google.auth.crypt", None)
    with pytest.raises(SigningUnavailableError, match="the extra google"):
        await sign(backend, Announcement())
