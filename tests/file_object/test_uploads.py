"""What a client stores by an upload URL, on every store: judged as a copy that it can't change any more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    Filestore,
    FilestoreSettings,
    InvalidKeyError,
    ObjectNotFoundError,
    ObstoreBackend,
    SignedURL,
    SigningUnavailableError,
    StorageRegistry,
    UnsupportedUploadError,
    UploadTooLargeError,
)
from fastapi_filestore.file_object import FileState
from fastapi_filestore.file_object.validators import file_rules
from fastapi_filestore.intake.rules import FileRules
from fastapi_filestore.storage.paths import (
    generate_upload_path,
    is_generated,
    is_upload_path,
    leads_to_uploads,
    upload_expiry,
)
from fastapi_filestore.storage.signing import UrlSigner
from tests.file_object.conftest import keys
from tests.storage.stores import KINDS, make_backend

KEY = "a-signing-key-that-is-long-enough-for-all"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


class Place:
    """A backend of some kind, and a client that stores there by itself."""

    def __init__(self, backend: ObstoreBackend, registry: StorageRegistry, client: AsyncClient) -> None:
        self.backend, self.registry, self.client = backend, registry, client

    def file(self, filename: str = "a.png", *, path: str | None = None, **rules: Any) -> FileObject:
        """Return a file for a column with some rules."""
        file = FileObject(self.backend.key, filename, path=path, registry=self.registry)
        file.assign(None, self.registry, file_rules(**rules) if rules else FileRules())
        return file

    async def send(self, signed: SignedURL, content: bytes, **headers: str) -> Response:
        """Store bytes by an upload URL."""
        if signed.url.startswith("/"):
            return await self.client.put(signed.url, content=content, headers={**signed.headers, **headers})
        async with AsyncClient() as client:
            kept = {name: value for name, value in signed.headers.items() if name not in headers}
            return await client.put(signed.url, content=content, headers={**kept, **headers})


@asynccontextmanager
async def opened(kind: str, request: pytest.FixtureRequest, **settings: Any) -> AsyncIterator[Place]:
    """Open a place."""
    registry, backend = StorageRegistry(), make_backend(kind, request)
    registry.register_backend(backend)
    files = Filestore(settings=FilestoreSettings(_env_file=None, signing_keys=[KEY], **settings), registry=registry)
    app = FastAPI()
    app.include_router(files.signed_router())
    async with files.lifespan(app), AsyncClient(transport=ASGITransport(app), base_url="http://site") as client:
        yield Place(backend, registry, client)


@pytest.fixture(params=KINDS)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A place of every kind."""
    async with opened(request.param, request) as place:
        yield place


REPLAYS: dict[str, tuple[bytes, dict[str, str]]] = {
    "other bytes": (b"evil!", {}),
    "other length": (b"evil and longer", {}),
    "nothing": (b"", {}),
    "other type": (b"<script>", {"content-type": "text/html"}),
}


@pytest.mark.parametrize("replay", REPLAYS)
async def test_a_url_used_again_changes_nothing(place: Place, replay: str) -> None:
    """Whatever the client stores once more, the file that was confirmed is the same, in all that it says of itself."""
    file = place.file()
    signed = await file.signed_url_async(method="PUT")
    upload = str(file.path)
    assert (await place.send(signed, b"right")).is_success
    await file.confirm_async()
    before = await file.head_async()
    content, headers = REPLAYS[replay]
    await place.send(signed, content, **headers)

    assert is_generated(str(file.path))
    assert await file.get_content_async() == b"right"
    assert (await file.head_async()) == before
    assert (file.size, file.etag) == (before.size, before.etag) == (5, before.etag)
    assert await keys(place.backend) == {file.path, upload}


