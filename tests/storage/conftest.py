"""Backends for the conformance suite: the same tests run on every kind of store."""

from typing import Any

import boto3
import pytest
from botocore.config import Config

from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.stores import HEADED, KINDS, NETWORKED, make_backend


@pytest.fixture(params=KINDS)
def backend(request: pytest.FixtureRequest) -> ObstoreBackend:
    """A backend of each kind."""
    return make_backend(request.param, request)


@pytest.fixture(params=HEADED)
def headed(request: pytest.FixtureRequest) -> ObstoreBackend:
    """A backend of each kind that holds content type and metadata."""
    return make_backend(request.param, request)


@pytest.fixture(params=NETWORKED)
def networked(request: pytest.FixtureRequest) -> ObstoreBackend:
    """A backend of each kind behind a network."""
    return make_backend(request.param, request)


@pytest.fixture
def s3(request: pytest.FixtureRequest) -> ObstoreBackend:
    """A backend on SeaweedFS."""
    return make_backend("seaweedfs", request)


@pytest.fixture
def memory() -> ObstoreBackend:
    """A backend in memory."""
    return ObstoreBackend("memory", "memory://")


@pytest.fixture(scope="session")
def boto(seaweedfs: Any) -> Any:
    """boto3's client of SeaweedFS: the oracle of what is really there."""
    return boto3.client(
        "s3",
        endpoint_url=seaweedfs.endpoint,
        aws_access_key_id=seaweedfs.access_key,
        aws_secret_access_key=seaweedfs.secret_key,
        region_name=seaweedfs.region,
        config=Config(signature_version="s3v4"),
    )
