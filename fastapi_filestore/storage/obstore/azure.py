"""Azure Blob Storage."""

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, cast

from obstore.store import AzureStore

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.obstore.client import check_endpoint, take_client_options, take_retry_config
from fastapi_filestore.storage.obstore.connection_string import check_account, parse_connection_string
from fastapi_filestore.storage.obstore.construction import (
    check_one_of,
    construction,
    is_unsigned,
    take_provider,
    texts,
)
from fastapi_filestore.storage.obstore.location import Location
from fastapi_filestore.storage.obstore.options import as_bool, as_text
from fastapi_filestore.storage.obstore.variables import (
    WITHOUT,
    any_is_empty,
    checked_address,
    settle,
    shown_name,
    value_in,
    value_of,
    variables_in,
)

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

IDENTITY = frozenset({"client_id", "msi_endpoint", "msi_resource_id", "object_id"})
"""Options that say who a program is that is known without a secret."""
PARTS: tuple[tuple[str, frozenset[str]], ...] = (
    ("bearer_token", frozenset({"token"})),
    ("access_key", frozenset({"account_key"})),
    ("workload_identity", frozenset({"client_id", "tenant_id", "federated_token_file"})),
    ("client_secret", frozenset({"client_id", "tenant_id", "client_secret"})),
    ("sas_token", frozenset({"sas_key"})),
    ("azure_cli", frozenset({"use_azure_cli"})),
)
"""Kinds of credentials and the options of each, in the order in which obstore takes them."""
CREDENTIAL_OPTIONS = IDENTITY.union(*(parts for _, parts in PARTS))

IN_CONNECTION_STRING = ("account_key", "account_name", "endpoint", "sas_key", "use_emulator")


def build_azure(location: Location, options: dict[str, object]) -> AzureStore:
    """Return the store of a container; a credential given is used alone, else the environment's or an identity."""
    if "connection_string" in options:
        _read_connection_string(options)
    endpoint = check_endpoint(options.pop("endpoint", None), "azure_storage_endpoint")
    emulated = as_bool("use_emulator", options.get("use_emulator", False))
    if emulated:
        check_endpoint(value_of("AZURITE_BLOB_STORAGE_URL"), "AZURITE_BLOB_STORAGE_URL")
    elif endpoint is None and (account := options.get("account_name") or value_in("az", "account_name")):
        check_account(as_text("account_name", account), shown_name("az", "account_name", options))
    reached = endpoint or ("http://emulator" if emulated else checked_address("az", "endpoint"))
    client, retry = take_client_options(options, endpoint=reached, variables="AZURE_"), take_retry_config(options)
    provider = cast("AzureCredentialProvider | None", take_provider(options, tuple(CREDENTIALS)))
    is_given = _settle_credential(options) or provider is not None
    if endpoint is not None:
        options |= {"endpoint": endpoint, "use_emulator": emulated}
    _settle_environment(options, is_given=is_given)
    config = cast("AzureConfig", texts(options))
    with construction("az", options, client):
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


def _settle_credential(options: dict[str, object]) -> bool:
    """Say of which kind the credential is that was given; return whether any was."""
    given = tuple(name for name in CREDENTIALS if name in options)
    shown = tuple(f"azure_storage_{name}" for name in given)
    check_one_of((*shown, "azure_skip_signature") if is_unsigned(options) else shown)
    if given:
        # Without its kind, a token of the environment could win over the credential given.
        options.setdefault("credential_type", CREDENTIALS[given[0]])
    elif identity := options.keys() & IDENTITY:
        options.setdefault("credential_type", _type_of(options.keys() | variables_in("az"), with_one_of=identity))
    if "sas_key" in options:
        options["sas_key"] = as_text("azure_storage_sas_token", options["sas_key"]).strip().removeprefix("?")
    return bool(given) or bool(options.keys() & IDENTITY) or is_unsigned(options)


def _type_of(names: AbstractSet[str], *, with_one_of: AbstractSet[str] | None = None) -> str:
    """Return the kind of credential that options make, by their names, with one of some of them if they are given."""
    kinds = (kind for kind, parts in PARTS if parts <= names and (with_one_of is None or parts & with_one_of))
    return next(kinds, "managed_identity")


def _settle_environment(options: dict[str, object], *, is_given: bool) -> None:
    known = variables_in("az")
    if not options.keys() & {*CREDENTIALS, "credential_type"} and any_is_empty("az", CREDENTIAL_OPTIONS):
        # Otherwise an empty one would be taken for the credential.
        options["credential_type"] = _type_of(known | options.keys())
    kind = options.get("credential_type")
    used = next((parts for name, parts in PARTS if name == kind), IDENTITY if kind else CREDENTIAL_OPTIONS)
    account = options.get("account_name") or value_in("az", "account_name")
    without = {**WITHOUT, **({} if account is None else {"endpoint": f"https://{account}.blob.core.windows.net"})}
    settle("az", options, is_given=is_given, unread=CREDENTIAL_OPTIONS - used, without=without)
