"""Putting content of every form, on every store."""

import hashlib
import io
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import UploadFile

from fastapi_filestore.errors import ConfigurationError, ContentError, ObjectExistsError, UnsupportedContentError
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.stores import MIB

BODY = b"\x00\xffsome bytes\r\n" * 100
LONG = hashlib.sha256(b"seed").digest() * (11 * MIB // 32)
"""More than two parts of 5 MiB."""


async def _async_chunks(body: bytes, size: int = MIB) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def _chunks(body: bytes, size: int = MIB) -> Iterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


def _on_disk(folder: Path, body: bytes) -> Path:
    path = folder / "content"
    path.write_bytes(body)
    return path


FORMS: dict[str, Callable[[Path, bytes], Any]] = {
    "bytes": lambda folder, body: body,
    "bytearray": lambda folder, body: bytearray(body),
    "memoryview": lambda folder, body: memoryview(body),
    "path": _on_disk,
    "file": lambda folder, body: io.BytesIO(body),
    "UploadFile": lambda folder, body: UploadFile(io.BytesIO(body), filename="a"),
    "iterator": lambda folder, body: _chunks(body),
    "list": lambda folder, body: [*_chunks(body)],
    "async iterator": lambda folder, body: _async_chunks(body),
}


async def _read(backend: ObstoreBackend, path: str) -> bytes:
    return await (await backend.open(path)).read()


@pytest.mark.works_with("SeaweedFS (S3)", "Azurite (Azure Blob Storage)", "fake-gcs-server (Google Cloud Storage)")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("body", [b"", BODY], ids=["empty", "short"])
async def test_every_form(backend: ObstoreBackend, tmp_path: Path, form: str, body: bytes) -> None:
    """Content of every form comes back byte for byte, and its size is counted."""
    info = await backend.put("a/b", FORMS[form](tmp_path, body))

    assert await _read(backend, "a/b") == body
    assert (info.path, info.size) == ("a/b", len(body))


@pytest.mark.parametrize("form", ["bytes", "path", "file", "iterator", "async iterator"])
async def test_long_content(backend: ObstoreBackend, tmp_path: Path, form: str) -> None:
    """Content longer than a part is uploaded in parts and comes back byte for byte."""
    info = await backend.put("long", FORMS[form](tmp_path, LONG), chunk_size=5 * MIB)

    assert await _read(backend, "long") == LONG
    assert info.size == len(LONG)


@pytest.mark.parametrize("use_multipart", [True, False])
@pytest.mark.parametrize("body", [b"", BODY, LONG], ids=["empty", "short", "long"])
async def test_multipart_by_choice(backend: ObstoreBackend, body: bytes, use_multipart: bool) -> None:
    """Parts can be forced and forbidden for content of any length."""
    await backend.put("k", _async_chunks(body), use_multipart=use_multipart, chunk_size=5 * MIB, max_concurrency=3)

    assert await _read(backend, "k") == body


async def test_what_put_returns(backend: ObstoreBackend) -> None:
    """What a put returns agrees with what a head says afterwards."""
    info = await backend.put("k", BODY)
    head = await backend.head("k")

    assert (info.size, info.etag, info.version_id) == (head.size, head.etag, head.version_id)
    assert head.etag
    assert abs(info.last_modified - head.last_modified) < timedelta(seconds=3)
    assert datetime.now(UTC) - head.last_modified < timedelta(minutes=1)


@pytest.mark.parametrize("body", [b"", BODY, LONG], ids=["empty", "short", "long"])
async def test_if_absent_never_overwrites(backend: ObstoreBackend, body: bytes) -> None:
    """With if_absent an object that exists stays as it is, whatever the length of the new one."""
    await backend.put("k", b"first", if_absent=True)
    with pytest.raises(ObjectExistsError) as caught:
        await backend.put("k", _async_chunks(body), if_absent=True, chunk_size=5 * MIB)

    assert await _read(backend, "k") == b"first"
    assert (caught.value.backend, caught.value.path) == (backend.key, "k")


async def test_if_absent_of_long_content(backend: ObstoreBackend) -> None:
    """With if_absent long content is stored as well."""
    await backend.put("k", _async_chunks(LONG), if_absent=True, chunk_size=5 * MIB)

    assert await _read(backend, "k") == LONG


@pytest.mark.parametrize("content", ["/etc/hostname", {"a": 1}, None, 5, object()])
async def test_refused_forms(memory: ObstoreBackend, content: Any) -> None:
    """Text, which a store might take for a path, and what has no bytes are refused."""
    with pytest.raises(UnsupportedContentError):
        await memory.put("k", content)

    assert [info async for info in memory.list()] == []


async def test_missing_file(memory: ObstoreBackend, tmp_path: Path) -> None:
    """A path where no file is says so itself, not as a missing object."""
    with pytest.raises(FileNotFoundError) as caught:
        await memory.put("k", tmp_path / "nothing")

    assert type(caught.value) is FileNotFoundError


@pytest.mark.parametrize("chunk_size", [1, 5 * MIB - 1])
async def test_parts_that_s3_refuses(s3: ObstoreBackend, chunk_size: int) -> None:
    """A part smaller than S3 takes is refused before anything is sent."""
    with pytest.raises(ConfigurationError, match="5,242,880"):
        await s3.put("k", _async_chunks(LONG), chunk_size=chunk_size)

    assert [info async for info in s3.list()] == []


@pytest.mark.parametrize("options", [{"chunk_size": 0}, {"chunk_size": -1}, {"max_concurrency": 0}])
async def test_senseless_parts(memory: ObstoreBackend, options: dict[str, Any]) -> None:
    """A part of nothing and nobody to send it are refused."""
    with pytest.raises(ConfigurationError):
        await memory.put("k", b"x", **options)


async def test_small_parts_without_multipart(s3: ObstoreBackend) -> None:
    """A chunk size says nothing where parts are forbidden."""
    info = await s3.put("k", BODY, chunk_size=1, use_multipart=False)

    assert info.size == len(BODY)


async def test_content_type_and_disposition(headed: ObstoreBackend) -> None:
    """Content type and disposition are kept with the object."""
    await headed.put("k", b"x", content_type="text/plain; charset=utf-8", content_disposition='inline; filename="a b"')
    head = await headed.head("k")
    stream = await headed.open("k")

    assert head.content_type == stream.info.content_type == "text/plain; charset=utf-8"


async def test_unknown_content_type(headed: ObstoreBackend) -> None:
    """Without a content type none is guessed from the bytes."""
    info = await headed.put("k", b"<html><script>alert(1)</script>")

    assert info.content_type == (await headed.head("k")).content_type == "application/octet-stream"


@pytest.mark.parametrize("value", ["a\nb", "ü", "a\x00", "\ud800"])
@pytest.mark.parametrize("name", ["content_type", "content_disposition"])
async def test_headers_that_cannot_be(headed: ObstoreBackend, name: str, value: str) -> None:
    """A content type or disposition that no header can hold is an error, not a crash."""
    with pytest.raises(ContentError, match="header"):
        await headed.put("k", b"x", **{name: value})  # type: ignore[arg-type]

    assert [info async for info in headed.list()] == []
