"""Where upload URLs lead, nothing else is stored, and what is stored there is read as what it is."""

from contextlib import suppress
from typing import Any

import pytest
from httpx import AsyncClient, Response

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    InvalidKeyError,
    ObstoreBackend,
    SigningUnavailableError,
    StorageRegistry,
)
from fastapi_filestore.storage.paths import (
    generate_upload_path,
    is_generated,
    is_upload_path,
    leads_to_uploads,
    upload_expiry,
)
from fastapi_filestore.storage.signing import UrlSigner
from tests.file_object.conftest import keys
from tests.file_object.places import KEY, PNG, Place, opened, place
from tests.storage.stores import make_backend

__all__ = ["place"]


@pytest.mark.parametrize("path", ["mine", "a/b", ".filestore-uploads/mine", ".filestore-uploads/" + "0" * 39])
async def test_no_other_path_is_signed_for_uploads(place: Place, path: str) -> None:
    """A path of one's own is refused with the remedy, by the file and by the registry, and the file stays as it was."""
    file = place.file(path=path)
    with pytest.raises(ConfigurationError, match="Leave path= out"):
        await file.sign_async(for_upload=True)
    with pytest.raises(ConfigurationError, match="Leave path= out"):
        await place.registry.sign(place.backend.key, path, method="PUT", expires_in=60)

    assert file.path == path


async def test_the_applications_own_route_stores_nowhere_else(request: pytest.FixtureRequest) -> None:
    """A good signature of another version, for another path, is refused."""
    async with opened("memory", request) as place:
        signer = place.registry.signer
        assert isinstance(signer, UrlSigner)
        sent = await place.send(signer.sign(place.backend.key, "a/b", method="PUT", expires_in=60), b"x")

        assert sent.status_code == 403
        assert await keys(place.backend) == set()


SPELLINGS = [
    ".filestore-uploads/a",
    ".filestore-uploads",
    "/.filestore-uploads/a",
    "./.filestore-uploads/a",
    "//.filestore-uploads//a",
    "a/../.filestore-uploads/b",
    ".filestore-uploads/../.filestore-uploads/a",
    ".\\.filestore-uploads\\a",
    ".FileStore-Uploads/a",
    f".filestore-uploads/{'7' * 40}",
]


@pytest.mark.parametrize("path", SPELLINGS)
async def test_no_content_of_ones_own_goes_there(path: str, registry: StorageRegistry, memory: ObstoreBackend) -> None:
    """A path that somebody chose never leads to where clients store, however it is spelt."""
    assert leads_to_uploads(path)
    with pytest.raises(InvalidKeyError, match="filestore-uploads"):
        await FileObject("memory", path=path, content=b"x", registry=registry).save_async()

    assert await keys(memory) == set()


@pytest.mark.parametrize("path", [*SPELLINGS[1:-1], ".filestore-uploads/a"])
async def test_nothing_of_another_form_is_taken_from_there(
    path: str, registry: StorageRegistry, memory: ObstoreBackend
) -> None:
    """What lies there under another name than an upload URL's, or is spelt in another way, is confirmed by nobody."""
    with suppress(InvalidKeyError):
        await memory.put(path, b"x")
    with pytest.raises(InvalidKeyError, match="upload URLs"):
        await FileObject("memory", path=path, registry=registry).confirm_async()


@pytest.mark.parametrize("path", ["filestore-uploads/a", "a/.filestore-uploads/b", ".filestore-uploads2/a", ".a/b"])
async def test_other_paths_are_fine(path: str, registry: StorageRegistry) -> None:
    """What only looks like it is a path like any other."""
    assert (await FileObject("memory", path=path, content=b"x", registry=registry).save_async()).path == path


@pytest.mark.parametrize(
    "fs",
    [
        "s3://b/.filestore-uploads",
        "s3://b/.filestore-uploads/x/",
        "gs://b/.Filestore-Uploads/x",
        "az://c/a/.filestore-uploads",
        "{folder}/.filestore-uploads",
        "{folder}/.filestore-uploads/x",
    ],
)
def test_no_backend_is_there(fs: str, tmp_path: Any) -> None:
    """No prefix and no folder leads to where clients store."""
    options: dict[str, Any] = {"azure_storage_account_name": "a"} if fs.startswith("az") else {}
    with pytest.raises(ConfigurationError, match="upload URLs"):
        ObstoreBackend("mine", fs.format(folder=tmp_path), **options)


async def test_a_path_says_how_long_it_is_good_for(registry: StorageRegistry) -> None:
    """Signing once more is for the same path, and refused if that is cleared away before the new URL ends."""
    registry.signer = UrlSigner([KEY], base_url="/")
    file = FileObject("memory", registry=registry)
    await file.sign_async(for_upload=True, expires_in=60)
    path = str(file.path)
    await file.sign_async(for_upload=True, expires_in=600)
    with pytest.raises(ConfigurationError, match="new FileObject"):
        await file.sign_async(for_upload=True, expires_in=8000)

    assert file.path == path
    assert is_upload_path(path)
    assert not is_upload_path(path + "0")
    assert upload_expiry(path) > 0 == upload_expiry("a")
    assert upload_expiry(generate_upload_path(10**12)) == 0xFFFFFFFF
    assert len({generate_upload_path(60) for _ in range(100)}) == 100


async def fetched(place: Place, url: str) -> Response:
    """Fetch a URL."""
    if url.startswith("/"):
        return await place.client.get(url)
    async with AsyncClient() as client:
        return await client.get(url)


@pytest.mark.parametrize("stored_as", ["image/png", "text/html"])
async def test_a_signed_download_is_of_the_files_type(place: Place, stored_as: str) -> None:
    """Whatever an operator, or a client, has stored with the object, a browser gets what the file says."""
    await place.backend.put("import/ä", b"<script>", content_type=stored_as, content_disposition="inline")
    file = await place.file("ä.html", path="import/ä").confirm_async()
    answer = await fetched(place, await file.sign_async())

    assert (answer.status_code, answer.content) == (200, b"<script>")
    assert answer.headers["content-type"].partition(";")[0] == "text/html"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "UTF-8''%C3%A4.html" in answer.headers["content-disposition"]


async def test_a_download_that_nobody_can_hold_to_its_type(request: pytest.FixtureRequest) -> None:
    """Where a store can't be held to the type, and the application does not sign, the error says what to do."""
    registry, backend = StorageRegistry(), make_backend("gcs", request)
    registry.register_backend(backend)
    await backend.put("import", b"<script>", content_type="text/html")
    file = await FileObject("gcs", "a.png", path="import", registry=registry).confirm_async()
    with pytest.raises(SigningUnavailableError, match="FILESTORE_SIGNING_KEYS"):
        await file.sign_async()


async def test_a_copy_of_what_a_client_stored(place: Place) -> None:
    """`copy_async` makes one of what is there, at a path of its own."""
    await place.backend.put(path := generate_upload_path(60), b"client")
    copy = await place.file(path=path).copy_async()

    assert is_generated(str(copy.path))
    assert await copy.get_content_async() == b"client"


async def test_a_type_that_nobody_declared(request: pytest.FixtureRequest) -> None:
    """A client that sends no type to S3 is believed to have sent the one that the URL was signed for."""
    async with opened("seaweedfs", request) as place:
        file = place.file(content_types=["image/*"])
        await file.signed_url_async(method="PUT")
        await place.backend.put(str(file.path), PNG, content_type="binary/octet-stream")

        assert (await file.confirm_async()).content_type == "image/png"
