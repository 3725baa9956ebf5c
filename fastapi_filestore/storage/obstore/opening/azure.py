"""Open a container of Azure Blob Storage, and read connection strings, which obstore does not."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from urllib.parse import urlsplit

from obstore.store import AzureStore

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.settings import problem_of_address
from fastapi_filestore.storage.obstore.opening.client import check_endpoint, take_client_options, take_retry_config
from fastapi_filestore.storage.obstore.opening.construction import (
    check_one_of,
    is_unsigned,
    make_store,
    take_provider,
)
from fastapi_filestore.storage.obstore.opening.options import as_bool, as_text
from fastapi_filestore.storage.obstore.opening.store_url import StoreURL
from fastapi_filestore.storage.obstore.opening.variables import (
    WITHOUT,
    address_in,
    any_is_empty,
    display_name,
    keep_environment_out,
    value_in,
    value_of,
    variables_in,
)

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


def build_azure(store_url: StoreURL, options: dict[str, object]) -> AzureStore:
    """Return the store of a container; a credential given is used alone, else the environment's or an identity."""
    if "connection_string" in options:
        text = as_text("azure_storage_connection_string", options.pop("connection_string"))
        for name in IN_CONNECTION_STRING:
            if name in options:
                raise ConfigurationError(
                    f"azure_storage_connection_string already says what azure_storage_{name} says: give one."
                )
        options |= parse_connection_string(text)
    endpoint = check_endpoint(options.pop("endpoint", None), "azure_storage_endpoint")
    emulated = as_bool("use_emulator", options.get("use_emulator", False))
    if emulated:
        check_endpoint(value_of("AZURITE_BLOB_STORAGE_URL"), "AZURITE_BLOB_STORAGE_URL")
    elif endpoint is None and (account := options.get("account_name") or value_in("az", "account_name")):
        check_account(as_text("account_name", account), display_name("az", "account_name", options))
    reached = endpoint or ("http://emulator" if emulated else address_in("az", "endpoint"))
    client, retry = take_client_options(options, endpoint=reached, variables="AZURE_"), take_retry_config(options)
    provider = take_provider(options, tuple(CREDENTIALS))
    if endpoint is not None:
        options |= {"endpoint": endpoint, "use_emulator": emulated}
    _complete_credentials(options, has_provider=provider is not None)
    return make_store(AzureStore, store_url, options, client=client, retry=retry, provider=provider)


def _complete_credentials(options: dict[str, object], *, has_provider: bool) -> None:
    """Say of which kind the credential is that was given, and keep the environment from undoing it."""
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
    is_given = bool(given or options.keys() & IDENTITY) or is_unsigned(options) or has_provider
    known = variables_in("az")
    if not options.keys() & {*CREDENTIALS, "credential_type"} and any_is_empty("az", CREDENTIAL_OPTIONS):
        # Otherwise an empty one would be taken for the credential.
        options["credential_type"] = _type_of(known | options.keys())
    kind = options.get("credential_type")
    used = next((parts for name, parts in PARTS if name == kind), IDENTITY if kind else CREDENTIAL_OPTIONS)
    account = options.get("account_name") or value_in("az", "account_name")
    without = {**WITHOUT, **({} if account is None else {"endpoint": f"https://{account}.blob.core.windows.net"})}
    keep_environment_out("az", options, is_given=is_given, unread=CREDENTIAL_OPTIONS - used, without=without)


def _type_of(names: AbstractSet[str], *, with_one_of: AbstractSet[str] | None = None) -> str:
    """Return the kind of credential that options make, by their names, with one of some of them if they are given."""
    kinds = (kind for kind, parts in PARTS if parts <= names and (with_one_of is None or parts & with_one_of))
    return next(kinds, "managed_identity")


FIELDS: Mapping[str, str] = {
    name.lower(): name
    for name in (
        "AccountKey",
        "AccountName",
        "BlobEndpoint",
        "DefaultEndpointsProtocol",
        "DevelopmentStorageProxyUri",
        "EndpointSuffix",
        "SharedAccessSignature",
        "UseDevelopmentStorage",
    )
}
ACCOUNT = re.compile(r"[A-Za-z0-9-]{1,63}")
OTHER_SERVICES = ("queue", "table", "file", "dfs", "web")
EMULATOR: Mapping[str, str] = {
    "account_name": "devstoreaccount1",
    # Published by Microsoft; every emulator has it.
    "account_key": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "endpoint": "http://127.0.0.1:10000/devstoreaccount1",
}


def parse_connection_string(text: str) -> dict[str, str]:
    """Return the options `account_name`, `endpoint` and one of `account_key` and `sas_key` that it stands for.

    Raises:
        ConfigurationError: It is not a connection string, lacks a field or contradicts itself; never shows a value.
    """
    fields = _fields(text)
    if fields.get("UseDevelopmentStorage", "").lower() == "true":
        return dict(EMULATOR)
    key, sas = fields.get("AccountKey"), fields.get("SharedAccessSignature")
    if bool(key) == bool(sas):
        raise ConfigurationError("The Azure connection string needs either AccountKey or SharedAccessSignature.")
    endpoint, account = fields.get("BlobEndpoint"), fields.get("AccountName")
    if not endpoint and not account:
        raise ConfigurationError("The Azure connection string needs AccountName or BlobEndpoint.")
    names = "BlobEndpoint" if endpoint else "EndpointSuffix or DefaultEndpointsProtocol"
    if not endpoint:
        check_account(account or "", "AccountName of the Azure connection string")
        protocol, suffix = fields.get("DefaultEndpointsProtocol"), fields.get("EndpointSuffix")
        endpoint = f"{protocol or 'https'}://{account}.blob.{suffix or 'core.windows.net'}"
    if problem := problem_of_address(endpoint):
        raise ConfigurationError(f"{names} of the Azure connection string can't be used: {problem}.")
    if not account:
        parts = urlsplit(endpoint.rstrip("/"))
        account = parts.path.strip("/") or (parts.hostname or "").partition(".")[0]
    if not account:
        raise ConfigurationError("The Azure connection string names no account: add AccountName.")
    credential = {"account_key": key} if key else {"sas_key": (sas or "").removeprefix("?")}
    return {"account_name": account, "endpoint": endpoint.rstrip("/"), **credential}


def check_account(account: str, name: str) -> None:
    """Raise `ConfigurationError` for an account that can't be the first part of a host's name."""
    if not ACCOUNT.fullmatch(account):
        raise ConfigurationError(f"{name} is no name of a storage account: it has letters and digits only.")


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, separator, value = part.partition("=")
        known = FIELDS.get(name.strip().lower())
        if not separator or (known is None and not name.lower().startswith(OTHER_SERVICES)):
            shown = f" {name.strip()!r}" if separator and name.strip().isalpha() else ""
            raise ConfigurationError(
                f"The Azure connection string has a part{shown} that is not one; it is "
                "'AccountName=...;AccountKey=...;EndpointSuffix=core.windows.net', parts separated by ';'."
            )
        if known is not None:
            fields[known] = value.strip()
    return fields
