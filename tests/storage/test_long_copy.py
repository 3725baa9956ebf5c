"""An object that S3 does not copy by itself: its bytes pass through the process."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import pytest

from fastapi_filestore import FileObject, StorageRegistry
from fastapi_filestore.storage.obstore import driver
from fastapi_filestore.storage.obstore.moving import long_copy
from fastapi_filestore.storage.obstore.moving.reading import resume_reading
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.stores import MIB

BODY = b"".join(bytes([number]) * MIB for number in range(12))


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the store copy no more than 11 MiB at once."""
    monkeypatch.setattr(driver, "COPY_LIMIT", 11 * MIB)


async def test_a_long_copy(s3: ObstoreBackend, boto: Any, seaweedfs: Any) -> None:
    """It has the bytes and everything that is kept beside them, and replaces what was there."""
    disposition = "attachment; filename*=UTF-8''%C3%BC.png"
    await s3.put(
        "a", BODY, content_type="image/png", content_disposition=disposition, metadata={"K": "ü", "plain": "x"}
    )
    await s3.put("b", b"old")
    await s3.copy("a", "b")

    stream = await s3.open("b")
    assert sha256(await stream.read()).digest() == sha256(BODY).digest()
    prefix = s3.url.rpartition("/")[2]
    source, copied = (boto.head_object(Bucket=seaweedfs.bucket, Key=f"{prefix}/{key}") for key in ("a", "b"))
    kept = ("ContentType", "ContentDisposition", "ContentLength", "Metadata")
    assert {name: copied[name] for name in kept} == {name: source[name] for name in kept}


async def test_only_what_is_too_long_passes_through(s3: ObstoreBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object of just the limit is copied by the store."""
    monkeypatch.setattr(driver, "copy_through", None)
    await s3.put("a", BODY[: 11 * MIB])
    await s3.copy("a", "b")

    assert (await s3.head("b")).size == 11 * MIB


async def test_a_copy_of_a_file(s3: ObstoreBackend) -> None:
    """`copy_async` of a file that is too long is a file of its own."""
    registry = StorageRegistry()
    registry.register_backend(s3)
    file = await FileObject(s3.key, "a.bin", content=BODY, registry=registry).save_async()
    copied = await file.copy_async()

    assert copied != file
    assert (copied.size, copied.checksum) == (len(BODY), sha256(BODY).hexdigest())
    assert await copied.get_content_async() == BODY


async def test_a_long_copy_that_is_cancelled(
    s3: ObstoreBackend, boto: Any, seaweedfs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves neither an object nor the parts of one."""
    await s3.put("a", BODY)
    reached = asyncio.Event()

    async def stalling(*arguments: Any, **options: Any) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in resume_reading(*arguments, **options):
            size += len(chunk)
            if size > 8 * MIB:
                reached.set()
                await asyncio.sleep(60)
            yield chunk

    monkeypatch.setattr(long_copy, "resume_reading", stalling)
    copying = asyncio.create_task(s3.copy("a", "b"))
    await reached.wait()
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying

    assert [info.path async for info in s3.list()] == ["a"]
    uploads = boto.list_multipart_uploads(Bucket=seaweedfs.bucket).get("Uploads", [])
    assert not [upload for upload in uploads if upload["Key"].startswith(s3.url.rpartition("/")[2])]
