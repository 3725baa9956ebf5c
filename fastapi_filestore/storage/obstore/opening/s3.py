"""Open a bucket of S3 and everything that speaks it: MinIO, R2, Spaces, SeaweedFS."""

from functools import partial
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from obstore.store import S3Store

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.settings import REGION, REGION_REMEDY
from fastapi_filestore.storage.obstore.opening.address import DEFAULT_REGION, TRUE, endpoint_with_bucket
from fastapi_filestore.storage.obstore.opening.client import check_endpoint, take_client_options, take_retry_config
from fastapi_filestore.storage.obstore.opening.construction import is_unsigned, make_store, take_provider
from fastapi_filestore.storage.obstore.opening.credentials import (
    WEB_IDENTITY,
    BotoCredentials,
    StaticCredentials,
    assume_with_web_identity,
    find_by_boto,
    open_session,
    read_web_identity,
)
from fastapi_filestore.storage.obstore.opening.options import as_text
from fastapi_filestore.storage.obstore.opening.store_url import StoreURL
from fastapi_filestore.storage.obstore.opening.variables import (
    address_in,
    display_name,
    is_empty,
    keep_environment_out,
    name_in,
    value_in,
    value_of,
    variable_in,
)

if TYPE_CHECKING:
    from obstore.store import S3CredentialProvider

KEY_OPTIONS = ("access_key_id", "secret_access_key", "session_token")
ROLE_OPTIONS = frozenset(
    {
        "container_credentials_full_uri",
        "container_credentials_relative_uri",
        "imdsv1_fallback",
        "metadata_endpoint",
        "role_arn",
        "web_identity_token_file",
    }
)
"""Options that say how obstore itself is to find credentials."""

ENDPOINT_VARIABLES = ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
WAYS = (
    ("access_key_id", "secret_access_key"),
    WEB_IDENTITY,
    ("container_credentials_relative_uri",),
    ("container_credentials_full_uri",),
    ("metadata_endpoint",),
)
"""Options of each way to credentials, in the order in which obstore takes them, whether they were given or not."""

CREDENTIALS = frozenset(name for way in WAYS for name in way) | {
    "container_authorization_token_file",
    "role_session_name",
    "session_token",
}
"""Options that nobody looks at where there is a provider, or nothing is signed."""

R2_HOST = ".r2.cloudflarestorage.com"


def build_s3(store_url: StoreURL, options: dict[str, object]) -> S3Store:
    """Return the store of a bucket; keys given are used alone, else environment, `~/.aws` and roles are asked."""
    endpoint = (
        check_endpoint(options.pop("endpoint", None), "aws_endpoint")
        # obstore takes the one of S3 first, whatever their order is.
        or check_endpoint(value_of("AWS_ENDPOINT_URL_S3"), "AWS_ENDPOINT_URL_S3")
        or address_in("s3", "endpoint")
    )
    client, retry = take_client_options(options, endpoint=endpoint, variables="AWS_"), take_retry_config(options)
    provider, is_given = _take_credentials(options)
    found = variable_in("s3", "region")
    region = options.get("region") or (found.value if found else options.get("default_region", DEFAULT_REGION))
    if not REGION.fullmatch(
        as_text("aws_region", region)
    ):  # every request and signature would tell it as another fault
        name = display_name("s3", "region", options) if found or "region" in options else "The region of the profile"
        raise ConfigurationError(f"{name} is no region: {REGION_REMEDY}.")
    if is_empty("AWS_REGION") or is_empty("AWS_DEFAULT_REGION"):
        options.setdefault("region", value_in("s3", "region") or options.get("default_region", DEFAULT_REGION))
    if endpoint is None and any(map(is_empty, ENDPOINT_VARIABLES)):
        # obstore's own, for an empty variable would be taken for one.
        region = options.get("region") or value_in("s3", "region") or DEFAULT_REGION
        own = str(options.get("virtual_hosted_style_request", value_in("s3", "virtual_hosted_style_request"))).lower()
        in_host = f"{store_url.bucket}." if own in TRUE else ""
        endpoint = f"https://{in_host}s3.{region}.amazonaws.com"
    if endpoint is not None:
        _set_endpoint(options, endpoint)
    if "sse_kms_key_id" in options:
        options.setdefault("server_side_encryption", "aws:kms")
    has_own = provider is not None or is_unsigned(options)
    keep_environment_out("s3", options, is_given=is_given, unread=CREDENTIALS if has_own else frozenset())
    make = partial(make_store, S3Store, store_url, options, client=client, retry=retry, provider=provider)
    store = make()
    # Both may be the environment's, which only the store has read.
    if (with_bucket := endpoint_with_bucket(store, store_url.bucket)) is not None:
        _set_endpoint(options, with_bucket)
        store = make()
    return store


