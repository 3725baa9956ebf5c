"""Do what building any networked store has in common."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.obstore.opening.client import problems_of_client
from fastapi_filestore.storage.obstore.opening.options import as_bool, as_text
from fastapi_filestore.storage.obstore.opening.store_url import Kind, StoreURL
from fastapi_filestore.storage.obstore.opening.variables import PREFIXES, display_name, name_in, variables_of

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig


StoreT = TypeVar("StoreT", S3Store, GCSStore, AzureStore)


def make_store(
    store_class: type[StoreT],
    store_url: StoreURL,
    options: Mapping[str, object],
    *,
    client: "ClientConfig",
    retry: "RetryConfig",
    provider: object,
) -> StoreT:
    """Make a store of obstore.

    Raises:
        ConfigurationError: obstore refuses options. Each is named as whoever set it calls it, for the fault may be a
            variable's of the environment; the text can't hold a secret.
    """
    config = {name: as_text(name, value) for name, value in options.items()}
    try:
        return store_class(
            store_url.bucket,
            prefix=store_url.prefix,
            config=cast("Any", config),
            client_options=client,
            retry_config=retry,
            credential_provider=cast("Any", provider),
        )
    except (BaseError, OSError, TypeError, ValueError) as exc:
        kind = store_url.kind
        problems = problems_of_client(client, PREFIXES[kind]) or _problems(kind, options, str(exc))
        raise ConfigurationError(f"The store can't be set up: {'; '.join(problems)}.") from None


ACCOUNTS = ("service_account", "service_account_key")
REASONS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "Account must be specified": (("account_name",), "is missing"),
    "Invalid Access Key": (("account_key",), "is not base64: copy the whole key"),
    "Invalid encryption key": (("encryption_key",), "is not base64: copy the whole key"),
    "SAS": (("sas_key",), "is not a SAS token: it looks like 'sv=...&sig=...'"),
    "Unknown credential type": (
        ("credential_type",),
        "is no kind of credential, as auto, access_key or sas_token are",
    ),
    "One of service account path": (ACCOUNTS, "contradicts the other service account there is: unset it"),
    "Unable to open service account file": (
        ("service_account", "application_credentials"),
        "names a file that can't be opened: correct it",
    ),
    "Unable to decode service account file": (ACCOUNTS, "is not the JSON that Google gives out"),
    "Unable to decode application": (("application_credentials",), "is not a credentials file"),
    "private key": (ACCOUNTS, "has a private key that is not one"),
    "encryption type": (("server_side_encryption",), "can be AES256, aws:kms, aws:kms:dsse or sse-c"),
    "SSE": (("server_side_encryption",), "does not fit the other options of encryption"),
    "Region must be specified": (("region",), "is missing"),
}
"""Parts of obstore's messages, the options that they may be about, and what is wrong with the first that is set."""
CHOICES: Mapping[str, str] = {
    "boolean": "is not true or false",
    "checksum algorithm": "can be SHA256 or CRC64NVME",
    "S3PutConditional": "can be etag or disabled",
    "S3CopyIfNotExists": "can be multipart or header:NAME:VALUE",
}
"""What obstore would have taken, by its own name for that."""
_REFUSED = re.compile(r'"([^"]*)" (?:as|is not a valid) ([\w ]{1,40})')
"""How obstore shows a value that it can't read, and what it was to be."""


def _problems(kind: Kind, options: Mapping[str, object], text: str) -> list[str]:
    """Return what obstore says in our words, each problem by the name of its option or variable."""
    for part, (candidates, reason) in REASONS.items():
        if part in text:
            name = next((name for name in candidates if name in options or name_in(kind, name)), candidates[0])
            return [f"{display_name(kind, name, options)} {reason}"]
    unset = (variables for name, variables in variables_of(kind).items() if name not in options)
    beside = {variable.name: variable.value for variables in unset for variable in variables}
    if (refused := _REFUSED.search(text)) is not None:
        given = {display_name(kind, name, options): as_text(name, value) for name, value in options.items()}
        what = CHOICES.get(refused[2], "has a value that it can't have")
        if named := [f"{name} {what}" for name, value in {**given, **beside}.items() if value == refused[1]]:
            return named
    named = [*beside, *(display_name(kind, name, options) for name in options)]
    return [f"one of these has a value that it can't have: {', '.join(sorted(named)) or 'the options'}"]


def take_provider(options: dict[str, object], secrets: tuple[str, ...]) -> Callable[..., object] | None:
    """Remove `credential_provider` from options and return it; it replaces every other credential."""
    provider = options.pop("credential_provider", None)
    if provider is None:
        return None
    if not callable(provider):
        raise ConfigurationError("Option 'credential_provider' must be callable.")
    check_one_of(("credential_provider", *(name for name in secrets if name in options)))
    return provider


def check_one_of(names: tuple[str, ...]) -> None:
    """Raise if more than one of the options that exclude each other was given."""
    if len(names) > 1:
        raise ConfigurationError(f"Options {names[0]!r} and {names[1]!r} contradict each other: give one.")


def is_unsigned(options: Mapping[str, object]) -> bool:
    """Say whether requests are to go out without credentials."""
    return as_bool("skip_signature", options.get("skip_signature", False))
