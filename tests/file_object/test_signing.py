"""Signed URLs of a file: for download, for upload, by the store or by the application."""

import httpx
import pytest

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    ObjectNotFoundError,
    ObstoreBackend,
    SigningUnavailableError,
    StorageRegistry,
)
from fastapi_filestore.file_object import FileState
from fastapi_filestore.storage.paths import is_generated
from fastapi_filestore.storage.signing import UrlSigner
from tests.file_object.conftest import keys

BASE = "https://example.com/filestore/"


@pytest.fixture
def signer(registry: StorageRegistry) -> UrlSigner:
    """The signer of the registry."""
    signer = UrlSigner(["a-signing-key-that-is-long-enough-for-all"], base_url=BASE)
    registry.signer = signer
    return signer


async def test_what_is_confirmed_is_a_copy(s3: ObstoreBackend, registry: StorageRegistry) -> None:
    """What a client stores with the URL is where it can overwrite it; confirmed, the file is a copy that it can't."""
    file = FileObject(s3.key, "a.txt", registry=registry)
    signed = await file.signed_url_async(expires_in=60, method="PUT")
    async with httpx.AsyncClient() as client:
        answer = await client.put(signed.url, content=b"hello", headers=dict(signed.headers))

    upload, before = file.path, await file.get_content_async()
    await file.confirm_async()

    assert answer.status_code == 200
    assert (before, file.size, await file.get_content_async()) == (b"hello", 5, b"hello")
    assert is_generated(str(file.path))
    assert await keys(s3) == {file.path, upload}


async def test_signing_twice_is_one_key(s3: ObstoreBackend, registry: StorageRegistry) -> None:
    """A second upload URL is for the same object."""
    file = FileObject(s3.key, "a.txt", registry=registry)
    await file.sign_async(for_upload=True)
    path = file.path
    await file.sign_async(for_upload=True)

    assert file.path == path


async def test_saving_what_was_signed_for_upload(
    memory: ObstoreBackend, registry: StorageRegistry, signer: UrlSigner
) -> None:
    """The application may store the bytes itself, at a path that nobody has a URL for."""
    file = FileObject("memory", "a.txt", registry=registry)
    await file.sign_async(for_upload=True)
    await file.save_async(b"hello")

    assert is_generated(str(file.path))
    assert await keys(memory) == {file.path}


async def test_saving_never_overwrites_an_upload(
    memory: ObstoreBackend, registry: StorageRegistry, signer: UrlSigner
) -> None:
    """What a client stored with the URL stays beside the application's own bytes."""
    file = FileObject("memory", "a.txt", content=b"ours", registry=registry)
    await file.sign_async(for_upload=True)
    upload = str(file.path)
    await memory.put(upload, b"theirs")
    await file.save_async()

    assert await file.get_content_async() == b"ours"
    assert await (await memory.open(upload)).read() == b"theirs"


async def test_a_missing_upload(s3: ObstoreBackend, registry: StorageRegistry) -> None:
    """Confirming an upload that never came is an error."""
    file = FileObject(s3.key, "a.txt", registry=registry)
    await file.sign_async(for_upload=True)

    with pytest.raises(ObjectNotFoundError):
        await file.confirm_async()


async def test_without_a_signing_key(registry: StorageRegistry) -> None:
    """Where nobody can sign, the error says so and the file stays as it was."""
    file = FileObject("memory", "a.txt", content=b"hello", registry=registry)
    with pytest.raises(SigningUnavailableError, match="FILESTORE_SIGNING_KEYS"):
        await file.sign_async(for_upload=True)

    assert (file.state, file.path) == (FileState.PENDING, None)


async def test_what_the_application_signs(registry: StorageRegistry, signer: UrlSigner) -> None:
    """The application's own URL holds backend, key, type and name inside its signature."""
    file = await FileObject("memory", "a b.txt", content=b"hello", registry=registry).save_async()
    url = await file.sign_async(expires_in=60)
    claims = signer.verify(url.removeprefix(BASE), method="GET")

    assert (claims.backend, claims.path) == ("memory", file.path)
    assert (claims.content_type, claims.filename) == ("text/plain", "a b.txt")


async def test_headers_of_an_upload(registry: StorageRegistry, signer: UrlSigner) -> None:
    """The answer to an upload's signing says which headers the client must send."""
    file = FileObject("memory", "a.pdf", registry=registry)
    signed = await file.signed_url_async(method="PUT")

    assert {name.lower(): value for name, value in signed.headers.items()} == {"content-type": "application/pdf"}
    assert signed.method == "PUT"


@pytest.mark.parametrize("expires_in", [0, -1])
async def test_senseless_expiry(registry: StorageRegistry, signer: UrlSigner, expires_in: int) -> None:
    """A URL that would be expired at once is refused."""
    file = await FileObject("memory", "a.txt", content=b"hello", registry=registry).save_async()

    with pytest.raises(ConfigurationError, match="expires_in"):
        await file.sign_async(expires_in=expires_in)


async def test_the_url_of_a_file(registry: StorageRegistry, signer: UrlSigner) -> None:
    """Only a stored file has a URL of its own, and only with a signing key."""
    file = FileObject("memory", "a.txt", content=b"hello", registry=registry)
    before = file.url
    await file.save_async()
    signed = file.url
    registry.signer = None

    assert before is None
    assert signed is not None
    assert signed.startswith(BASE)
    assert file.url is None
