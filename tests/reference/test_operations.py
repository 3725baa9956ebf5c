"""The reference's file operations, on a real S3 store and on a local folder."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from fastapi_filestore import (
    FileObject,
    StoragePermissionError,
    StorageUnavailableError,
    UploadTooLargeError,
    storages,
)
from fastapi_filestore.file_object.validators import file_rules
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from fastapi_filestore.storage.paths import is_generated
from fastapi_filestore.storage.signing import UrlSigner
from tests.servers.seaweedfs import SeaweedFS

pdf_bytes = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(range(256)) * 64
MIB = 1024 * 1024


@pytest.fixture
async def file_obj(s3: ObstoreBackend) -> FileObject:
    """The reference's invoice, stored."""
    file_obj = FileObject(
        backend="s3",
        filename="invoice.pdf",
        content_type="application/pdf",
        metadata={
            "invoice_number": "INV-2025-001",
            "customer_id": "12345",
            "amount": "1500.00",
        },
        content=pdf_bytes,
    )

    await file_obj.save_async()
    return file_obj


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client that knows no credentials."""
    async with httpx.AsyncClient() as client:
        yield client


async def test_upload_with_metadata(file_obj: FileObject) -> None:
    """Content type and metadata are kept with the object, and in the value."""
    head = await file_obj.head_async()

    assert (head.content_type, head.size) == ("application/pdf", len(pdf_bytes))
    assert (
        head.metadata
        == file_obj.metadata
        == {"invoice_number": "INV-2025-001", "customer_id": "12345", "amount": "1500.00"}
    )


async def test_download_url(file_obj: FileObject, client: httpx.AsyncClient) -> None:
    """A signed download URL gives the bytes to whoever has it."""
    # Download URL (expires in 1 hour)
    download_url = await file_obj.sign_async(expires_in=3600)
    answer = await client.get(download_url)

    assert (answer.status_code, answer.content) == (200, pdf_bytes)
    assert answer.headers["content-type"] == "application/pdf"


async def test_a_download_url_does_not_write(file_obj: FileObject, client: httpx.AsyncClient) -> None:
    """A signed download URL can't be used to store something else."""
    answer = await client.put(await file_obj.sign_async(expires_in=3600), content=b"forged")

    assert answer.status_code == 403
    assert await file_obj.get_content_async() == pdf_bytes


async def test_upload_url(s3: ObstoreBackend, client: httpx.AsyncClient) -> None:
    """A signed upload URL stores the bytes that whoever has it sends."""
    file_obj = FileObject(backend="s3", filename="invoice.pdf", content_type="application/pdf")
    # Upload URL (expires in 5 minutes)
    upload_url = await file_obj.sign_async(expires_in=300, for_upload=True)
    answer = await client.put(upload_url, content=pdf_bytes, headers={"content-type": "application/pdf"})

    assert answer.status_code == 200
    assert await file_obj.get_content_async() == pdf_bytes
    assert (await file_obj.confirm_async()).size == len(pdf_bytes)


async def test_both_urls_of_a_stored_file(file_obj: FileObject, s3: ObstoreBackend, client: httpx.AsyncClient) -> None:
    """The reference's two lines in their order: nobody stores over what is there, and the file becomes what came."""
    before = file_obj.path
    # Download URL (expires in 1 hour)
    download_url = await file_obj.sign_async(expires_in=3600)

    # Upload URL (expires in 5 minutes)
    upload_url = await file_obj.sign_async(expires_in=300, for_upload=True)
    with pytest.raises(FileNotFoundError):  # nobody has stored anything yet
        await file_obj.confirm_async()
    answer = await client.put(upload_url, content=b"%PDF-2.0", headers={"content-type": "application/pdf"})
    assert (answer.status_code, file_obj.path) == (200, before)
    assert (await client.get(download_url)).content == await file_obj.get_content_async() == pdf_bytes
    await file_obj.confirm_async()

    assert await file_obj.get_content_async() == b"%PDF-2.0"
    assert (file_obj.size, file_obj.checksum) == (8, None)
    assert is_generated(str(file_obj.path))
    assert before not in {info.path async for info in s3.list()}
    assert file_obj.path != before


async def test_a_file_that_is_refused_stays_what_it_was(file_obj: FileObject, client: httpx.AsyncClient) -> None:
    """What its column does not take never becomes the file."""
    before = file_obj.path
    upload_url = await file_obj.sign_async(expires_in=300, for_upload=True)
    file_obj.assign(None, file_obj.registry, file_rules(max_size=4))
    await client.put(upload_url, content=b"%PDF-2.0", headers={"content-type": "application/pdf"})
    with pytest.raises(UploadTooLargeError):
        await file_obj.confirm_async()

    assert (file_obj.path, file_obj.is_stored) == (before, True)
    assert await file_obj.get_content_async() == pdf_bytes


