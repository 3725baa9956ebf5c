"""How tests make a backend of each kind, on the real servers."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fastapi_filestore.storage.obstore_backend import ObstoreBackend

KINDS = ("memory", "local", "seaweedfs", "azurite", "gcs")
NETWORKED = ("seaweedfs", "azurite", "gcs")
HEADED = ("memory", *NETWORKED)
"""Kinds that hold content type and metadata with an object."""

MIB = 1024 * 1024
BAD_KEYS = [
    "",
    "/a",
    "a/",
    "a//b",
    "..",
    "a/../b",
    ".",
    "a/./b",
    "a\\b",
    "a\nb",
    "a\ufffeb",
    "\uffff",
    "a\x00b",
    "a\x7fb",
    "\ud800",
    "é" * 513,
]
QUICK_RETRIES = {
    "max_retries": 2,
    "retry_timeout": 5,
    "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": 0.2, "base": 2},
}


def make_backend(kind: str, request: pytest.FixtureRequest, **options: object) -> ObstoreBackend:
    """Return a backend of a kind with a prefix or folder of its own."""
    fs, given = MAKERS[kind](request)
    return ObstoreBackend(key=kind, fs=fs, **(given | options))


def _memory(_: pytest.FixtureRequest) -> tuple[Any, dict[str, object]]:
    return "memory://", {}


def _local(request: pytest.FixtureRequest) -> tuple[Any, dict[str, object]]:
    root: Path = request.getfixturevalue("tmp_path_factory").mktemp("store")
    return root, {}


def _seaweedfs(request: pytest.FixtureRequest) -> tuple[Any, dict[str, object]]:
    server = request.getfixturevalue("seaweedfs")
    return f"s3://{server.bucket}/{uuid4().hex}", {
        "aws_endpoint": server.endpoint,
        "aws_access_key_id": server.access_key,
        "aws_secret_access_key": server.secret_key,
        "aws_region": server.region,
        "retry_config": QUICK_RETRIES,
    }


def _azurite(request: pytest.FixtureRequest) -> tuple[Any, dict[str, object]]:
    server = request.getfixturevalue("azurite")
    return f"az://{server.container}/{uuid4().hex}", {
        "azure_storage_connection_string": server.connection_string,
        "retry_config": QUICK_RETRIES,
    }


def _gcs(request: pytest.FixtureRequest) -> tuple[Any, dict[str, object]]:
    server = request.getfixturevalue("gcs")
    return f"gs://{server.bucket}/{uuid4().hex}", {
        "google_base_url": server.endpoint,
        "google_service_account": service_account(server.service_account_json),
        "retry_config": QUICK_RETRIES,
    }


def service_account(text: str) -> str:
    """Return a service account that signs: one with `disable_oauth` has obstore ask the network for a signature."""
    return json.dumps({name: value for name, value in json.loads(text).items() if name != "disable_oauth"})


MAKERS = {"memory": _memory, "local": _local, "seaweedfs": _seaweedfs, "azurite": _azurite, "gcs": _gcs}
