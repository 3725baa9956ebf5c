"""Files of S3 that clients store in parts, or by a form: only the application makes an object of parts."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_filestore import SigningUnavailableError, WrappedBackend
from fastapi_filestore.storage.client_parts import (
    MOST_PARTS,
    PartedObjects,
    PartsOfClients,
    SignedForm,
    size_of_parts,
)
from fastapi_filestore.storage.obstore import client_parts
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.stores import MIB, make_backend

PATH = "a/ä b"
FIRST, LAST = bytes(5 * MIB), b"the end"


def parts_of(backend: object) -> PartsOfClients:
    """Return what lets clients store in parts."""
    assert isinstance(backend, PartedObjects)
    assert backend.client_parts is not None
    return backend.client_parts


async def store(parts: PartsOfClients, upload_id: str, number: int, content: bytes, size: int | None = None) -> int:
    """Store a part as a client does, and return the status."""
    signed = await parts.sign(PATH, upload_id, number, expires_in=60, size=size)
    async with httpx.AsyncClient() as client:
        return (await client.put(signed.url, content=content)).status_code


async def post(form: SignedForm, content: bytes, **changes: str) -> int:
    """Post a form as a client does, and return the status."""
    async with httpx.AsyncClient() as client:
        fields = {**form.fields, **changes}
        return (await client.post(form.url, data=fields, files={"file": ("a", content)})).status_code


async def test_parts_become_an_object(s3: ObstoreBackend) -> None:
    """Parts that a client stored by signed URLs are one object once they are completed, and none before."""
    parts = parts_of(s3)
    upload_id = await parts.begin(PATH, content_type="image/png")
    statuses = [await store(parts, upload_id, 2, LAST), await store(parts, upload_id, 1, FIRST)]
    listed = await parts.list(PATH, upload_id)
    assert listed is not None
    assert [info async for info in s3.list()] == []
    await parts.complete(PATH, upload_id, listed)
    info = await s3.head(PATH)

    assert statuses == [200, 200]
    assert [(part.number, part.size) for part in listed] == [(1, len(FIRST)), (2, len(LAST))]
    assert (info.size, info.content_type) == (len(FIRST) + len(LAST), "image/png")
    assert await (await s3.open(PATH, start=len(FIRST))).read() == LAST


async def test_a_signature_is_good_for_nothing_afterwards(s3: ObstoreBackend) -> None:
    """Who still holds the URL of a part changes nothing, and completing once more is fine."""
    parts = parts_of(s3)
    upload_id = await parts.begin(PATH, content_type="text/plain")
    assert await store(parts, upload_id, 1, LAST) == 200
    listed = await parts.list(PATH, upload_id) or ()
    await parts.complete(PATH, upload_id, listed)
    await parts.complete(PATH, upload_id, listed)

    assert await store(parts, upload_id, 1, b"evil") == 404
    assert await parts.list(PATH, upload_id) is None
    assert await (await s3.open(PATH)).read() == LAST


async def test_an_aborted_one_leaves_nothing(s3: ObstoreBackend) -> None:
    """Its parts are gone, nobody stores more, and it may be aborted once more."""
    parts = parts_of(s3)
    upload_id = await parts.begin(PATH, content_type="text/plain")
    assert await store(parts, upload_id, 1, LAST) == 200
    await parts.abort(PATH, upload_id)
    await parts.abort(PATH, upload_id)

    assert await store(parts, upload_id, 2, LAST) == 404
    assert await parts.list(PATH, upload_id) is None
    assert [upload async for upload in s3.unfinished_uploads()] == []


async def test_a_part_is_as_long_as_announced(s3: ObstoreBackend) -> None:
    """A part whose length is known is signed with it: nobody stores more."""
    parts = parts_of(s3)
    upload_id = await parts.begin(PATH, content_type="text/plain")

    assert await store(parts, upload_id, 1, LAST + b"!", size=len(LAST)) == 403
    assert await store(parts, upload_id, 1, LAST, size=len(LAST)) == 200
    await parts.abort(PATH, upload_id)


async def test_many_parts_are_listed(s3: ObstoreBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing of several pages is read to its end."""
    parts = parts_of(s3)
    upload_id = await parts.begin(PATH, content_type="text/plain")
    for number in (1, 2, 3):
        assert await store(parts, upload_id, number, LAST) == 200
    monkeypatch.setattr(client_parts, "PAGE", 2)
    listed = await parts.list(PATH, upload_id) or ()
    await parts.abort(PATH, upload_id)

    assert [part.number for part in listed] == [1, 2, 3]


async def test_a_form_stores_what_it_is_signed_for(s3: ObstoreBackend) -> None:
    """Its object has the path and type that were signed, and at most so many bytes."""
    form = await parts_of(s3).sign_form(PATH, expires_in=60, content_type="image/png", most=len(LAST))

    assert await post(form, LAST + b"!") in {400, 403}
    assert await post(form, LAST, key="other") in {400, 403}
    assert await post(form, LAST, **{"Content-Type": "text/html"}) in {400, 403}
    assert [info async for info in s3.list()] == []
    assert await post(form, LAST) == 201
    assert (await s3.head(PATH)).content_type == "image/png"


@pytest.mark.parametrize("kind", ["memory", "local", "azurite", "gcs"])
def test_other_stores_have_none(kind: str, request: pytest.FixtureRequest) -> None:
    """Only S3 has parts that clients store."""
    assert make_backend(kind, request).client_parts is None


async def test_without_boto3(s3: ObstoreBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that is missing is named."""
    monkeypatch.setattr(client_parts, "find_boto_session", lambda: None)

    with pytest.raises(SigningUnavailableError, match=r"fastapi-filestore\[aws\]"):
        await parts_of(s3).begin(PATH, content_type="text/plain")


def test_who_signs_otherwise_has_no_parts(s3: ObstoreBackend) -> None:
    """What is wrapped around a backend and withholds signatures withholds those of parts, too."""

    class Sealed(WrappedBackend):
        withheld = frozenset({"sign"})

    assert isinstance(WrappedBackend(s3), PartedObjects)
    assert not isinstance(Sealed(s3), PartedObjects)


@given(st.integers(0, 5 * 2**40))
def test_parts_are_few_enough(size: int) -> None:
    """However large a file is, no more parts are needed than there may be."""
    part = size_of_parts(size)

    assert part % MIB == 0
    assert part >= 16 * MIB
    assert -(-size // part) <= MOST_PARTS
