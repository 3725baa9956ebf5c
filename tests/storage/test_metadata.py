"""Metadata of any text, on every store that holds some."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastapi_filestore.errors import ContentError, UnsupportedContentError
from fastapi_filestore.storage.obstore.moving.metadata import MARKER, attributes_for, read_metadata
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.stores import MIB

ANY_TEXT = st.text(st.characters(), max_size=20)
STRANGE = [
    {"k": ""},
    {"k": "ünïcode 日本 😀"},
    {"k": "new\nline\r\n"},
    {"k": "tab\tnul\x00del\x7f"},
    {"k": "lone \ud800 surrogate", "\udfff": "x"},
    {"k": "\ud83d\ude00"},
    {"k": " space around "},
    {"k": "two  spaces"},
    {"k": "=?UTF-8?B?eA==?="},
    {"a-b": "1"},
    {"A": "1", "a": "2"},
    {"a b": "1"},
    {"é": "1"},
    {"": "1"},
    {"1": "digit first"},
    {"a.b:c": "1"},
    {"content-type": "text/html", "Content-Disposition": "inline", "Storage-Class": "GLACIER"},
    {MARKER: "mine"},
    {"filename": 'a "quoted"; name.pdf', "plain": "too"},
]
PLAIN = {"invoice_number": "INV-2025-001", "amount": "1500.00", "note": 'a, b; "c" = d'}


@pytest.mark.parametrize("metadata", STRANGE, ids=ascii)
async def test_any_text(headed: ObstoreBackend, metadata: dict[str, str]) -> None:
    """Text that no header can hold comes back as it was, and the object stays readable."""
    await headed.put("k", b"x", metadata=metadata, content_type="text/plain")
    head, stream = await headed.head("k"), await headed.open("k")

    assert head.metadata == stream.info.metadata == metadata
    assert head.content_type == "text/plain"
    assert await stream.read() == b"x"


async def test_metadata_of_parts(headed: ObstoreBackend) -> None:
    """An upload in parts keeps metadata and content type as a single request does."""
    await headed.put("k", b"x" * 6 * MIB, chunk_size=5 * MIB, metadata=PLAIN, content_type="a/b", if_absent=True)
    head = await headed.head("k")

    assert (head.metadata, head.content_type) == (PLAIN, "a/b")


async def test_none(headed: ObstoreBackend) -> None:
    """Without metadata there is none."""
    info = await headed.put("k", b"x")

    assert (await headed.head("k")).metadata == info.metadata == {}


async def test_plain_stays_plain(s3: ObstoreBackend, boto: Any, seaweedfs: Any) -> None:
    """What a header can hold is stored as it is, for other tools to read."""
    await s3.put("k", b"x", metadata=PLAIN, content_disposition='inline; filename="a"')
    seen = boto.head_object(Bucket=seaweedfs.bucket, Key=f"{s3.url.rpartition('/')[2]}/k")

    assert seen["Metadata"] == PLAIN
    assert seen["ContentDisposition"] == 'inline; filename="a"'


async def test_too_large(s3: ObstoreBackend) -> None:
    """Metadata that S3 would refuse is refused before anything is sent; what just fits is stored."""
    fits = {"k": "x" * 2047}
    await s3.put("fits", b"x", metadata=fits)
    with pytest.raises(ContentError, match="2,048"):
        await s3.put("k", b"x", metadata={"k": "x" * 2048})

    assert (await s3.head("fits")).metadata == fits
    assert [info.path async for info in s3.list()] == ["fits"]


async def test_not_text(memory: ObstoreBackend) -> None:
    """Metadata that is not text is refused by name."""
    with pytest.raises(UnsupportedContentError, match="'pages' is a int"):
        await memory.put("k", b"x", metadata={"pages": 3})  # type: ignore[dict-item]


async def test_local_holds_none(tmp_path: Any) -> None:
    """A local folder keeps bytes only, and says so."""
    backend = ObstoreBackend("local", tmp_path)
    info = await backend.put("k", b"x", content_type="a/b", metadata=PLAIN)

    assert (info.content_type, info.metadata) == (None, {})
    assert (await backend.head("k")).content_type is None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(metadata=st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=4))
async def test_any_mapping(headed: ObstoreBackend, metadata: dict[str, str]) -> None:
    """Any mapping of text to text comes back from any store."""
    await headed.put("k", b"x", metadata=metadata)

    assert (await headed.head("k")).metadata == metadata


@settings(max_examples=300)
@given(metadata=st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=4), azure=st.booleans())
def test_headers_are_safe(metadata: dict[str, str], azure: bool) -> None:
    """Whatever the mapping, what is sent is printable ASCII under keys of lower case, and can be read back."""
    attributes = attributes_for("az" if azure else "s3", metadata=metadata)

    assert attributes is not None
    assert read_metadata(attributes) == metadata
    assert all(value.isascii() and value.isprintable() and value == value.strip() for value in attributes.values())
    assert all(key == key.lower() for key in attributes if key != "Content-Type")


@pytest.mark.parametrize("text", ["not base64!", "WzFd", "////", "eyJhIjogMX0=x"])
def test_foreign_marker(text: str) -> None:
    """An entry of our name that another tool wrote is shown as it is."""
    assert read_metadata({MARKER: text, "a": "b"}) == {MARKER: text, "a": "b"}
