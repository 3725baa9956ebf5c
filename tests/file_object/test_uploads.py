"""What a client stores by an upload URL, on every store: judged as a copy that it can't change any more."""

from typing import Any

import pytest

from fastapi_filestore import (
    ObjectNotFoundError,
    ObstoreBackend,
    UnsupportedUploadError,
    UploadTooLargeError,
)
from fastapi_filestore.file_object import FileState
from fastapi_filestore.storage.paths import (
    generate_upload_path,
    is_generated,
)
from tests.file_object.conftest import keys
from tests.file_object.places import PNG, Place, opened, place

__all__ = ["place"]

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
