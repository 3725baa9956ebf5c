"""Google Cloud Storage."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from obstore.store import GCSStore

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.obstore.client import check_endpoint, take_client_options, take_retry_config
from fastapi_filestore.storage.obstore.construction import (
    check_one_of,
    construction,
    is_unsigned,
    take_provider,
    texts,
)
from fastapi_filestore.storage.obstore.location import Location
from fastapi_filestore.storage.obstore.options import as_text

if TYPE_CHECKING:
    from obstore.store import GCSConfig, GCSCredentialProvider

CREDENTIALS = ("service_account", "service_account_key", "application_credentials", "bearer_token")


def build_gcs(location: Location, options: dict[str, object]) -> GCSStore:
    """Return the store of a bucket; without credentials given, Google's default ones are used."""
    endpoint = check_endpoint(options.pop("base_url", None))
    client, retry = take_client_options(options, endpoint=endpoint), take_retry_config(options)
    provider = cast("GCSCredentialProvider | None", take_provider(options, CREDENTIALS))
    _check_credentials(options)
    if "service_account" in options:
        _read_service_account(options)
    if endpoint is not None:
        options["base_url"] = endpoint
    config = cast("GCSConfig", texts(options))
    with construction():
        return GCSStore(
            location.bucket,
            prefix=location.prefix,
            config=config,
            client_options=client,
            retry_config=retry,
            credential_provider=provider,
        )


def _check_credentials(options: dict[str, object]) -> None:
    given = tuple(f"google_{name}" for name in CREDENTIALS if name in options)
    check_one_of((*given, "google_skip_signature") if is_unsigned(options) else given)


def _read_service_account(options: dict[str, object]) -> None:
    text = as_text("google_service_account", options.pop("service_account"))
    if text.lstrip().startswith("{"):
        options["service_account_key"] = text
        return
    path = Path(text).expanduser()
    if not path.is_file():
        raise ConfigurationError(
            f"google_service_account is neither the JSON of a service account nor a file: {str(path)!r} is missing."
        )
    options["service_account"] = str(path)
