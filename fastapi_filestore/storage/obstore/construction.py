"""What building any networked store has in common."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from obstore.exceptions import BaseError

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.obstore.options import as_bool, as_text


@contextmanager
def construction(variables: Collection[str] = ()) -> Iterator[None]:
    """Turn what obstore says of wrong options into a `ConfigurationError`, whose text can't hold a secret.

    `variables` are those of the environment that it reads as options, too, so that the fault may be theirs.
    """
    try:
        yield
    except ConfigurationError:
        raise
    except (BaseError, OSError, TypeError, ValueError) as exc:
        beside = f" The environment sets {', '.join(variables)}." if variables else ""
        raise ConfigurationError(f"The store can't be set up: {_reason(str(exc))}{beside}") from None


REASONS: Mapping[str, str] = {
    "Account must be specified": "azure_storage_account_name is missing.",
    "Invalid Access Key": "azure_storage_account_key is not base64: copy the whole key.",
    "SAS": "azure_storage_sas_token is not a SAS token: it looks like 'sv=...&sig=...'.",
    "One of service account path": "the environment's GOOGLE_SERVICE_ACCOUNT or GOOGLE_SERVICE_ACCOUNT_KEY contradicts "
    "the service account given: unset it.",
    "Unable to open service account file": "the service account file can't be opened: correct google_service_account.",
    "Unable to decode service account file": "the service account is not the JSON that Google gives out.",
    "Unable to decode application": "google_application_credentials is not a credentials file.",
    "private key": "the service account's private key is not one.",
    "encryption type": "aws_server_side_encryption is AES256, aws:kms, aws:kms:dsse or sse-c.",
    "SSE": "the server-side encryption options do not fit together.",
    "Region must be specified": "aws_region is missing.",
    "certificate": "root_certificate is not a PEM certificate.",
    "proxy": "proxy_url is not a URL of a proxy.",
}
"""Parts of obstore's messages, and what they mean to whoever set the options; the first that fits counts."""


def texts(options: Mapping[str, object]) -> dict[str, str]:
    """Return options as the texts obstore takes."""
    return {name: as_text(name, value) for name, value in options.items()}


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


def _reason(text: str) -> str:
    for part, reason in REASONS.items():
        if part in text:
            return reason
    return "an option has a value that it can't have."
