"""Know what obstore takes from the environment by itself, and let what is given win.

It reads every variable whose name begins with AWS_, GOOGLE_ or AZURE_ and goes on like one of its options. An option
that is set beats its variable, so what must not count is set to what it would be without.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.obstore.opening.client import check_endpoint
from fastapi_filestore.storage.obstore.opening.options import IN_HEADERS, OF_LINES, VOCABULARIES, check_characters
from fastapi_filestore.storage.obstore.opening.store_url import Kind

PREFIXES: Mapping[Kind, str] = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
OF_CLIENT = frozenset(
    {
        "allow_http",
        "client_options",
        "connect_timeout",
        "read_timeout",
        "retry_config",
        "timeout",
        "credential_provider",
    }
)
"""The HTTP client's: where it is given options, as here always, obstore reads none of these."""
UNREAD = frozenset({"connection_string", "public_endpoint"})
"""Ours alone."""

UNDOING: Mapping[Kind, tuple[str, ...]] = {
    "s3": ("skip_signature",),
    "gs": ("skip_signature",),
    "az": ("skip_signature", "use_emulator"),
}
"""Options that make a store forget its credentials: without a variable each is false."""

WITHOUT: Mapping[str, object] = {
    "conditional_put": "etag",
    "disable_bulk_delete": False,
    "disable_tagging": False,
    "imdsv1_fallback": False,
    "metadata_endpoint": "http://169.254.169.254",
    "request_payer": False,
    "role_session_name": "WebIdentitySession",
    "s3_express": False,
    "skip_signature": False,
    "unsigned_payload": False,
    "use_azure_cli": False,
    "use_emulator": False,
    "use_fabric_endpoint": False,
    "virtual_hosted_style_request": False,
    "authority_host": "https://login.microsoftonline.com",
    "base_url": "https://storage.googleapis.com",
    "credential_type": "auto",
}
"""What an option is that nobody sets."""


OF_ACCOUNT = frozenset({"account_key", "account_name", "connection_string", "endpoint", "sas_key", "token"})
"""Azure's options that are said to be of the storage account."""
SHOWN: Mapping[str, str] = {"sas_key": "sas_token"}
"""Options that settings call otherwise than obstore does."""
ADDRESSES = frozenset({"authority_host", "metadata_endpoint", "msi_endpoint"})
"""Options that obstore takes whatever they are, until it needs them."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the environment that obstore reads as an option."""

    name: str
    value: str

    @property
    def is_empty(self) -> bool:
        """Tell whether it says nothing: a compose file has no other way to leave a variable out."""
        return not self.value.strip()


def variables_of(kind: Kind) -> dict[str, list[Variable]]:
    """Return the variables that a kind of store reads, by the option that each stands for."""
    names = dict(VOCABULARIES[kind].spellings())
    found = dict[str, list[Variable]]()
    for name, value in os.environ.items():  # noqa: TID251 - obstore reads it, whatever we do
        is_read = name.startswith(PREFIXES[kind]) or (kind == "gs" and name == "SERVICE_ACCOUNT")
        option = names.get(name.lower()) if is_read else None
        if option is not None and option not in OF_CLIENT | UNREAD:
            found.setdefault(option, []).append(Variable(name, value))
    return found


def is_empty(name: str) -> bool:
    """Tell whether a variable is set, and says nothing."""
    value = os.environ.get(name)  # noqa: TID251 - boto3 reads it, whatever we do
    return value is not None and not value.strip()


def value_of(name: str) -> str | None:
    """Return the value of a variable; None if it is not set, or empty."""
    value = os.environ.get(name)  # noqa: TID251 - obstore reads it, whatever we do
    return value if value and value.strip() else None


def variable_in(kind: Kind, *options: str) -> Variable | None:
    """Return the variable that sets the first of some options that is set; None if the environment sets none."""
    found = variables_of(kind)
    return next((variable for option in options for variable in found.get(option, []) if not variable.is_empty), None)


def value_in(kind: Kind, option: str) -> str | None:
    """Return what the environment sets an option to; None if it is not set, or empty."""
    found = variable_in(kind, option)
    return None if found is None else found.value


def name_in(kind: Kind, *options: str) -> str | None:
    """Return the name of the variable that sets the first of some options that is set; None if there is none."""
    found = variable_in(kind, *options)
    return None if found is None else found.name


def display_name(kind: Kind, option: str, options: Collection[str]) -> str:
    """Return what whoever set an option calls it: as it is given, or the variable if it is not among `options`."""
    of_account = "storage_" if kind == "az" and option in OF_ACCOUNT else ""
    given = f"{PREFIXES[kind].lower()}{of_account}{SHOWN.get(option, option)}"
    return given if option in options else name_in(kind, option) or given


def address_in(kind: Kind, option: str) -> str | None:
    """Return the address that the environment sets an option to; None if it sets none.

    Raises:
        ConfigurationError: It can't be one; the variable is named.
    """
    found = variable_in(kind, option)
    return None if found is None else check_endpoint(found.value, found.name)


def variables_in(kind: Kind) -> frozenset[str]:
    """Return the options that the environment sets to something."""
    return frozenset(
        name for name, found in variables_of(kind).items() if not all(variable.is_empty for variable in found)
    )


def any_is_empty(kind: Kind, options: Collection[str]) -> bool:
    """Tell whether the environment sets one of some options to nothing."""
    found = variables_of(kind)
    return any(variable.is_empty for name in options for variable in found.get(name, []))


def keep_environment_out(
    kind: Kind,
    options: dict[str, object],
    *,
    is_given: bool,
    unread: Collection[str] = (),
    without: Mapping[str, object] = WITHOUT,
) -> None:
    """Add what keeps the environment from undoing options, and an empty variable from being more than an unset one.

    Args:
        kind: The kind of store.
        options: What obstore is to be given, by its own names; it is added to.
        is_given: Whether credentials were given, by whatever way.
        unread: Options that obstore does not look at beside the others.
        without: What options are that nobody sets.

    Raises:
        ConfigurationError: A variable is empty that obstore can't be kept from reading, or an address is none.
    """
    found = variables_of(kind)
    if is_given:
        options |= {name: False for name in UNDOING[kind] if name in found and name not in options}
    for name, variables in found.items():
        empty = next((variable for variable in variables if variable.is_empty), None)
        if empty is None or name in options or name in unread:
            continue
        full = next((variable.value for variable in variables if not variable.is_empty), without.get(name))
        if full is None:
            raise ConfigurationError(
                f"The variable {empty.name} is set and empty, which the store's driver does not take for unset: "
                "remove it from the environment, or give it a value."
            )
        options[name] = full
    for name in ADDRESSES & options.keys():
        check_endpoint(options[name], display_name(kind, name, options))
    for name in found.keys() - options.keys() - set(unread):
        for variable in found[name]:
            of_lines, in_headers = name in OF_LINES, name in IN_HEADERS
            check_characters(variable.name, variable.value, of_lines=of_lines, in_headers=in_headers)
            if name in ADDRESSES:
                check_endpoint(variable.value, variable.name)