def large_file(size: int) -> FileObject:
    """A file of some bytes, to be stored in `s3`."""
    return FileObject(backend="s3", filename="large.bin", content=b"0123456789abcdef" * (size // 16))


async def test_multipart_settings(s3: ObstoreBackend) -> None:
    """The reference's multipart settings store the same bytes as the defaults."""
    automatic, custom, small = large_file(10 * MIB), large_file(10 * MIB), large_file(1024)
    # Default settings (automatic)
    await automatic.save_async()
    # Custom chunk size and concurrency
    await custom.save_async(
        use_multipart=True,
        chunk_size=50 * 1024 * 1024,  # 50 MB chunks
        max_concurrency=20,
    )
    # Disable multipart for small files
    await small.save_async(use_multipart=False)

    assert automatic.size == custom.size == 10 * MIB
    assert automatic.checksum == custom.checksum
    assert await custom.get_content_async() == await automatic.get_content_async()
    assert small.size == 1024


async def test_chunk_size_without_use_multipart(s3: ObstoreBackend) -> None:
    """A chunk size and a concurrency may be given alone."""
    file_obj = large_file(12 * MIB)
    await file_obj.save_async(
        chunk_size=5 * 1024 * 1024,
        max_concurrency=20,
    )

    assert file_obj.size == len(await file_obj.get_content_async()) == 12 * MIB


async def test_concurrent_operations(s3: ObstoreBackend) -> None:
    """A hundred files are stored at once, each under a key of its own."""
    # Upload multiple files concurrently
    files = [FileObject(backend="s3", filename=f"file{i}.txt", content=b"data") for i in range(100)]

    await asyncio.gather(*[f.save_async() for f in files])

    assert {info.path async for info in s3.list()} == {f.path for f in files}
    assert len({f.path for f in files}) == 100


async def test_connection_reuse(s3: ObstoreBackend) -> None:
    """Files of one key use one backend, and so one pool of connections."""
    file1, file2, file3 = (FileObject(backend="s3", filename="a.txt", content=b"data") for _ in range(3))
    # All operations reuse the same connection pool
    await file1.save_async()
    await file2.save_async()
    await file3.save_async()

    assert file1.backend_in_use() is file2.backend_in_use() is file3.backend_in_use() is s3


async def test_local_metadata_is_kept_in_the_row(local: ObstoreBackend) -> None:
    """What a local folder can't hold stays with the value, where the reference loses it."""
    file_obj = FileObject(
        backend="local",
        filename="test.txt",
        content_type="text/plain",
        metadata={"key": "value"},
        content=b"data",
    )
    await file_obj.save_async()

    assert (file_obj.content_type, file_obj.metadata) == ("text/plain", {"key": "value"})
    assert (await file_obj.head_async()).metadata == {}


async def test_local_signed_url(local: ObstoreBackend) -> None:
    """Without a signing key a local file has no signed URL, and the error says how to get one."""
    file_obj = await FileObject(backend="local", filename="test.txt", content=b"data").save_async()

    with pytest.raises(NotImplementedError, match="FILESTORE_SIGNING_KEYS"):
        await file_obj.sign_async(expires_in=3600)


async def test_local_signed_url_with_a_key(local: ObstoreBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a signing key a local file's signed URL is the application's own, and holds no path."""
    signer = UrlSigner(["a-signing-key-that-is-long-enough-for-all"], base_url="https://example.com/filestore/")
    monkeypatch.setattr(storages, "signer", signer)
    file_obj = await FileObject(backend="local", filename="test.txt", content=b"data").save_async()
    url = await file_obj.sign_async(expires_in=3600)

    assert url.startswith("https://example.com/filestore/")
    assert signer.verify(url.removeprefix(signer.base_url), method="GET").path == file_obj.path


async def test_wrong_credentials(seaweedfs: SeaweedFS) -> None:
    """A wrong key is a permission error that names the backend and no secret."""
    storages.register_backend(
        ObstoreBackend(
            key="s3",
            fs=f"s3://{seaweedfs.bucket}/",
            aws_endpoint=seaweedfs.endpoint,
            aws_access_key_id="your-access-key",
            aws_secret_access_key="your-secret-key",
            aws_region="us-west-2",
        )
    )
    with pytest.raises(StoragePermissionError, match="'s3'") as caught:
        await FileObject(backend="s3", filename="a.txt", content=b"data").save_async()

    assert isinstance(caught.value, PermissionError)
    assert "your-secret-key" not in str(caught.value)


async def test_a_dead_endpoint(dead_port: int) -> None:
    """An endpoint that nobody listens at is an unavailable store, not a hang."""
    storages.register_backend(
        ObstoreBackend(
            key="minio",
            fs="s3://my-bucket/",
            aws_endpoint=f"http://127.0.0.1:{dead_port}",
            aws_access_key_id="minioadmin",
            aws_secret_access_key="minioadmin",
            retry_config={"max_retries": 0},
        )
    )

    with pytest.raises(StorageUnavailableError, match="'minio'"):
        await FileObject(backend="minio", filename="a.txt", content=b"data").save_async()


async def test_the_api_after_the_migration(s3: ObstoreBackend, tmp_path: Path) -> None:
    """Save, read and delete are what they were with fsspec."""
    file_obj = FileObject(backend="s3", filename="a.txt", content=b"data")
    await file_obj.save_async()
    content = await file_obj.get_content_async()
    await file_obj.delete_async()

    assert content == b"data"
    assert [info async for info in s3.list()] == []
