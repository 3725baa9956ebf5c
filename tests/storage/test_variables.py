"""Variables that the stores' driver reads by itself: none undoes what was given, and an empty one is an unset one."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from obstore.store import S3Store

from fastapi_filestore import ConfigurationError, ObstoreBackend, StorageError
from fastapi_filestore.storage.obstore.opening import credentials, s3
from fastapi_filestore.storage.obstore.opening.stores import connect
from tests.storage.answering import Answering, answering

ONCE: Mapping[str, Any] = {"retry_config": {"max_retries": 0}}
KEYS = {"aws_access_key_id": "GIVEN", "aws_secret_access_key": "s"}
AZURE = {"azure_storage_account_name": "acc", "azure_storage_account_key": "Z2l2ZW4="}
GOOGLE = {"google_bearer_token": "GIVEN"}
STRAY = {"AWS_ACCESS_KEY_ID": "STRAY", "AWS_SECRET_ACCESS_KEY": "s"}


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


@pytest.mark.parametrize(
    ("variables", "url", "given", "shown"),
    [
        ({"AWS_SKIP_SIGNATURE": "true", **STRAY, "AWS_SESSION_TOKEN": "x"}, "s3://b", KEYS, "Credential=GIVEN/"),
        ({"AZURE_SKIP_SIGNATURE": "true"}, "az://b", AZURE, "SharedKey acc:"),
        ({"AZURE_STORAGE_USE_EMULATOR": "true"}, "az://b", AZURE, "SharedKey acc:"),
        ({"AZURE_STORAGE_SAS_TOKEN": "sv=1&sig=x", "AZURE_STORAGE_TOKEN": "x"}, "az://b", AZURE, "SharedKey acc:"),
        ({"AZURE_CREDENTIAL_TYPE": "azure_cli", "AZURE_USE_AZURE_CLI": "true"}, "az://b", AZURE, "SharedKey acc:"),
        ({"AZURE_CREDENTIAL_TYPE": "nonsense"}, "az://b", AZURE, "SharedKey acc:"),
        (
            {"AZURE_STORAGE_ACCOUNT_KEY": "c3RyYXk="},
            "az://b",
            {"azure_storage_account_name": "acc", "azure_storage_sas_token": "sv=1&sig=GIVEN"},
            "sig=GIVEN",
        ),
        ({"GOOGLE_SKIP_SIGNATURE": "true"}, "gs://b", GOOGLE, "Bearer GIVEN"),
        ({"GOOGLE_APPLICATION_CREDENTIALS": "/nowhere"}, "gs://b", GOOGLE, "Bearer GIVEN"),
        ({"GOOGLE_BEARER_TOKEN": "STRAY"}, "gs://b", GOOGLE, "Bearer GIVEN"),
    ],
)
async def test_what_was_given_wins(
    store: Answering,
    monkeypatch: pytest.MonkeyPatch,
    *,
    variables: Mapping[str, str],
    url: str,
    given: Mapping[str, str],
    shown: str,
) -> None:
    """Switches and credentials of the environment change nothing beside credentials that were given."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    endpoint = {"gs": "google_base_url"}.get(url[:2], "endpoint")

    assert shown in await asked_of(store, url, **{endpoint: store.url}, **given)


