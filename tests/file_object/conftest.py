"""Registries of one backend for the tests of the value."""

from collections.abc import Callable

import boto3
import pytest

from fastapi_filestore import ObstoreBackend, StorageRegistry
from tests.servers.seaweedfs import SeaweedFS
from tests.storage.stores import make_backend


@pytest.fixture
def memory() -> ObstoreBackend:
    """A backend in memory."""
    return ObstoreBackend("memory", "memory://")


@pytest.fixture
def registry(memory: ObstoreBackend) -> StorageRegistry:
    """A registry of that backend."""
    registry = StorageRegistry()
    registry.register_backend(memory)
    return registry


@pytest.fixture
def s3(request: pytest.FixtureRequest, registry: StorageRegistry) -> ObstoreBackend:
    """A backend on SeaweedFS in the same registry."""
    backend = make_backend("seaweedfs", request)
    registry.register_backend(backend)
    return backend


async def keys(backend: ObstoreBackend) -> set[str]:
    """Return the keys of all objects of a backend."""
    return {info.path async for info in backend.list()}


@pytest.fixture
def unfinished(s3: ObstoreBackend, seaweedfs: SeaweedFS) -> Callable[[], list[str]]:
    """Ask SeaweedFS itself, by boto3, which multipart uploads of the backend were begun and never ended."""
    client = boto3.client(
        "s3",
        endpoint_url=seaweedfs.endpoint,
        aws_access_key_id=seaweedfs.access_key,
        aws_secret_access_key=seaweedfs.secret_key,
        region_name=seaweedfs.region,
    )
    prefix = s3.url.rpartition("/")[2]

    def ask() -> list[str]:
        uploads = client.list_multipart_uploads(Bucket=seaweedfs.bucket).get("Uploads", [])
        return [upload["Key"] for upload in uploads if upload["Key"].startswith(prefix)]

    return ask
