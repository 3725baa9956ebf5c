"""Reach a store as others do: browsers with signed URLs, and anybody where files are public."""

from collections.abc import Mapping
from urllib.parse import quote

from fastapi_filestore.storage.obstore.opening.azure import EMULATOR, parse_connection_string
from fastapi_filestore.storage.obstore.opening.client import check_endpoint
from fastapi_filestore.storage.obstore.opening.options import as_bool, as_text
from fastapi_filestore.storage.obstore.opening.store_url import Kind
from fastapi_filestore.storage.paths import can_be_held

ENDPOINTS: Mapping[Kind, str] = {"s3": "endpoint", "gs": "base_url", "az": "endpoint"}
"""The option that says where a store behind a network is reached."""


def check_public_url(given: object) -> str | None:
    """Return the address that public files are below, without a slash at its end.

    Raises:
        ConfigurationError: It is no address of http or https, or more than that and a path.
    """
    if given is None or given == "":
        return None
    return check_endpoint(given, "public_url")


def public_address(url: str, path: str) -> str | None:
    """Return the public address of an object; None for a path that a browser would read as another one."""
    return f"{url}/{quote(path)}" if can_be_held(path) else None


def options_elsewhere(kind: Kind, options: Mapping[str, object], public_endpoint: object) -> dict[str, object]:
    """Return the options of a store that is like another one, but reached elsewhere: to sign for that host.

    Raises:
        ConfigurationError: The address is none.
    """
    endpoint = check_endpoint(public_endpoint, "public_endpoint")
    own = dict(options)
    if "connection_string" in own:
        own |= parse_connection_string(as_text("azure_storage_connection_string", own.pop("connection_string")))
    if kind == "az" and as_bool("use_emulator", own.pop("use_emulator", False)):
        own = {**EMULATOR, **own}
    if isinstance(client := own.get("client_options"), Mapping):
        own["client_options"] = {name: value for name, value in client.items() if name != "allow_http"}
    # Nothing is sent there: whether http is allowed is no question.
    own.pop("allow_http", None)
    return {**own, ENDPOINTS[kind]: endpoint}