async def test_given_application_credentials(store: Answering, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A service account of the environment, which the driver would prefer to credentials given, is refused by name."""
    (tmp_path / "user.json").write_text(json.dumps({"type": "authorized_user"}))
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", "{}")
    with pytest.raises(ConfigurationError, match=r"GOOGLE_SERVICE_ACCOUNT_KEY of the environment .* unset it"):
        ObstoreBackend("d", "gs://b", google_application_credentials=str(tmp_path / "user.json"))


@pytest.mark.parametrize(
    ("variables", "given", "named"),
    [
        (STRAY, {"aws_container_credentials_relative_uri": "/x"}, "AWS_ACCESS_KEY_ID"),
        (
            {"AWS_ROLE_ARN": "r", "AWS_WEB_IDENTITY_TOKEN_FILE": "/t"},
            {"aws_metadata_endpoint": "http://h"},
            "AWS_ROLE_ARN",
        ),
    ],
)
def test_a_role_beside_what_would_win(
    monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], given: Mapping[str, str], named: str
) -> None:
    """Credentials of the environment that the driver would prefer to a role that is given are refused by name."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"{named} of the environment would win over {next(iter(given))}"):
        ObstoreBackend("d", "s3://b", **given)


EMPTY = {
    "s3://b": (
        *("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SKIP_SIGNATURE"),
        *("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_S3_EXPRESS"),
        *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONFIG_FILE"),
        *("AWS_REQUEST_PAYER", "AWS_CONDITIONAL_PUT", "AWS_UNSIGNED_PAYLOAD", "AWS_METADATA_ENDPOINT"),
        *("AWS_ALLOW_HTTP", "AWS_PROXY_URL", "AWS_MAX_ATTEMPTS", "AWS_ENDPOINT_URL_STS"),
    ),
    "az://b": (
        *("AZURE_SKIP_SIGNATURE", "AZURE_STORAGE_USE_EMULATOR", "AZURE_USE_FABRIC_ENDPOINT", "AZURE_USE_AZURE_CLI"),
        *("AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_TOKEN", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"),
        *("AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_CREDENTIAL_TYPE", "AZURE_AUTHORITY_HOST"),
    ),
    "gs://b": ("GOOGLE_SKIP_SIGNATURE", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_BUCKET"),
}
ENVIRONMENT = {
    "s3://b": {**STRAY, "AWS_ENDPOINT_URL": "{}", "AWS_ENDPOINT_URL_S3": "", "AWS_ENDPOINT": ""},
    "az://b": {"AZURE_STORAGE_ACCOUNT_NAME": "acc", "AZURE_STORAGE_ACCOUNT_KEY": "Z2l2ZW4=", "AZURE_ENDPOINT": "{}"},
    "gs://b": {"GOOGLE_BEARER_TOKEN": "STRAY", "GOOGLE_BASE_URL": "{}"},
}
SHOWN = {"s3://b": "Credential=STRAY/", "az://b": "SharedKey acc:", "gs://b": "Bearer STRAY"}
OF_SETTINGS = [(url, variable) for url, variables in EMPTY.items() for variable in variables]


@pytest.mark.parametrize("boto", [True, False])
@pytest.mark.parametrize(("url", "empty"), OF_SETTINGS)
async def test_an_empty_variable(
    store: Answering, monkeypatch: pytest.MonkeyPatch, url: str, empty: str, *, boto: bool
) -> None:
    """An empty variable is an unset one, and an http:// endpoint of the environment is asked."""
    for name, value in ENVIRONMENT[url].items():
        monkeypatch.setenv(name, value.format(store.url))
    monkeypatch.setenv(empty, "")
    if not boto:
        monkeypatch.setattr(s3, "find_boto_session", lambda: None)

    assert SHOWN[url] in await asked_of(store, url)


@pytest.mark.parametrize("url", ENVIRONMENT)
async def test_all_empty(store: Answering, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Where every variable of a compose file is empty, those that say something hold."""
    for name in EMPTY[url]:
        monkeypatch.setenv(name, "")
    for name, value in ENVIRONMENT[url].items():
        monkeypatch.setenv(name, value.format(store.url))

    assert SHOWN[url] in await asked_of(store, url)


@pytest.mark.parametrize("name", ["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
async def test_an_empty_endpoint(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """With an empty endpoint, Amazon's own is asked."""
    monkeypatch.setenv(name, "")
    url = (await ObstoreBackend("d", "s3://b", **KEYS, aws_region="eu-west-1").sign("k", expires_in=60)).url

    assert url.startswith("https://s3.eu-west-1.amazonaws.com/b/k?")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("s3://b", "AWS_ACCESS_KEY_ID"),
        ("s3://b", "AWS_COPY_IF_NOT_EXISTS"),
        ("gs://b", "GOOGLE_SERVICE_ACCOUNT"),
        ("gs://b", "GOOGLE_APPLICATION_CREDENTIALS"),
        ("az://b", "AZURE_STORAGE_ACCOUNT_NAME"),
    ],
)
def test_an_empty_variable_that_the_driver_believes(monkeypatch: pytest.MonkeyPatch, url: str, name: str) -> None:
    """What can't be taken for unset is named."""
    monkeypatch.setattr(s3, "find_boto_session", lambda: None)
    monkeypatch.setenv(name, "")
    with pytest.raises(ConfigurationError, match=f"'d': The variable {name} is set and empty"):
        ObstoreBackend("d", url)


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
