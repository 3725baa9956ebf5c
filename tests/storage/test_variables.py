"""Variables that the stores' driver reads by itself: none undoes what was given, and an empty one is an unset one."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from fastapi_filestore import ConfigurationError, ObstoreBackend
from fastapi_filestore.storage.obstore.opening import credentials
from tests.storage.answering import Answering
from tests.storage.environments import AZURE, KEYS, asked_of, bare, store

__all__ = ["bare", "store"]

GOOGLE = {"google_bearer_token": "GIVEN"}


STRAY = {"AWS_ACCESS_KEY_ID": "STRAY", "AWS_SECRET_ACCESS_KEY": "s"}


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
        monkeypatch.setattr(credentials, "find_boto_session", lambda: None)

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
    monkeypatch.setattr(credentials, "find_boto_session", lambda: None)
    monkeypatch.setenv(name, "")
    with pytest.raises(ConfigurationError, match=f"'d': The variable {name} is set and empty"):
        ObstoreBackend("d", url)
