"""Stores that others than the application reach elsewhere: signed URLs for browsers, public addresses for anybody."""

from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from fastapi_filestore import FileObject, StorageRegistry
from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.file_object.record import file_of
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.stores import make_backend

GOOGLE = '{"gcs_base_url": "URL", "disable_oauth": true, "client_email": "", "private_key": "", "private_key_id": ""}'


async def sent(method: str, url: str, **options: Any) -> httpx.Response:
    """Send one request, as a browser would that knows the URL alone."""
    async with httpx.AsyncClient() as client:
        return await client.request(method, url, **options)


def public_endpoint(kind: str, request: pytest.FixtureRequest) -> str:
    """Return the address of a server by its other name."""
    server = request.getfixturevalue(kind)
    endpoint: str = server.endpoint
    assert "127.0.0.1" in endpoint
    return endpoint.replace("127.0.0.1", "localhost")


@pytest.mark.parametrize("kind", ["seaweedfs", "azurite", "gcs"])
async def test_urls_are_signed_for_browsers(kind: str, request: pytest.FixtureRequest) -> None:
    """URLs to read and to write are of the host that browsers reach, and its server accepts their signatures."""
    endpoint = public_endpoint(kind, request)
    backend = make_backend(kind, request, public_endpoint=endpoint)
    path = "a/b" if kind == "gcs" else "a/b c"
    upload = await backend.sign(path, method="PUT", expires_in=60, content_type="text/plain")
    stored = await sent("PUT", upload.url, content=b"bytes", headers=dict(upload.headers))
    said = {"content_type": "text/plain", "content_disposition": "attachment"}
    urls = [(await backend.sign(path, expires_in=60)).url]
    if kind != "gcs":  # which signs no disposition
        urls.append((await backend.sign_download(path, expires_in=60, **said)).url)
    answers = [await sent("GET", url) for url in urls]

    assert stored.is_success, stored.text
    assert {urlsplit(url).netloc for url in [upload.url, *urls]} == {urlsplit(endpoint).netloc}
    assert [answer.content for answer in answers] == [b"bytes"] * len(urls)
    assert (await backend.head(path)).size == 5


async def test_the_signature_is_of_that_host(request: pytest.FixtureRequest) -> None:
    """A URL that was signed for browsers is refused under the name by which the application reaches the store."""
    backend = make_backend("seaweedfs", request, public_endpoint=public_endpoint("seaweedfs", request))
    await backend.put("k", b"bytes")
    signed = await backend.sign("k", expires_in=60)

    assert (await sent("GET", signed.url)).status_code == 200
    assert (await sent("GET", signed.url.replace("localhost", "127.0.0.1"))).status_code == 403


async def test_a_server_in_front_reaches_it_as_the_application_does(request: pytest.FixtureRequest) -> None:
    """What nginx is to fetch is signed for the address that the application uses."""
    backend = make_backend("seaweedfs", request, public_endpoint="https://files.example.com")
    await backend.put("k", b"bytes")
    signed = await backend.sign_for_proxy("k", expires_in=60, content_type="text/plain", content_disposition="inline")

    assert (await sent("GET", signed.url)).content == b"bytes"
    assert urlsplit((await backend.sign("k", expires_in=60)).url).netloc == "files.example.com"


@pytest.mark.parametrize("option", ["allow_http", "client_options"])
async def test_http_may_be_forbidden_to_the_application_alone(option: str) -> None:
    """That the application talks TLS says nothing of the address that browsers use, and the other way round."""
    forbidden: dict[str, object] = {"allow_http": False} if option == "allow_http" else {option: {"allow_http": False}}
    backend = ObstoreBackend(
        "b",
        "s3://bucket",
        aws_endpoint="https://s3.example.com",
        public_endpoint="http://localhost:9000",
        aws_access_key_id="id",
        aws_secret_access_key="secret",
        **forbidden,
    )

    assert (await backend.sign("k", expires_in=60)).url.startswith("http://localhost:9000/bucket/k?")


async def test_the_emulator_of_azure(request: pytest.FixtureRequest) -> None:
    """Azurite's own account signs for another address, too, though nobody gave its key."""
    backend = ObstoreBackend(
        "b", "az://c", azure_storage_use_emulator=True, public_endpoint="http://files.test:10000/devstoreaccount1"
    )

    assert (await backend.sign("k", expires_in=60)).url.startswith("http://files.test:10000/devstoreaccount1/c/k?")