async def test_a_url_used_again_before_it_is_confirmed(place: Place) -> None:
    """What is there when the copy is made counts; a deleted one is as if nobody had stored it."""
    file = place.file()
    signed = await file.signed_url_async(method="PUT")
    with pytest.raises(ObjectNotFoundError):
        await file.confirm_async()
    await place.send(signed, b"first")
    await place.backend.delete(str(file.path))
    with pytest.raises(ObjectNotFoundError):
        await file.confirm_async()
    await place.send(signed, b"second")
    await file.confirm_async()

    assert await file.get_content_async() == b"second"
    assert file.size == 6


async def test_a_large_one_is_copied(place: Place) -> None:
    """Several parts, and where a store does not copy by itself, they pass through."""
    content = b"0123456789abcdef" * 800_000
    file = place.file()
    await place.backend.put(path := generate_upload_path(60), content)
    file.path = path
    await file.confirm_async()

    assert (file.size, await file.get_content_async()) == (len(content), content)


@pytest.mark.parametrize(
    ("rules", "content", "error"),
    [
        ({"max_size": 10}, PNG, UploadTooLargeError),
        ({"content_types": ["image/*"], "sniff": True}, b"<html><script>", UnsupportedUploadError),
        ({"content_types": ["image/*"], "sniff": True}, PNG, None),
        ({"max_size": len(PNG)}, PNG, None),
    ],
)
async def test_the_copy_is_judged(place: Place, rules: Any, content: bytes, error: type[Exception] | None) -> None:
    """What the column refuses leaves no copy, and may be stored once more."""
    file = place.file(**rules)
    signed = await file.signed_url_async(method="PUT")
    upload = str(file.path)
    assert (await place.send(signed, content)).is_success
    if error is None:
        await file.confirm_async()
        assert await keys(place.backend) == {file.path, upload}
    else:
        with pytest.raises(error):
            await file.confirm_async()
        assert (file.state, file.path, file.custody.fresh) == (FileState.RESERVED, upload, False)
        assert await keys(place.backend) == {upload}


async def test_a_copy_of_what_was_stored_meanwhile_is_judged(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored between the first look and the copy is judged as it was copied."""
    file, copy = place.file(max_size=10), type(place.backend).copy
    await place.backend.put(upload := generate_upload_path(60), b"small")
    file.path = upload

    async def too_late(backend: ObstoreBackend, source: str, target: str) -> None:
        await backend.put(source, b"x" * 11)
        await copy(backend, source, target)

    monkeypatch.setattr(type(place.backend), "copy", too_late)
    with pytest.raises(UploadTooLargeError):
        await file.confirm_async()

    assert await keys(place.backend) == {upload}


@pytest.mark.parametrize("kind", ["seaweedfs", "azurite", "gcs"])
async def test_another_type_than_was_signed_for(kind: str, request: pytest.FixtureRequest) -> None:
    """Where a store's URL takes any type, the one that the client sent must be one that the column takes."""
    async with opened(kind, request) as place:
        file = place.file(content_types=["image/*"])
        sent = await place.send(await file.signed_url_async(method="PUT"), b"<script>", **{"content-type": "text/html"})
        assert sent.is_success
        with pytest.raises(UnsupportedUploadError):
            await file.confirm_async()


@pytest.mark.parametrize("kind", ["memory", "seaweedfs"])
async def test_limits(kind: str, request: pytest.FixtureRequest) -> None:
    """Of the URL and of the application, the smaller one holds, before anything is copied."""
    async with opened(kind, request, max_upload_size=100) as place:
        for max_size, size, is_right in ((10, 11, False), (10, 10, True), (1000, 101, False), (None, 101, False)):
            file = place.file()
            await file.signed_url_async(method="PUT", max_size=max_size)
            await place.backend.put(str(file.path), b"x" * size)
            if is_right:
                assert (await file.confirm_async()).size == size
            else:
                with pytest.raises(UploadTooLargeError):
                    await file.confirm_async()


# -- which paths -----------------------------------------------------------------------------------------


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


# -- downloads -------------------------------------------------------------------------------------------


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
