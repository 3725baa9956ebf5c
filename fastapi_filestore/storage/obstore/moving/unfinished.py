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
    with translating_boto(backend):
        async with bucket_client(store, backend=backend) as client:
            pages = client.get_paginator("list_multipart_uploads").paginate(
                Bucket=store.config.get("bucket"), Prefix=prefix_of(store) + below
            )
            found = (upload for page in pages for upload in page.get("Uploads", ()))
            async for upload in iterate_in_threads(found):
                path = upload["Key"].removeprefix(prefix_of(store))
                yield UnfinishedUpload(path, upload["UploadId"], upload["Initiated"])


async def abort_in_bucket(store: S3Store, upload: UnfinishedUpload, backend: str) -> None:
    """Drop the parts of an upload; it is fine if it has ended."""
    with translating_boto(backend):
        async with bucket_client(store, backend=backend) as client:
            with suppress(client.exceptions.NoSuchUpload):
                await THREADS.run(
                    client.abort_multipart_upload,
                    Bucket=store.config.get("bucket"),
                    Key=prefix_of(store) + upload.path,
                    UploadId=upload.upload_id,
                )


async def has_rule_for_unfinished(store: S3Store, backend: str) -> bool:
    """Tell whether a lifecycle rule of the bucket drops the parts of old unfinished uploads of a backend."""
    refusal = f"Backend {backend!r} refused to show the rules of its bucket: permit s3:GetLifecycleConfiguration"
    with translating_boto(backend, "ask for the rules of its bucket", refusal):
        async with bucket_client(store, backend=backend) as client:
            try:
                answer = await THREADS.run(client.get_bucket_lifecycle_configuration, Bucket=store.config.get("bucket"))
            except client.exceptions.ClientError as error:
                if error.response.get("Error", {}).get("Code") != "NoSuchLifecycleConfiguration":
                    raise
                return False
    return any(_drops_parts(rule, prefix_of(store)) for rule in answer.get("Rules", ()))


def _drops_parts(rule: dict[str, Any], prefix: str) -> bool:
    """Tell whether a lifecycle rule drops the parts of every unfinished upload below a prefix."""
    of_filter: dict[str, Any] = rule.get("Filter") or {}
    # Of a rule with further conditions, as tags, no upload is sure to be meant.
    is_for_all = of_filter.keys() <= {"Prefix"}
    below = of_filter.get("Prefix") or rule.get("Prefix") or ""
    return (
        rule.get("Status") == "Enabled"
        and "AbortIncompleteMultipartUpload" in rule
        and is_for_all
        and prefix.startswith(below)
    )


def prefix_of(store: S3Store) -> str:
    """Return what the keys of all objects of a store begin with."""
    return f"{store.prefix.strip('/')}/" if store.prefix else ""


@contextmanager
def translating_boto(
    backend: str, request: str = "list its unfinished uploads", refusal: str | None = None
) -> Iterator[None]:
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
            remedy = (
                f"Backend {backend!r} refused to show its unfinished uploads: permit s3:ListBucketMultipartUploads and "
                "s3:AbortMultipartUpload"
            )
            raise StoragePermissionError(f"{refusal or remedy}.", backend=backend) from None
        raise StorageUnavailableError(
            f"Backend {backend!r} could not {request} ({type(error).__name__}).", backend=backend
        ) from None
