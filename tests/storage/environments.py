"""Environments that say something, or nothing, of stores."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fastapi_filestore import ObstoreBackend, StorageError
from tests.storage.answering import Answering, answering

ONCE: Mapping[str, Any] = {"retry_config": {"max_retries": 0}}


KEYS = {"aws_access_key_id": "GIVEN", "aws_secret_access_key": "s"}


AZURE = {"azure_storage_account_name": "acc", "azure_storage_account_key": "Z2l2ZW4="}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give each test an environment that says nothing of any store."""
    for name in [name for name in os.environ if re.match("AWS_|AZURE_|GOOGLE_", name)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def store() -> Iterator[Answering]:
    """Run a store without objects."""
    with answering(lambda method, path: None) as server:
        yield server


async def asked_of(store: Answering, url: str, **options: Any) -> str:
    """Ask a backend for an object, and return what its request was authorized with."""
    with pytest.raises(StorageError):
        await ObstoreBackend("d", url, **options, **ONCE).head("k")
    assert store.asked, "the request went elsewhere"
    return store.asked[0][2].get("authorization", store.asked[0][1])
