"""The stores that the reference talks of, registered under its names."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from fastapi_filestore import storages
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.servers.seaweedfs import SeaweedFS


@pytest.fixture(autouse=True)
def nothing_stays_registered() -> Iterator[None]:
    """Forget what a test registered."""
    before = {backend.key for backend in storages}
    yield
    for backend in storages:
        if backend.key not in before:
            storages.unregister_backend(backend.key)


@pytest.fixture
def s3(seaweedfs: SeaweedFS) -> ObstoreBackend:
    """Register SeaweedFS as `s3`, with the options of the reference's MinIO."""
    backend = ObstoreBackend(
        key="s3",
        fs=f"s3://{seaweedfs.bucket}/{uuid4().hex}/",
        aws_endpoint=seaweedfs.endpoint,
        aws_access_key_id=seaweedfs.access_key,
        aws_secret_access_key=seaweedfs.secret_key,
        aws_region="us-east-1",
        aws_allow_http=True,  # HTTP for local development
    )
    storages.register_backend(backend)
    return backend


@pytest.fixture
def local(tmp_path: Path) -> ObstoreBackend:
    """Register a folder as `local`."""
    backend = ObstoreBackend(key="local", fs=f"file://{tmp_path}/uploads/")
    storages.register_backend(backend)
    return backend
