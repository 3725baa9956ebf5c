"""Parts of buckets, and uploads there that never end."""

from typing import Any
from uuid import uuid4

import pytest

from fastapi_filestore import ObstoreBackend, storages
from tests.storage.conftest import boto as boto  # noqa: PLC0414 - a fixture


@pytest.fixture
def bucket(seaweedfs: Any, shelf: ObstoreBackend) -> ObstoreBackend:
    """A part of a bucket of SeaweedFS, in the place of the suite's folder."""
    backend = make(seaweedfs, "shelf")
    storages.register_backend(backend, replace=True)
    return backend


def make(server: Any, key: str, **options: Any) -> ObstoreBackend:
    """Return a backend of a prefix of its own."""
    return ObstoreBackend(
        key,
        f"s3://{server.bucket}/{uuid4().hex}",
        **{
            "aws_endpoint": server.endpoint,
            "aws_region": server.region,
            "aws_access_key_id": server.access_key,
            "aws_secret_access_key": server.secret_key,
            **options,
        },
    )


def begin(boto: Any, server: Any, backend: ObstoreBackend, path: str) -> None:
    """Begin a multipart upload, and never end it."""
    key = f"{backend.url.rpartition('/')[2]}/{path}"
    upload = boto.create_multipart_upload(Bucket=server.bucket, Key=key)["UploadId"]
    boto.upload_part(Bucket=server.bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"half")
