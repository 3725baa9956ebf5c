"""Azure's connection strings, which obstore does not read."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.settings import problem_of_address

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
    endpoint = _endpoint(fields)
    credential = {"account_key": key} if key else {"sas_key": (sas or "").removeprefix("?")}
    return {"account_name": fields.get("AccountName") or _account_of(endpoint), "endpoint": endpoint, **credential}


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


def _endpoint(fields: Mapping[str, str]) -> str:
    endpoint, account = fields.get("BlobEndpoint"), fields.get("AccountName")
    if not endpoint and not account:
        raise ConfigurationError("The Azure connection string needs AccountName or BlobEndpoint.")
    if not endpoint and account:
        check_account(account, "AccountName of the Azure connection string")
    protocol = fields.get("DefaultEndpointsProtocol") or "https"
    made = f"{protocol}://{account}.blob.{fields.get('EndpointSuffix') or 'core.windows.net'}"
    if problem := problem_of_address(endpoint or made):
        names = "BlobEndpoint" if endpoint else "EndpointSuffix or DefaultEndpointsProtocol"
        raise ConfigurationError(f"{names} of the Azure connection string can't be used: {problem}.")
    return (endpoint or made).rstrip("/")


def _account_of(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    in_path = parts.path.strip("/")
    account = in_path or (parts.hostname or "").partition(".")[0]
    if not account:
        raise ConfigurationError("The Azure connection string names no account: add AccountName.")
    return account
