"""Variables and options that the driver of stores can not take are named, and credentials that are given win."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from obstore.store import S3Store

from fastapi_filestore import ConfigurationError, ObstoreBackend
from fastapi_filestore.storage.obstore.opening import credentials
from fastapi_filestore.storage.obstore.opening.stores import connect
from tests.storage.answering import Answering
from tests.storage.environments import AZURE, KEYS, asked_of, bare, store

__all__ = ["bare", "store"]

WRONG: Mapping[str, Mapping[str, str]] = {
    "s3://b": {
        "AWS_ALLOW_HTTP": "perhaps",
        "AWS_CHECKSUM_ALGORITHM": "MD5",
        "AWS_CONDITIONAL_PUT": "no",
        "AWS_CONNECT_TIMEOUT": "abc",
        "AWS_COPY_IF_NOT_EXISTS": "no",
        "AWS_DEFAULT_REGION": "a/b",
        "AWS_ENDPOINT": "http://[::1",
        "AWS_ENDPOINT_URL": "https://store.test ",
        "AWS_ENDPOINT_URL_S3": "https://store.test:99999",
        "AWS_POOL_MAX_IDLE_PER_HOST": "many",
        "AWS_PROXY_CA_CERTIFICATE": "/etc/ssl/proxy.pem",
        "AWS_PROXY_URL": "::bad",
        "AWS_READ_TIMEOUT": "0",
        "AWS_REGION": "eu central 1",
        "AWS_ROOT_CERTIFICATE": "none",
        "AWS_S3_EXPRESS": "perhaps",
        "AWS_SERVER_SIDE_ENCRYPTION": "rot13",
        "AWS_SSE_KMS_KEY_ID": "a\nb",
        "AWS_TIMEOUT": "abc",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "perhaps",
    },
    "az://b": {
        "AZURE_AUTHORITY_HOST": "login.test",
        "AZURE_ENDPOINT": "https://u:p@store.test",
        "AZURE_HTTP1_ONLY": "perhaps",
        "AZURE_PROXY_URL": "::bad",
        "AZURE_STORAGE_ACCOUNT_KEY": "!",
        "AZURE_STORAGE_SAS_TOKEN": "none",
        "AZURE_STORAGE_USE_EMULATOR": "perhaps",
        "AZURE_TIMEOUT": "abc",
        "AZURE_STORAGE_ACCOUNT_NAME": "a/b",
    },
    "gs://b": {
        "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere",
        "GOOGLE_BASE_URL": "https://a..b",
        "GOOGLE_PROXY_URL": "::bad",
        "GOOGLE_SERVICE_ACCOUNT": "/nowhere",
        "GOOGLE_SERVICE_ACCOUNT_KEY": "none",
        "GOOGLE_TIMEOUT": "abc",
        "SERVICE_ACCOUNT": "/nowhere",
    },
}


@pytest.mark.parametrize(("url", "name"), [(url, name) for url, variables in WRONG.items() for name in variables])
def test_a_variable_that_is_wrong(monkeypatch: pytest.MonkeyPatch, url: str, name: str) -> None:
    """A variable that the driver can't take, or would take as something else, is named, and no other."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "acc")
    monkeypatch.setenv("AWS_USER_AGENT", "mine")
    monkeypatch.setenv(name, WRONG[url][name])
    with pytest.raises(ConfigurationError) as caught:
        ObstoreBackend("d", url)

    assert re.findall(r"[A-Z0-9]+_[A-Z0-9_]+", str(caught.value)) == [name]


def test_the_address_of_an_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable of an emulator's address is read, and named, only where the emulator is used."""
    monkeypatch.setenv("AZURITE_BLOB_STORAGE_URL", "http://127.0.0.1:99999")
    with pytest.raises(ConfigurationError, match="AZURITE_BLOB_STORAGE_URL can't be used: use a port"):
        ObstoreBackend("d", "az://b", azure_storage_use_emulator=True)

    assert ObstoreBackend("d", "az://b", **AZURE).url == "az://b"


@pytest.mark.parametrize("style", [True, False])
@pytest.mark.parametrize("endpoint", ["https://[::1", "https://h:99999", "https://h "])
def test_a_store_of_obstore_at_no_address(endpoint: str, *, style: bool) -> None:
    """A store that somebody else made is refused as one that we make, if it is at no address."""
    store = S3Store("b", endpoint=endpoint, region="r", virtual_hosted_style_request=style)
    with pytest.raises(ConfigurationError, match=r"its endpoint, .* can't be used"):
        ObstoreBackend("d", store)


def test_an_option_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option is named as it is given, though a variable says the same."""
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "no")
    with pytest.raises(ConfigurationError, match=r": aws_conditional_put can be etag or disabled\."):
        ObstoreBackend("d", "s3://b", aws_conditional_put="no")
    with pytest.raises(ConfigurationError, match=r": proxy_url is not the URL of a proxy"):
        ObstoreBackend("d", "s3://b", aws_conditional_put="etag", client_options={"proxy_url": "::bad"})


async def test_http_of_the_environment_that_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An http:// endpoint of the environment beside aws_allow_http=False is refused as that."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ConfigurationError, match="http:// but allow_http is false"):
        ObstoreBackend("d", "s3://b", **KEYS, aws_allow_http=False)


def test_boto_is_there() -> None:
    """What these tests leave out is there otherwise."""
    assert credentials.find_boto_session() is not None


def test_a_service_account_beside_a_key_of_the_environment(
    gcs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A service account's file that is given wins over a key of the environment."""
    (tmp_path / "given.json").write_text(gcs.service_account_json)
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", "{}")
    store: Any = connect("gs://b", {"google_service_account": str(tmp_path / "given.json")}).store

    assert store.config["service_account_key"] == gcs.service_account_json


@pytest.mark.parametrize(
    ("variables", "given", "kind"),
    [
        ({"AZURE_STORAGE_ACCOUNT_KEY": "c3RyYXk="}, {"azure_client_id": "c"}, "managed_identity"),
        (
            {"AZURE_STORAGE_ACCOUNT_KEY": "c3RyYXk=", "AZURE_TENANT_ID": "t", "AZURE_FEDERATED_TOKEN_FILE": "/t"},
            {"azure_client_id": "c"},
            "workload_identity",
        ),
        (
            {"AZURE_STORAGE_TOKEN": "x", "AZURE_CLIENT_SECRET": "s"},
            {"azure_client_id": "c", "azure_tenant_id": "t"},
            "client_secret",
        ),
        ({"AZURE_STORAGE_TOKEN": ""}, {}, "managed_identity"),
    ],
)
def test_an_identity_beside_other_credentials(
    monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], given: Mapping[str, str], kind: str
) -> None:
    """An identity that is given is used, with what the environment says of it, and no key or token of another."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    store: Any = connect("az://b", {"azure_storage_account_name": "acc", **given}).store

    assert store.config["credential_type"] == kind


async def test_a_public_container_at_an_endpoint(store: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint alone is no credential: the environment may still say that nothing is signed."""
    monkeypatch.setenv("AZURE_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AZURE_STORAGE_USE_EMULATOR", "true")

    given = {"azure_storage_account_name": "acc", "azure_storage_endpoint": store.url}
    assert await asked_of(store, "az://b", **given) == "/b/k"
