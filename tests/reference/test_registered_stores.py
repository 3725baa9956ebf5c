"""The forms in which the reference registers a backend, each used with a real store."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from fastapi_filestore import storages
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.reference.stores import stores_and_reads
from tests.servers.azurite import Azurite
from tests.servers.gcs import GCS


async def test_local_folder(tmp_path: Path) -> None:
    """A file:// URL keeps objects in that folder, which is created."""
    storages.register_backend(
        ObstoreBackend(
            key="local",
            fs=f"file://{tmp_path}/uploads/",
        )
    )

    assert await stores_and_reads("local")
    assert (tmp_path / "uploads").is_dir()


async def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is made absolute, by the caller as in the reference or by the backend itself."""
    monkeypatch.chdir(tmp_path)
    upload_dir = os.path.abspath("uploads")  # noqa: ASYNC240, PTH100 - as in the reference
    storages.register_backend(ObstoreBackend(key="local", fs=f"file://{upload_dir}/"))
    storages.register_backend(ObstoreBackend(key="relative", fs="more"))
    monkeypatch.chdir("/")

    assert await stores_and_reads("local")
    assert await stores_and_reads("relative")
    assert {backend.url for backend in storages if isinstance(backend, ObstoreBackend)} == {
        (tmp_path / name).as_uri() for name in ("uploads", "more")
    }


async def test_memory() -> None:
    """A memory backend stores and reads."""
    storages.register_backend(ObstoreBackend(key="memory", fs="memory://"))

    assert await stores_and_reads("memory")


async def test_minio(s3: ObstoreBackend) -> None:
    """The options of the reference's MinIO, HTTP allowed, reach a real store."""
    assert await stores_and_reads("s3")


async def test_azure_connection_string(azurite: Azurite) -> None:
    """A connection string reaches a real store."""
    storages.register_backend(
        ObstoreBackend(
            key="azure",
            fs=f"az://{azurite.container}/{uuid4().hex}/",
            azure_storage_connection_string=azurite.connection_string,
        )
    )

    assert await stores_and_reads("azure")


async def test_azure_account_key(azurite: Azurite) -> None:
    """An account name and key reach a real store."""
    storages.register_backend(
        ObstoreBackend(
            key="azure",
            fs=f"az://{azurite.container}/{uuid4().hex}/",
            azure_storage_account_name=azurite.account,
            azure_storage_account_key=azurite.account_key,
            azure_storage_endpoint=azurite.endpoint,
        )
    )

    assert await stores_and_reads("azure")


async def test_azure_sas_token(azurite: Azurite) -> None:
    """A shared access signature reaches a real store."""
    token = generate_container_sas(
        azurite.account,
        azurite.container,
        account_key=azurite.account_key,
        permission=ContainerSasPermissions(read=True, write=True, create=True, delete=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    storages.register_backend(
        ObstoreBackend(
            key="azure",
            fs=f"az://{azurite.container}/{uuid4().hex}/",
            azure_storage_account_name=azurite.account,
            azure_storage_sas_token=token,
            azure_storage_endpoint=azurite.endpoint,
        )
    )

    assert await stores_and_reads("azure")


async def test_google_service_account(tmp_path: Path, gcs: GCS) -> None:
    """A service account reaches a real store."""
    path = tmp_path / "service-account.json"
    path.write_text(gcs.service_account_json)
    storages.register_backend(
        ObstoreBackend(
            key="gcs",
            fs=f"gs://{gcs.bucket}/{uuid4().hex}/",
            google_service_account=str(path),
            google_base_url=gcs.endpoint,
        )
    )

    assert await stores_and_reads("gcs")
