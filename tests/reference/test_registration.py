"""Every form in which the reference registers a backend: registered, and used where a store is at hand."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi import FastAPI

from fastapi_filestore import ConfigurationError, storages
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.reference.stores import stores_and_reads
from tests.servers.gcs import GCS
from tests.servers.seaweedfs import SeaweedFS

AZURE_KEY = "YSBrZXkgdGhhdCBvbmx5IHRoZXNlIHRlc3RzIGtub3c="


FORMS: dict[str, Callable[[], ObstoreBackend]] = {
    "access-key": lambda: ObstoreBackend(
        key="s3",
        fs="s3://my-bucket/",
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        aws_region="us-west-2",
    ),
    "iam-role": lambda: ObstoreBackend(
        key="s3",
        fs="s3://my-bucket/",
        aws_region="us-west-2",
        # No credentials - uses IAM role
    ),
    "nothing-but-a-bucket": lambda: ObstoreBackend(key="s3", fs="s3://my-bucket/"),
    "minio-local": lambda: ObstoreBackend(
        key="minio",
        fs="s3://my-bucket/",
        aws_endpoint="http://localhost:9000",
        aws_access_key_id="minioadmin",
        aws_secret_access_key="minioadmin",
        aws_region="us-east-1",
        aws_allow_http=True,  # HTTP for local development
    ),
    "minio-production": lambda: ObstoreBackend(
        key="minio-prod",
        fs="s3://production-bucket/",
        aws_endpoint="https://minio.example.com",
        aws_access_key_id="production-key",
        aws_secret_access_key="production-secret",
        aws_region="us-east-1",
        aws_allow_http=False,  # HTTPS in production
    ),
    "r2": lambda: ObstoreBackend(
        key="r2",
        fs="s3://my-bucket/",
        aws_endpoint="https://account-id.r2.cloudflarestorage.com",
        aws_access_key_id="R2_ACCESS_KEY_ID",
        aws_secret_access_key="R2_SECRET_ACCESS_KEY",
    ),
    "spaces": lambda: ObstoreBackend(
        key="spaces",
        fs="s3://my-space/",
        aws_endpoint="https://nyc3.digitaloceanspaces.com",
        aws_access_key_id="SPACES_ACCESS_KEY",
        aws_secret_access_key="SPACES_SECRET_KEY",
        aws_region="us-east-1",
    ),
    "gcs-default-credentials": lambda: ObstoreBackend(
        key="gcs",
        fs="gs://my-bucket/",
        # No credentials - uses default credentials
    ),
    "azure-connection-string": lambda: ObstoreBackend(
        key="azure",
        fs="az://my-container/",
        azure_storage_connection_string=(
            f"DefaultEndpointsProtocol=https;AccountName=mine;AccountKey={AZURE_KEY};EndpointSuffix=core.windows.net"
        ),
    ),
    "azure-account-key": lambda: ObstoreBackend(
        key="azure",
        fs="az://my-container/",
        azure_storage_account_name="mystorageaccount",
        azure_storage_account_key=AZURE_KEY,
    ),
    "azure-sas-token": lambda: ObstoreBackend(
        key="azure",
        fs="az://my-container/",
        azure_storage_account_name="mystorageaccount",
        azure_storage_sas_token="sv=2024-01-01&sr=c&sig=c2lnbmF0dXJl",
    ),
    "memory": lambda: ObstoreBackend(key="memory", fs="memory://"),
    "after-fsspec": lambda: ObstoreBackend(
        key="s3",
        fs="s3://my-bucket/",
        aws_access_key_id="AWS_ACCESS_KEY",
        aws_secret_access_key="AWS_SECRET_KEY",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_registered(form: str) -> None:
    """A backend of each form is constructed without a request, and found under its key."""
    backend = FORMS[form]()
    storages.register_backend(backend)

    assert storages.get_backend(backend.key) is backend


def test_a_service_account_file(tmp_path: Path, gcs: GCS) -> None:
    """A service account is read from the file that is named."""
    path = tmp_path / "service-account.json"
    path.write_text(gcs.service_account_json)
    storages.register_backend(ObstoreBackend(key="gcs", fs="gs://my-bucket/", google_service_account=str(path)))

    assert "gcs" in storages


async def test_environment_variables(seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that the application reads from its environment work as given."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweedfs.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweedfs.secret_key)
    storages.register_backend(
        ObstoreBackend(
            key="s3",
            fs=f"s3://{seaweedfs.bucket}/{uuid4().hex}/",
            aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            aws_region=os.environ.get("AWS_REGION", "us-east-1"),
            aws_endpoint=seaweedfs.endpoint,
        )
    )

    assert await stores_and_reads("s3")


async def test_credentials_of_the_environment(seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials given, those of the environment are used, as the reference's authentication section says."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweedfs.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweedfs.secret_key)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    storages.register_backend(
        ObstoreBackend(
            key="s3", fs=f"s3://{seaweedfs.bucket}/{uuid4().hex}/", aws_endpoint=seaweedfs.endpoint, aws_allow_http=True
        )
    )

    assert await stores_and_reads("s3")


async def test_startup_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backends are registered when the application starts, by its lifespan."""
    monkeypatch.setenv("S3_BUCKET", "company-documents")
    monkeypatch.setenv("AWS_REGION", "us-west-2")

    @asynccontextmanager
    async def configure_storage(app: FastAPI) -> AsyncIterator[None]:
        """Configure obstore on startup."""
        storages.register_backend(
            ObstoreBackend(
                key="documents",
                fs=f"s3://{os.environ['S3_BUCKET']}/",
                aws_region=os.environ["AWS_REGION"],
            )
        )

        yield

    app = FastAPI(lifespan=configure_storage)

    assert "documents" not in storages
    async with app.router.lifespan_context(app):
        assert "documents" in storages


