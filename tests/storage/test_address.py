"""Where a bucket answers, by options or by the environment, held against the URLs that obstore itself makes up."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from json import dumps as json_of
from pathlib import Path
from typing import Any

import obstore
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from obstore.store import AzureStore, GCSStore, S3Store

from fastapi_filestore.storage.obstore.opening.address import AZURE_VARIABLES, GCS_VARIABLES, S3_VARIABLES, bucket_url

KEYS = {"access_key_id": "k", "secret_access_key": "s"}
ACCOUNT = {"account_name": "acc", "account_key": "YWNjb3VudC1rZXk="}
HIGH, LOW = "https://high.example", "https://low.example"


@cache
def service_account(base_url: str | None = None) -> str:
    """Return a service account that signs."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    fields = {"private_key": pem, "private_key_id": "1", "client_email": "a@b.example"}
    return json_of(fields | ({"gcs_base_url": base_url} if base_url else {}))


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away every variable that could say where a bucket is."""
    for name in (*S3_VARIABLES, *AZURE_VARIABLES, *GCS_VARIABLES):
        monkeypatch.delenv(name, raising=False)


def signed_below(store: Any) -> str:
    """Return the URL that obstore puts an object's name behind."""
    return str(obstore.sign(store, "GET", "name", timedelta(minutes=1))).partition("?")[0].removesuffix("/name")


@pytest.mark.parametrize(
    ("environment", "options"),
    [
        ({}, {}),
        ({}, {"region": "us-west-2"}),
        ({}, {"virtual_hosted_style_request": "true"}),
        ({}, {"endpoint": LOW}),
        ({}, {"endpoint": f"{LOW}:9000/below/"}),
        ({}, {"endpoint": LOW, "virtual_hosted_style_request": "true"}),
        ({}, {"endpoint": LOW, "aws_endpoint_url_s3": HIGH}),
        ({"AWS_ENDPOINT": LOW}, {}),
        ({"AWS_ENDPOINT_URL": LOW}, {}),
        ({"AWS_ENDPOINT_URL_S3": LOW}, {}),
        ({"AWS_ENDPOINT": LOW, "AWS_ENDPOINT_URL": HIGH}, {}),
        ({"AWS_ENDPOINT_URL": LOW, "AWS_ENDPOINT": HIGH}, {}),
        ({"AWS_ENDPOINT_URL_S3": HIGH, "AWS_ENDPOINT_URL": LOW}, {}),
        ({"AWS_ENDPOINT": LOW}, {"endpoint": HIGH}),
        ({"AWS_ENDPOINT_URL_S3": HIGH}, {"endpoint": LOW}),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, {}),
        ({"AWS_DEFAULT_REGION": "eu-west-2"}, {}),
        ({"AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "yes"}, {}),
    ],
)
def test_s3(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str], options: dict[str, Any]) -> None:
    """A bucket of S3 answers where its options and the environment together say."""
    set_all(monkeypatch, environment)
    config: Any = {**KEYS, **options}
    store = S3Store("bucket", config=config)

    assert bucket_url(store, "bucket") == signed_below(store)


@pytest.mark.parametrize(
    ("environment", "options"),
    [
        ({}, {}),
        ({}, {"endpoint": LOW}),
        ({}, {"use_emulator": "true"}),
        ({}, {"use_fabric_endpoint": "true"}),
        ({"AZURE_STORAGE_ENDPOINT": LOW}, {}),
        ({"AZURE_ENDPOINT": LOW}, {}),
        ({"AZURE_STORAGE_ENDPOINT": LOW, "AZURE_ENDPOINT": HIGH}, {}),
        ({"AZURE_ENDPOINT": LOW}, {"endpoint": HIGH}),
        ({"AZURE_STORAGE_USE_EMULATOR": "TRUE"}, {"endpoint": LOW}),
        ({"AZURITE_BLOB_STORAGE_URL": f"{HIGH}/"}, {"use_emulator": "true"}),
        ({"AZURITE_BLOB_STORAGE_URL": HIGH}, {}),
        ({"AZURE_USE_FABRIC_ENDPOINT": "1"}, {}),
        ({"AZURE_STORAGE_ACCOUNT_NAME": "acc2"}, {}),
        ({"AZURE_STORAGE_ACCOUNT_NAME": "acc2"}, {"account_name": None}),
    ],
)
def test_azure(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str], options: dict[str, Any]) -> None:
    """A container of Azure answers where its options and the environment together say."""
    set_all(monkeypatch, environment)
    config: Any = {name: value for name, value in (ACCOUNT | options).items() if value is not None}
    store = AzureStore("container", config=config)

    assert bucket_url(store, "container") == signed_below(store)


@pytest.mark.parametrize("account", [None, LOW])
@pytest.mark.parametrize(
    ("environment", "options"),
    [({}, {}), ({"GOOGLE_BASE_URL": HIGH}, {}), ({"GOOGLE_BASE_URL": HIGH}, {"base_url": f"{LOW}/"})],
)
def test_gcs(
    monkeypatch: pytest.MonkeyPatch, account: str | None, environment: Mapping[str, str], options: dict[str, Any]
) -> None:
    """A bucket of Google answers where its options, its service account and the environment together say."""
    set_all(monkeypatch, environment)
    config: Any = {"service_account_key": service_account(account), **options}
    store = GCSStore("bucket", config=config)

    # obstore takes the slash at the end of this one twice, which is the same place.
    assert bucket_url(store, "bucket") == signed_below(store).replace("example//", "example/")


@pytest.mark.parametrize("variable", ["GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH", "SERVICE_ACCOUNT"])
@pytest.mark.parametrize("account", [None, LOW])
def test_gcs_of_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, account: str | None, variable: str) -> None:
    """A service account's file that the environment names says where its buckets are, as its text there does."""
    file = tmp_path / "account.json"
    file.write_text(service_account(account))
    monkeypatch.setenv(variable, str(file))
    by_file = GCSStore("bucket")
    answers = bucket_url(by_file, "bucket"), signed_below(by_file)
    monkeypatch.delenv(variable)
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", service_account(account))
    by_text = GCSStore("bucket")

    assert answers == (f"{account or 'https://storage.googleapis.com'}/bucket",) * 2
    assert (bucket_url(by_text, "bucket"), signed_below(by_text)) == answers


def set_all(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    """Set variables in their order."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
