"""Google Cloud Storage."""

from collections.abc import Mapping
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
from fastapi_filestore.storage.obstore.variables import WITHOUT, name_in, settle, value_in

if TYPE_CHECKING:
    from obstore.store import GCSConfig, GCSCredentialProvider

CREDENTIALS = ("service_account", "service_account_key", "application_credentials", "bearer_token")

DEFAULT_FILE = "~/.config/gcloud/application_default_credentials.json"
"""Where `gcloud auth application-default login` puts what it gives out."""
UNDONE_BY: Mapping[str, tuple[str, ...]] = {
    "service_account": ("service_account_key", "bearer_token"),
    "service_account_key": ("service_account", "bearer_token"),
    "application_credentials": ("service_account", "service_account_key", "bearer_token"),
    "bearer_token": (),
}
"""Options that obstore takes first, whether they were given or not."""


def build_gcs(location: Location, options: dict[str, object]) -> GCSStore:
    """Return the store of a bucket; without credentials given, Google's default ones are used."""
    endpoint = check_endpoint(options.pop("base_url", None))
    reached = endpoint or check_endpoint(value_in("gs", "base_url"))
    client, retry = take_client_options(options, endpoint=reached, variables="GOOGLE_"), take_retry_config(options)
    provider = cast("GCSCredentialProvider | None", take_provider(options, CREDENTIALS))
    _check_credentials(options)
    if "service_account" in options:
        _read_service_account(options)
    if endpoint is not None:
        options["base_url"] = endpoint
    _settle_environment(options, is_given=provider is not None or bool(options.keys() & {*CREDENTIALS}))
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


def _settle_environment(options: dict[str, object], *, is_given: bool) -> None:
    """Keep variables of other credentials from winning over those given."""
    given = next((name for name in CREDENTIALS if name in options), None)
    if given is not None:
        undoing = name_in("gs", *UNDONE_BY[given])
        if undoing is not None:
            raise ConfigurationError(f"{undoing} of the environment would win over google_{given}: unset it.")
    is_known = is_given or name_in("gs", *CREDENTIALS) is not None
    default = Path(DEFAULT_FILE).expanduser()
    without = {**WITHOUT, **({"application_credentials": str(default)} if default.is_file() else {})}
    settle("gs", options, is_given=is_given, unread=("application_credentials",) if is_known else (), without=without)


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
