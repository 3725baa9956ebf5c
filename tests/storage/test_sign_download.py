"""Signed URLs that a browser may be sent to: type and disposition of the answer are what they should be."""

from typing import Any

import httpx
import pytest

from fastapi_filestore.errors import SigningUnavailableError
from fastapi_filestore.storage.backend import DownloadURLs, LocalObjects
from fastapi_filestore.storage.obstore.opening.credentials import StaticCredentials
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.stores import make_backend

TYPE, DISPOSITION = "text/html", "attachment; filename=\"a b.html\"; filename*=UTF-8''%C3%A4%20b.html"


async def signed(backend: ObstoreBackend, **said: str) -> str:
    """Sign a URL of an object that was stored as something else."""
    await backend.put("a/k y", b"bytes", content_type="image/png", content_disposition="inline")
    said = {"content_type": TYPE, "content_disposition": DISPOSITION} | said
    return (await backend.sign_download("a/k y", expires_in=60, **said)).url


async def fetched(url: str) -> httpx.Response:
    """Fetch a URL."""
    async with httpx.AsyncClient() as client:
        return await client.get(url)


@pytest.mark.parametrize("kind", ["seaweedfs", "azurite"])
async def test_the_answer_says_what_was_signed(kind: str, request: pytest.FixtureRequest) -> None:
    """Type and disposition are the signed ones, whatever was stored, and can't be changed afterwards."""
    url = await signed(make_backend(kind, request))
    answer, tampered = await fetched(url), await fetched(url.replace("attachment", "inline"))

    assert (answer.status_code, answer.content) == (200, b"bytes")
    assert (answer.headers["content-type"], answer.headers["content-disposition"]) == (TYPE, DISPOSITION)
    assert tampered.status_code == 403


@pytest.mark.parametrize("is_async", [True, False])
async def test_keys_of_a_provider(request: pytest.FixtureRequest, seaweedfs: Any, is_async: bool) -> None:
    """Keys that a provider gives sign as well, whether it is asynchronous or not."""
    keys = StaticCredentials(seaweedfs.access_key, seaweedfs.secret_key, None)

    async def provide() -> Any:
        return keys()

    plain = {"aws_access_key_id": None, "aws_secret_access_key": None}
    backend = make_backend("seaweedfs", request, **plain, credential_provider=provide if is_async else keys)

    assert (await fetched(await signed(backend))).headers["content-type"] == TYPE


@pytest.mark.parametrize(
    ("stored", "disposition", "wanted", "safe"),
    [
        ("text/html", "attachment; filename=x", "attachment", True),
        ("text/html", "Attachment", "attachment", True),
        ("text/html", "inline", "attachment", False),
        ("text/html", None, "attachment", False),
        ("text/html", "attachment; filename=x", "inline", True),
        ("image/png", "attachment", "attachment", False),
    ],
)
async def test_a_store_that_cannot_be_held_to_it(
    request: pytest.FixtureRequest, stored: str, disposition: str | None, wanted: str, safe: bool
) -> None:
    """Where the signature can't say so, what was stored must be as safe, or there is no URL."""
    backend = make_backend("gcs", request)
    await backend.put("k", b"bytes", content_type=stored, content_disposition=disposition)
    signing = backend.sign_download("k", expires_in=60, content_type=TYPE, content_disposition=f"{wanted}; filename=y")
    if safe:
        assert (await signing).method == "GET"
    else:
        with pytest.raises(SigningUnavailableError, match="held to"):
            await signing


@pytest.mark.parametrize("kind", ["local", "memory"])
async def test_a_store_without_urls(kind: str, request: pytest.FixtureRequest) -> None:
    """A local folder and memory have none; the folder is known, for a server in front to read from."""
    backend = make_backend(kind, request)
    with pytest.raises(SigningUnavailableError):
        await signed(backend)

    assert (backend.folder is not None) == (kind == "local")
    assert isinstance(backend, DownloadURLs)
    assert isinstance(backend, LocalObjects)