@pytest.mark.parametrize(
    ("fs", "options", "problem"),
    [
        ("s3://b", {"public_endpoint": "files.example.com"}, "public_endpoint .*http"),
        ("s3://b", {"public_endpoint": "http://user:secret@files.example.com"}, "public_endpoint .*password"),
        ("memory://", {"public_endpoint": "http://files.example.com"}, "public_endpoint"),
        ("memory://", {"public_url": "files.example.com"}, "public_url .*begin it with https"),
        ("memory://", {"public_url": "https://u:p@files.example.com"}, "public_url .*password"),
        ("memory://", {"public_url": "https://files.example.com/?a=1"}, r"public_url .*leave out .*\?"),
        ("memory://", {"public_url": 7}, "public_url"),
        ("memory://", {"public_url": "https://[::1"}, "public_url .*IPv6"),
        ("memory://", {"public_url": "https://files.example.com/a b"}, "public_url .*character"),
        ("s3://b", {"public_endpoint": "https://files.example.com?a=secret"}, r"public_endpoint .*\?"),
        ("s3://b", {"public_endpoint": "https://files.example.com/#a"}, "public_endpoint .*#"),
        ("s3://b", {"public_endpoint": "https://files.example.com:99999"}, "public_endpoint .*port"),
        ("s3://b", {"public_endpoint": "https://[v1.a]"}, "public_endpoint .*host"),
        ("az://b", {"connection_string": "AccountKey=c2VjcmV0;BlobEndpoint=https://[::1"}, "BlobEndpoint .*IPv6"),
        ("az://b", {"account_name": "a/b", "account_key": "c2VjcmV0"}, "azure_storage_account_name is no name"),
        ("gs://b", {"google_service_account_key": GOOGLE.replace("URL", "https://[::1")}, "gcs_base_url .*IPv6"),
        (
            "az://b",
            {"connection_string": "AccountKey=c2VjcmV0;AccountName=a b"},
            "AccountName of .* is no name",
        ),
    ],
)
def test_addresses_that_are_none(fs: str, options: dict[str, Any], problem: str) -> None:
    """An address that can't work is refused at once, by the option's name and without its credentials."""
    with pytest.raises(ConfigurationError, match=problem) as raised:
        ObstoreBackend("b", fs, **options)

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("3f/3f1c", "https://cdn.example.com/files/3f/3f1c"),
        ("a b+c/ü?#%.txt", "https://cdn.example.com/files/a%20b%2Bc/%C3%BC%3F%23%25.txt"),
        ("it's~(1)", "https://cdn.example.com/files/it%27s~%281%29"),
    ],
)
async def test_public_files_have_a_plain_address(path: str, address: str) -> None:
    """The URL of a file in a public backend is the backend's address and its path, percent-encoded, and unsigned."""
    registry = StorageRegistry()
    registry.register_backend(ObstoreBackend("public", "memory://", public_url="https://cdn.example.com/files/"))
    file = FileObject("public", "a.txt", content=b"bytes", path=path, registry=registry)
    assert file.url is None
    await file.save_async()

    assert file.url == address


async def test_no_public_address_leads_elsewhere() -> None:
    """A path in a row that no store could hold has no public address: a browser would read it as another one."""
    registry = StorageRegistry()
    registry.register_backend(ObstoreBackend("public", "memory://", public_url="https://cdn.example.com/files"))
    file = file_of({"backend": "public", "path": "../secret", "filename": "a"}, FileObject, registry=registry)

    assert file.url is None


async def test_a_private_backend_has_none() -> None:
    """A file of a backend without a public address has no URL but a signed one."""
    registry = StorageRegistry()
    registry.register_backend(ObstoreBackend("private", "memory://"))
    file = await FileObject("private", "a.txt", content=b"bytes", registry=registry).save_async()

    assert (file.url, file.public_url) == (None, None)


async def test_what_was_set_comes_first() -> None:
    """A URL that the application sets itself is kept, whatever the backend's address is."""
    registry = StorageRegistry()
    registry.register_backend(ObstoreBackend("public", "memory://", public_url="https://cdn.example.com"))
    file = await FileObject("public", "a.txt", content=b"bytes", registry=registry).save_async()
    file.url = "/own"

    assert file.url == "/own"
