"""The settings of one backend, and the options that they become."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from fastapi_filestore.settings import BackendSettings
from fastapi_filestore.settings.addresses import STORE_SCHEMES
from fastapi_filestore.settings.backend import FAMILIES, Options
from fastapi_filestore.settings.problems import holds_secret
from fastapi_filestore.storage.obstore.opening.options import read_options
from fastapi_filestore.storage.obstore.opening.store_url import SCHEMES
from tests.settings.conftest import Read


def test_only_what_is_set_is_an_option() -> None:
    """A backend with a URL alone has no options."""
    assert BackendSettings(url="s3://docs/").options() == {}


def test_options_keep_their_types(read: Read) -> None:
    """Options are typed, and secrets stay wrapped."""
    backend = read(
        {
            "BACKENDS__A__URL": "s3://docs/",
            "BACKENDS__A__AWS_ALLOW_HTTP": "no",
            "BACKENDS__A__AWS_SECRET_ACCESS_KEY": "hush",
            "BACKENDS__A__TIMEOUT": "2.5",
        }
    ).backends["a"]

    assert backend.options() == {
        "aws_allow_http": False,
        "aws_secret_access_key": SecretStr("hush"),
        "timeout": timedelta(seconds=2.5),
    }


def test_options_of_the_client_and_of_retries_are_mappings() -> None:
    """What the store takes in mappings is given in mappings, the proxy's URL as plain text."""
    backend = BackendSettings(
        url="s3://docs/",
        max_retries=0,
        retry_timeout=timedelta(seconds=5),
        proxy_url=SecretStr("http://me:pw@proxy:3128"),
        allow_invalid_certificates=True,
    )

    assert backend.options() == {
        "retry_config": {"max_retries": 0, "retry_timeout": timedelta(seconds=5)},
        "client_options": {"proxy_url": "http://me:pw@proxy:3128", "allow_invalid_certificates": True},
    }


def test_shows_only_what_is_set() -> None:
    """Seventy unset options would hide the three that are set."""
    backend = BackendSettings(url="s3://docs/", aws_region="us-west-2", aws_session_token=SecretStr("hush"))

    assert repr(backend) == (
        "BackendSettings(aws_session_token=SecretStr('**********'), aws_region='us-west-2', url='s3://docs/')"
    )


def test_the_home_folder_is_understood(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path of a credential may begin with the home folder."""
    monkeypatch.setenv("HOME", str(folder))
    (folder / "account.json").write_text("{}")

    backend = BackendSettings(url="gs://docs/", google_service_account="~/account.json")

    assert backend.google_service_account == str(folder / "account.json")


@pytest.mark.parametrize("scheme", STORE_SCHEMES)
def test_the_store_knows_every_scheme(scheme: str) -> None:
    """A URL that the settings accept is one that the store accepts."""
    assert scheme in SCHEMES


@pytest.mark.parametrize("family", FAMILIES)
def test_the_store_knows_every_option(family: type[Options]) -> None:
    """Each option is one that the store takes for the URLs it is meant for."""
    kind = SCHEMES[family.schemes[0]]
    for name, field in family.model_fields.items():
        value = SecretStr("x") if holds_secret(field.annotation) else "x"
        backend = BackendSettings(url=f"{family.schemes[0]}://x").model_copy(update={name: value})

        assert len(read_options(kind, backend.options())) == 1, name


def test_addresses_for_others_are_options(read: Read) -> None:
    """A backend's public addresses reach it as options, and have to be addresses."""
    backend = read(
        {
            "BACKENDS__A__URL": "s3://docs/",
            "BACKENDS__A__PUBLIC_URL": "https://cdn.example.com/docs/",
            "BACKENDS__A__PUBLIC_ENDPOINT": "https://s3.example.com",
        }
    ).backends["a"]

    assert backend.options() == {
        "public_url": "https://cdn.example.com/docs/",
        "public_endpoint": "https://s3.example.com",
    }
