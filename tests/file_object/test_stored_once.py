"""What a client stores by a URL that writes once: judged where it lies, or copied where a store has none."""

from typing import Any

import pytest

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    ObjectNotFoundError,
    UnsupportedUploadError,
    UploadTooLargeError,
    WrappedBackend,
)
from fastapi_filestore.file_object import FileState
from fastapi_filestore.storage.backend import Announcement, OnceSignedObjects
from fastapi_filestore.storage.paths import (
    LONGEST_ONCE,
    folder_of,
    generate_once_path,
    generate_path,
    is_generated,
    is_once_path,
    is_upload_path,
    upload_expiry,
)
from tests.file_object.conftest import keys
from tests.file_object.places import PNG, Place, opened, place

__all__ = ["place"]

ANNOUNCED = Announcement(size=len(PNG))


async def test_it_is_taken_where_it_lies(place: Place) -> None:
    """The store holds one object, which nobody can store over; where there are no such URLs it is copied as ever."""
    file = place.file(content_types=["image/*"], sniff=True)
    file.prefix = "letters/"
    signed = await file.signed_url_async(method="PUT", once=ANNOUNCED)
    upload, writes_once = str(file.upload_path), place.backend.key not in {"memory", "local"}
    assert (is_once_path(upload), is_upload_path(upload)) == (writes_once, not writes_once)
    with pytest.raises(ObjectNotFoundError):
        await file.confirm_async()
    assert (await place.send(signed, PNG)).is_success
    await file.confirm_async()
    again = await place.send(signed, PNG)

    assert (file.state, file.size, file.path == upload) == (FileState.STORED, len(PNG), writes_once)
    assert not again.is_success
    assert await keys(place.backend) == {file.path, upload}
    assert is_generated(str(file.path))
    assert folder_of(str(file.path)) == "letters/"


@pytest.mark.parametrize("kind", ["seaweedfs", "azurite"])
@pytest.mark.parametrize(
    ("rules", "content", "error"),
    [
        ({"max_size": 10}, PNG, UploadTooLargeError),
        ({"content_types": ["image/*"], "sniff": True}, b"<html><script>", UnsupportedUploadError),
    ],
)
async def test_it_is_judged(
    kind: str, rules: Any, content: bytes, error: type[Exception], request: pytest.FixtureRequest
) -> None:
    """No copy is spared the rules; what is refused is refused again, and goes with its intent."""
    async with opened(kind, request) as place:
        file = place.file(**rules)
        signed = await file.signed_url_async(method="PUT", once=Announcement())
        assert (await place.send(signed, content)).is_success
        for _ in range(2):
            with pytest.raises(error):
                await file.confirm_async()

        assert file.state is FileState.RESERVED
        assert await keys(place.backend) == {file.path}


@pytest.mark.parametrize("kind", ["seaweedfs"])
async def test_every_url_is_for_a_path_of_its_own(kind: str, request: pytest.FixtureRequest) -> None:
    """Signed again, it is for a fresh one, of either kind; one that lives too long is copied."""
    async with opened(kind, request) as place:
        file, paths = place.file(), list[str]()
        for once, seconds in ((ANNOUNCED, 60), (ANNOUNCED, 60), (None, 60)):
            await file.signed_url_async(method="PUT", once=once, expires_in=seconds)
            paths.append(str(file.upload_path))

        assert [is_once_path(path) for path in paths] == [True, True, False]
        assert len(set(paths)) == 3


async def test_no_path_of_ones_own_is_signed_for(request: pytest.FixtureRequest) -> None:
    """Whoever gives a path gets no URL for it, of whichever form it is."""
    async with opened("seaweedfs", request) as place:
        for path in (generate_once_path("", 60), generate_path(), "mine"):
            with pytest.raises(ConfigurationError, match="Leave path= out"):
                await place.file(path=path).signed_url_async(method="PUT", once=ANNOUNCED)
        with pytest.raises(ConfigurationError, match="Leave path="):
            await place.registry.sign_once("seaweedfs", generate_path(), expires_in=60, announced=ANNOUNCED)
        path = generate_once_path("", 60)
        with pytest.raises(ConfigurationError, match="Leave path="):
            await place.registry.sign_once("seaweedfs", path, expires_in=600, announced=ANNOUNCED)


def test_a_path_tells_when_its_url_ends() -> None:
    """In any folder; one that ends later than any URL can is a generated path like any other."""
    path, far = generate_once_path("a/b/", 60), f"{generate_path()}-ffffffff"

    assert 55 < upload_expiry(path) - upload_expiry(generate_once_path("", 0)) < 65
    assert (is_once_path(path), is_generated(path), folder_of(path)) == (True, True, "a/b/")
    assert (is_once_path(far), is_generated(far), upload_expiry(far)) == (False, True, 0)
    assert is_once_path(generate_once_path("", LONGEST_ONCE))
    assert not any(map(is_once_path, (generate_path(), f"{path}0", f"x{generate_once_path('', 60)}", "", "a")))


async def test_a_wrapper_that_signs_itself_is_not_gone_round(request: pytest.FixtureRequest) -> None:
    """One that withholds the store's URLs, or makes its own, has none that write once."""

    class Encrypting(WrappedBackend):
        withheld = frozenset({"sign"})

    async with opened("seaweedfs", request) as place:
        place.registry.register_backend(Encrypting(place.backend), replace=True)
        file = FileObject("seaweedfs", "a.png", registry=place.registry)
        await file.signed_url_async(method="PUT", once=ANNOUNCED)

        assert is_upload_path(str(file.path))
        assert isinstance(WrappedBackend(place.backend), OnceSignedObjects)
