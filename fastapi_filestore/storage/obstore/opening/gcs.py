"""Open a bucket of Google Cloud Storage."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from obstore.store import GCSStore

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.obstore.opening.address import GCS_VARIABLES, environment
from fastapi_filestore.storage.obstore.opening.client import check_endpoint, take_client_options, take_retry_config
from fastapi_filestore.storage.obstore.opening.construction import (
    check_one_of,
    is_unsigned,
    make_store,
    take_provider,
)
from fastapi_filestore.storage.obstore.opening.google_credentials import GoogleCredentials, read_elsewhere
from fastapi_filestore.storage.obstore.opening.options import as_text
from fastapi_filestore.storage.obstore.opening.store_url import StoreURL
from fastapi_filestore.storage.obstore.opening.variables import (
    WITHOUT,
    address_in,
    keep_environment_out,
    name_in,
    variables_in,
)

WELL_KNOWN = "~/.config/gcloud/application_default_credentials.json"
"""Where gcloud leaves a developer's credentials, and obstore looks for them."""
FILES = ("service_account", "service_account_key", "application_credentials")
"""Options that are credentials in JSON, or the path of a file with them."""
CREDENTIALS = ("service_account", "service_account_key", "application_credentials", "bearer_token")

UNDONE_BY: Mapping[str, tuple[str, ...]] = {
    "service_account": ("bearer_token",),
    "service_account_key": ("service_account", "bearer_token"),
    "application_credentials": ("service_account", "service_account_key", "bearer_token"),
    "bearer_token": (),
}
"""Options that obstore takes first, whether they were given or not."""


def build_gcs(store_url: StoreURL, options: dict[str, object]) -> GCSStore:
    """Return the store of a bucket; without credentials given, Google's default ones are used."""
    endpoint = check_endpoint(options.pop("base_url", None), "google_base_url")
    reached = endpoint or address_in("gs", "base_url")
    client, retry = take_client_options(options, endpoint=reached, variables="GOOGLE_"), take_retry_config(options)
    provider = take_provider(options, CREDENTIALS)
    given = tuple(f"google_{name}" for name in CREDENTIALS if name in options)
    check_one_of((*given, "google_skip_signature") if is_unsigned(options) else given)
    if provider is None and not is_unsigned(options):
        provider = _take_elsewhere(options)
    if "service_account" in options:
        text = as_text("google_service_account", options.pop("service_account"))
        path = Path(text).expanduser()
        if text.lstrip().startswith("{"):
            options["service_account_key"] = text
        elif path.is_file():
            options["service_account"] = str(path)
        else:
            raise ConfigurationError(
                f"google_service_account is neither the JSON of a service account nor a file: {str(path)!r} is missing."
            )
    if endpoint is not None:
        options["base_url"] = endpoint
    _complete_environment(options, is_given=provider is not None or bool(options.keys() & {*CREDENTIALS}))
    return make_store(GCSStore, store_url, options, client=client, retry=retry, provider=provider)


def _complete_environment(options: dict[str, object], *, is_given: bool) -> None:
    """Keep variables of other credentials from winning over those given."""
    given = next((name for name in CREDENTIALS if name in options), None)
    if given == "service_account" and "service_account_key" in variables_in("gs"):
        # A key beats a key; beside a path it contradicts the path.
        options["service_account_key"] = Path(str(options.pop(given))).read_text(encoding="utf-8")
        given = "service_account_key"
    if given is not None:
        undoing = name_in("gs", *UNDONE_BY[given])
        if undoing is not None:
            raise ConfigurationError(f"{undoing} of the environment would win over google_{given}: unset it.")
    is_known = is_given or name_in("gs", *CREDENTIALS) is not None
    default = Path(WELL_KNOWN).expanduser()
    without = {**WITHOUT, **({"application_credentials": str(default)} if default.is_file() else {})}
    keep_environment_out(
        "gs", options, is_given=is_given, unread=("application_credentials",) if is_known else (), without=without
    )


def _take_elsewhere(options: dict[str, object]) -> GoogleCredentials | None:
    """Return what gives tokens for credentials that obstore can't read, and take them out of the options."""
    for name in FILES:
        if name in options:
            text = as_text(f"google_{name}", options[name])
            info = _json_of(text)
            if (credentials := read_elsewhere(info, f"google_{name}")) is not None:
                del options[name]
            elif info.get("type") == "authorized_user" and name != "application_credentials":
                if text.lstrip().startswith("{"):
                    raise ConfigurationError(
                        f"google_{name} holds the credentials of a user (authorized_user), not of a service account: "
                        "give the path of their file as google_application_credentials."
                    )
                del options[name]
                options["application_credentials"] = str(Path(text).expanduser())
            return credentials
    if options.keys() & set(CREDENTIALS):
        return None
    found = environment(GCS_VARIABLES)
    if found.keys() & {"service_account", "service_account_key"}:
        return None
    if path := found.get("application_credentials"):
        return read_elsewhere(_json_of(path), "GOOGLE_APPLICATION_CREDENTIALS")
    return read_elsewhere(_json_of(WELL_KNOWN), WELL_KNOWN)


def _json_of(text: str) -> Mapping[str, Any]:
    """Return JSON, or what a file of that path holds; nothing for what is none, of which obstore tells."""
    try:
        is_text = text.lstrip().startswith("{")
        read: object = json.loads(text if is_text else Path(text).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("Mapping[str, Any]", read) if isinstance(read, dict) else {}
