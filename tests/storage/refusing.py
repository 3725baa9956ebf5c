"""Stores that refuse what they are asked, and what their errors must not tell."""

import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from fastapi_filestore import (
    StorageError,
)
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.servers.refusing import QUICK, RefusingStore, run_refusing_store

KEY = "aa/the-key"


SECRETS = ("SECRET", "wJalr", "AKIAEXAMPLE", "127.0.0.1", "http:", "https:")


ACCOUNT_KEY = "U0VDUkVU"


Make = Callable[[str], ObstoreBackend]


def s3(endpoint: str) -> ObstoreBackend:
    """Return a bucket of S3 at an address."""
    keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "wJalr", "aws_region": "us-east-1"}
    return ObstoreBackend("docs", "s3://photos", aws_endpoint=endpoint, retry_config=QUICK, **keys)


def azure(endpoint: str) -> ObstoreBackend:
    """Return a container of Azure at an address."""
    options = {"account_name": "account", "account_key": ACCOUNT_KEY, "endpoint": f"{endpoint}/account"}
    return ObstoreBackend("docs", "az://photos", retry_config=QUICK, **options)


def google(endpoint: str) -> ObstoreBackend:
    """Return a bucket of Google Cloud at an address."""
    account = {"gcs_base_url": endpoint, "disable_oauth": True, "client_email": "", "private_key": "SECRET"}
    text = json.dumps({**account, "private_key_id": ""})
    return ObstoreBackend("docs", "gs://photos", google_service_account_key=text, allow_http=True, retry_config=QUICK)


@pytest.fixture
def store() -> Iterator[RefusingStore]:
    """A store that answers as it is told."""
    with run_refusing_store() as running:
        yield running


async def listed(backend: ObstoreBackend) -> list[Any]:
    """List all objects."""
    return [info async for info in backend.list()]


OPERATIONS: dict[str, Callable[[ObstoreBackend], Coroutine[Any, Any, Any]]] = {
    "put": lambda backend: backend.put(KEY, b"x"),
    "open": lambda backend: backend.open(KEY),
    "copy": lambda backend: backend.copy(KEY, "aa/another"),
    "delete": lambda backend: backend.delete(KEY),
    "list": listed,
    "probe": lambda backend: backend.probe(),
}


async def failure(call: Coroutine[Any, Any, Any]) -> StorageError:
    """Return what a call raises, which tells nothing that is secret."""
    with pytest.raises(StorageError) as caught:
        await call
    error = caught.value
    assert not any(secret in f"{error} {vars(error)}" for secret in SECRETS), str(error)
    return error
