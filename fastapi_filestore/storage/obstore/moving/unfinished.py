"""List and drop the uploads that killed processes left unfinished in S3, which keeps their parts for ever.

Azure and Google Cloud drop them by themselves. obstore can't list them, so S3 is asked through boto3.
"""

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from os.path import commonprefix
from typing import Any

from obstore.store import S3Store

from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.errors import (
    ConfigurationError,
    StorageError,
    StoragePermissionError,
    StorageUnavailableError,
)
from fastapi_filestore.storage.backend import UnfinishedUpload
from fastapi_filestore.storage.content import iterate_in_threads
from fastapi_filestore.storage.obstore.opening.boto_client import bucket_client


async def abort_uploads_to(store: S3Store, paths: Collection[str], backend: str) -> None:
    """Drop the parts of all unfinished uploads to some paths."""
    # One listing of those that begin alike; each path asked for alone would be a request for each.
    below = commonprefix(list(paths))  # noqa: RUF071 - a prefix of S3 is of characters, too
    async for upload in uploads_in_bucket(store, backend, below=below):
        if upload.path in paths:
            await abort_in_bucket(store, upload, backend)


async def uploads_in_bucket(store: S3Store, backend: str, *, below: str = "") -> AsyncIterator[UnfinishedUpload]:
    """Iterate the unfinished uploads to paths that begin alike."""
    with _translating_boto(backend):
        async with bucket_client(store, backend=backend) as client:
            pages = client.get_paginator("list_multipart_uploads").paginate(
                Bucket=store.config.get("bucket"), Prefix=_prefix(store) + below
            )
            found = (upload for page in pages for upload in page.get("Uploads", ()))
            async for upload in iterate_in_threads(found):
                path = upload["Key"].removeprefix(_prefix(store))
                yield UnfinishedUpload(path, upload["UploadId"], upload["Initiated"])


async def abort_in_bucket(store: S3Store, upload: UnfinishedUpload, backend: str) -> None:
    """Drop the parts of an upload; it is fine if it has ended."""
    with _translating_boto(backend):
        async with bucket_client(store, backend=backend) as client:
            with suppress(client.exceptions.NoSuchUpload):
                await THREADS.run(
                    client.abort_multipart_upload,
                    Bucket=store.config.get("bucket"),
                    Key=_prefix(store) + upload.path,
                    UploadId=upload.upload_id,
                )


def _prefix(store: S3Store) -> str:
    return f"{store.prefix.strip('/')}/" if store.prefix else ""


@contextmanager
def _translating_boto(backend: str) -> Iterator[None]:
    """Turn boto3's errors into ours; the text of theirs may name hosts and keys."""
    try:
        yield
    except (ConfigurationError, StorageError):
        raise
    except Exception as error:
        if not type(error).__module__.startswith(("botocore", "boto3")):
            raise
        # Of an error inside the HTTP client it is there, and None.
        answer: dict[str, Any] = getattr(error, "response", None) or {}
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or "Credential" in type(error).__name__:
            raise StoragePermissionError(
                f"Backend {backend!r} refused to show its unfinished uploads: permit s3:ListBucketMultipartUploads and "
                "s3:AbortMultipartUpload.",
                backend=backend,
            ) from None
        raise StorageUnavailableError(
            f"Backend {backend!r} could not list its unfinished uploads ({type(error).__name__}).", backend=backend
        ) from None
