"""What a backend takes of the environment for its endpoint, and credentials that no header could hold."""

from typing import Any

import pytest
from pydantic import SecretStr

from fastapi_filestore.errors import ConfigurationError, InvalidKeyError, StorageError
from fastapi_filestore.storage.obstore.opening.stores import connect
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.credentials import AZ, GS, S3, S3_KEYS, SECRET


@pytest.mark.parametrize(
    ("url", "variables", "options"),
    [
        (S3, {"AWS_ENDPOINT": "http://localhost:9000", "AWS_ALLOW_HTTP": "true"}, {}),
        (S3, {"AWS_ENDPOINT_URL": "http://localhost:9000"}, {}),
        (S3, {"AWS_ALLOW_HTTP": "1"}, {}),
        ("gs://docs", {"GOOGLE_BASE_URL": "http://localhost:9000", "GOOGLE_SKIP_SIGNATURE": "true"}, {}),
        ("az://docs", {"AZURE_STORAGE_ENDPOINT": "http://localhost:9000"}, {"azure_storage_account_name": "a"}),
        ("az://docs", {"AZURE_ALLOW_HTTP": "true"}, {"azure_storage_account_name": "a"}),
    ],
)
def test_the_environment_may_allow_http(
    monkeypatch: pytest.MonkeyPatch, url: str, variables: dict[str, str], options: dict[str, Any]
) -> None:
    """An endpoint of the environment is heeded with what the environment says of http, for every store."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    store: Any = connect(url, options).store

    assert store.client_options["allow_http"] in {True, "true"}


def test_what_is_given_is_not_undone_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_ALLOW_HTTP and its like are for what no option says."""
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_PROXY_URL", "http://of-the-environment.test:1")
    monkeypatch.setenv("AWS_CONNECT_TIMEOUT", "")
    store: Any = connect(S3, {"allow_http": False, "client_options": {"proxy_url": "http://given.test:1"}}).store

    assert store.client_options["allow_http"] in {False, "false"}
    assert "given.test" in store.client_options["proxy_url"]


def test_an_endpoint_of_the_environment_that_may_not_be_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """An http endpoint where the environment forbids http is refused at once."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:9000")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "false")
    with pytest.raises(ConfigurationError, match="AWS_ALLOW_HTTP is false"):
        connect(S3, {})


@pytest.mark.parametrize("odd", ["{}\n", "\r{}", "a{}\x00", "{}\x7f"])
@pytest.mark.parametrize(
    ("url", "name"),
    [
        (S3, "aws_access_key_id"),
        (S3, "aws_secret_access_key"),
        (S3, "aws_session_token"),
        (S3, "aws_region"),
        (S3, "aws_sse_kms_key_id"),
        (AZ, "azure_storage_account_name"),
        (AZ, "azure_storage_token"),
        (AZ, "azure_storage_sas_token"),
        (GS, "google_bearer_token"),
    ],
)
def test_a_line_end_in_a_credential(url: str, name: str, odd: str) -> None:
    """A key with its line's end, or with another control character, is refused by name: the driver would panic."""
    given = {"aws_access_key_id": SECRET, "aws_secret_access_key": SECRET} if url == S3 else {}
    with pytest.raises(ConfigurationError, match=f"{name}' holds ") as raised:
        ObstoreBackend("b", url, **{**given, name: SecretStr(odd.format(SECRET))})

    assert SECRET not in str(raised.value)


def test_a_key_that_no_header_can_hold() -> None:
    """An access key with a letter that is not ASCII is refused, as are headers of the client's own."""
    for options in ({**S3_KEYS, "aws_access_key_id": "clé"}, {"client_options": {"user_agent": "a\nb"}}):
        with pytest.raises(ConfigurationError, match="holds"):
            ObstoreBackend("b", S3, **options)


async def test_a_provider_whose_key_no_header_can_hold() -> None:
    """Of keys that are not options the driver's failure says what to look for."""
    keys = {"access_key_id": "id\n", "secret_access_key": SECRET, "token": None, "expires_at": None}
    backend = ObstoreBackend("b", S3, aws_endpoint="http://127.0.0.1:9", credential_provider=lambda: keys)
    with pytest.raises(StorageError, match="line end in credentials"):
        await backend.put("k", b"bytes")


@pytest.mark.parametrize("odd", ["a\nb", "a\x00", "\ud800", "\uffff"])
async def test_a_listing_after_no_key(odd: str) -> None:
    """What no key can be is nothing to begin a listing after."""
    with pytest.raises(InvalidKeyError):
        await anext(ObstoreBackend("b", "memory://").list(after=odd))