def test_multiple_backends(tmp_path: Path, gcs: GCS) -> None:
    """Backends of several kinds stand side by side."""
    account = tmp_path / "sa.json"
    account.write_text(gcs.service_account_json)
    # Documents on S3
    storages.register_backend(
        ObstoreBackend(
            key="documents",
            fs="s3://company-documents/",
            aws_region="us-west-2",
        )
    )
    # Images on GCS
    storages.register_backend(
        ObstoreBackend(
            key="images",
            fs="gs://company-images/",
            google_service_account=str(account),
        )
    )
    # Temporary files locally
    storages.register_backend(
        ObstoreBackend(
            key="temp",
            fs=f"file://{tmp_path}/uploads/",
        )
    )

    assert [backend.key for backend in storages] == ["documents", "images", "temp"]


def test_the_private_mapping_of_the_reference() -> None:
    """A backend can be taken out the way the reference's fixture does it."""
    backend = ObstoreBackend(key="test", fs="memory://")
    storages.register_backend(backend, default=True)
    storages._backends.pop("test", None)  # noqa: SLF001 - as in the reference
    storages._backends.pop("test", None)  # noqa: SLF001 - as in the reference

    assert "test" not in storages
    storages.register_backend(ObstoreBackend(key="test", fs="memory://"))


@pytest.mark.parametrize("fs", ["s3://bucket/", "s3://bucket", "s3://bucket/prefix", "s3://bucket/prefix/"])
def test_slashes_of_a_bucket(fs: str) -> None:
    """A bucket's URL works with and without the slash at its end, so the reference's trap is gone."""
    backend = ObstoreBackend(key="s3", fs=fs)

    assert backend.url == fs.removesuffix("/")


def test_an_endpoint_without_a_scheme() -> None:
    """An endpoint without its scheme is refused at once, and the message says what is missing."""
    with pytest.raises(ConfigurationError, match=r"(?s)endpoint.*http") as caught:
        ObstoreBackend(key="s3", fs="s3://bucket/", aws_endpoint="localhost:9000")

    assert "'s3'" in str(caught.value)