def _set_endpoint(options: dict[str, object], endpoint: str) -> None:
    # AWS_ENDPOINT_URL_S3 of the environment would win over `endpoint` alone.
    options |= {"endpoint": endpoint, "aws_endpoint_url_s3": endpoint}
    if (urlsplit(endpoint).hostname or "").endswith(R2_HOST):
        options.setdefault("region", "auto")


def _take_credentials(options: dict[str, object]) -> "tuple[S3CredentialProvider | None, bool]":
    """Remove credentials from options; return what provides them, None for obstore, and whether any were given."""
    provider = take_provider(options, KEY_OPTIONS)
    if provider is not None:
        return cast("S3CredentialProvider", provider), True
    key, secret, token = (options.pop(name, None) for name in KEY_OPTIONS)
    if (key is None) != (secret is None):
        missing = "aws_secret_access_key" if secret is None else "aws_access_key_id"
        raise ConfigurationError(f"Access key and secret belong together: {missing} is missing.")
    if key is not None:
        if is_unsigned(options):
            raise ConfigurationError("aws_skip_signature contradicts aws_access_key_id: give one.")
        if role := sorted(ROLE_OPTIONS & options.keys()):
            raise ConfigurationError(f"aws_access_key_id contradicts {role[0]!r}: give keys or a role.")
        keys = StaticCredentials(
            as_text("aws_access_key_id", key),
            as_text("aws_secret_access_key", secret),
            None if token is None else as_text("aws_session_token", token),
        )
        return keys, True
    if token is not None:
        raise ConfigurationError("aws_session_token needs aws_access_key_id and aws_secret_access_key.")
    if is_unsigned(options):
        return None, True
    if ROLE_OPTIONS & options.keys():
        return _take_role(options), True
    return find_by_boto(options), False


def _take_role(options: dict[str, object]) -> BotoCredentials | None:
    """Return what provides the credentials of a role; None for obstore, which then must find no others."""
    if options.keys() & set(WEB_IDENTITY):
        role, token_file = read_web_identity(options)
        if (session := open_session()) is not None:
            options.pop("role_arn", None)
            options.pop("web_identity_token_file", None)
            name = options.pop("role_session_name", None)
            return BotoCredentials(
                partial(
                    assume_with_web_identity,
                    session,
                    role,
                    token_file,
                    name=None if name is None else as_text("aws_role_session_name", name),
                    region=str(options.get("region") or value_in("s3", "region") or DEFAULT_REGION),
                )
            )
        if (value_of("AWS_ENDPOINT_URL_STS") or "").startswith("http://"):
            raise ConfigurationError(
                "AWS_ENDPOINT_URL_STS is http://, where a web identity is exchanged with boto3 only: use https://, or "
                'pip install "fastapi-filestore[aws]".'
            )
    has_token = any(find("container_authorization_token_file") for find in (options.get, partial(value_in, "s3")))
    if "container_credentials_full_uri" in options and not has_token:
        raise ConfigurationError(
            "aws_container_credentials_full_uri needs aws_container_authorization_token_file: the token to ask it with."
        )
    first = next((place for place, way in enumerate(WAYS) if options.keys() & set(way)), 0)
    if (undoing := name_in("s3", *(name for way in WAYS[:first] for name in way))) is not None:
        (given,) = sorted(options.keys() & set(WAYS[first]))[:1]
        raise ConfigurationError(f"{undoing} of the environment would win over aws_{given}: unset it.")
    return None
