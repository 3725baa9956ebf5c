"""Azure Blob Storage."""

from typing import TYPE_CHECKING, cast

from obstore.store import AzureStore

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.obstore.client import check_endpoint, take_client_options, take_retry_config
from fastapi_filestore.storage.obstore.connection_string import parse_connection_string
from fastapi_filestore.storage.obstore.construction import (
    check_one_of,
    construction,
    is_unsigned,
    take_provider,
    texts,
)
from fastapi_filestore.storage.obstore.location import Location
from fastapi_filestore.storage.obstore.options import as_bool, as_text

if TYPE_CHECKING:
    from obstore.store import AzureConfig, AzureCredentialProvider

CREDENTIALS = {
    "account_key": "access_key",
    "sas_key": "sas_token",
    "token": "bearer_token",
    "client_secret": "client_secret",
    "federated_token_file": "workload_identity",
    "use_azure_cli": "azure_cli",
}
"""Options that are a credential, and obstore's name for their kind."""

IN_CONNECTION_STRING = ("account_key", "account_name", "endpoint", "sas_key", "use_emulator")


def build_azure(location: Location, options: dict[str, object]) -> AzureStore:
    """Return the store of a container; a credential given is used alone, else the environment's or an identity."""
    if "connection_string" in options:
        _read_connection_string(options)
    endpoint = check_endpoint(options.pop("endpoint", None))
    emulated = as_bool("use_emulator", options.get("use_emulator", False))
    client, retry = (
        take_client_options(options, endpoint=endpoint or ("http://emulator" if emulated else None)),
        take_retry_config(options),
    )
    provider = cast("AzureCredentialProvider | None", take_provider(options, tuple(CREDENTIALS)))
    _settle_credential(options)
    if endpoint is not None:
        options["endpoint"] = endpoint
    config = cast("AzureConfig", texts(options))
    with construction():
        return AzureStore(
            location.bucket,
            prefix=location.prefix,
            config=config,
            client_options=client,
            retry_config=retry,
            credential_provider=provider,
        )


def _read_connection_string(options: dict[str, object]) -> None:
    text = as_text("azure_storage_connection_string", options.pop("connection_string"))
    for name in IN_CONNECTION_STRING:
        if name in options:
            raise ConfigurationError(
                f"azure_storage_connection_string already says what azure_storage_{name} says: give one."
            )
    options |= parse_connection_string(text)


def _settle_credential(options: dict[str, object]) -> None:
    given = tuple(name for name in CREDENTIALS if name in options)
    shown = tuple(f"azure_storage_{name}" for name in given)
    check_one_of((*shown, "azure_skip_signature") if is_unsigned(options) else shown)
    if given:
        # Without its kind, a token of the environment could win over the credential given.
        options.setdefault("credential_type", CREDENTIALS[given[0]])
    if "sas_key" in options:
        options["sas_key"] = as_text("azure_storage_sas_token", options["sas_key"]).strip().removeprefix("?")
