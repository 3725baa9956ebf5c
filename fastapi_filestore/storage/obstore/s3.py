"""S3 and everything that speaks it: MinIO, R2, Spaces, SeaweedFS."""

from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from obstore.store import S3Store

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.obstore.client import check_endpoint, take_client_options, take_retry_config
from fastapi_filestore.storage.obstore.construction import construction, is_unsigned, take_provider, texts
from fastapi_filestore.storage.obstore.credentials import BotoCredentials, StaticCredentials, find_boto_session
from fastapi_filestore.storage.obstore.location import Location
from fastapi_filestore.storage.obstore.options import as_text

if TYPE_CHECKING:
    from obstore.store import S3Config, S3CredentialProvider

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

R2_HOST = ".r2.cloudflarestorage.com"


def build_s3(location: Location, options: dict[str, object]) -> S3Store:
    """Return the store of a bucket; keys given are used alone, else environment, `~/.aws` and roles are asked."""
    endpoint = check_endpoint(options.pop("endpoint", None))
    client, retry = take_client_options(options, endpoint=endpoint), take_retry_config(options)
    provider = _take_credentials(options)
    if endpoint is not None:
        _set_endpoint(options, endpoint)
    if "sse_kms_key_id" in options:
        options.setdefault("server_side_encryption", "aws:kms")
    config = cast("S3Config", texts(options))
    with construction():
        return S3Store(
            location.bucket,
            prefix=location.prefix,
            config=config,
            client_options=client,
            retry_config=retry,
            credential_provider=provider,
        )


def _set_endpoint(options: dict[str, object], endpoint: str) -> None:
    # AWS_ENDPOINT_URL_S3 of the environment would win over `endpoint` alone.
    options |= {"endpoint": endpoint, "aws_endpoint_url_s3": endpoint}
    if (urlsplit(endpoint).hostname or "").endswith(R2_HOST):
        options.setdefault("region", "auto")


def _take_credentials(options: dict[str, object]) -> "S3CredentialProvider | None":
    provider = take_provider(options, KEY_OPTIONS)
    if provider is not None:
        return cast("S3CredentialProvider", provider)
    key, secret, token = (options.pop(name, None) for name in KEY_OPTIONS)
    if (key is None) != (secret is None):
        missing = "aws_secret_access_key" if secret is None else "aws_access_key_id"
        raise ConfigurationError(f"Access key and secret belong together: {missing} is missing.")
    if key is not None:
        return _static(key, secret, token, options)
    if token is not None:
        raise ConfigurationError("aws_session_token needs aws_access_key_id and aws_secret_access_key.")
    return None if ROLE_OPTIONS & options.keys() or is_unsigned(options) else _boto(options)


def _static(key: object, secret: object, token: object, options: dict[str, object]) -> StaticCredentials:
    if is_unsigned(options):
        raise ConfigurationError("aws_skip_signature contradicts aws_access_key_id: give one.")
    if role := sorted(ROLE_OPTIONS & options.keys()):
        raise ConfigurationError(f"aws_access_key_id contradicts {role[0]!r}: give keys or a role.")
    # AWS_SKIP_SIGNATURE of the environment must not undo keys that were given.
    options["skip_signature"] = False
    return StaticCredentials(
        as_text("aws_access_key_id", key),
        as_text("aws_secret_access_key", secret),
        None if token is None else as_text("aws_session_token", token),
    )


def _boto(options: dict[str, object]) -> BotoCredentials | None:
    session = find_boto_session()
    if session is None:
        return None
    if session.region_name and "region" not in options:
        # The default only: AWS_REGION, which boto3 does not read, must not lose to a profile's region.
        options["default_region"] = session.region_name
    return BotoCredentials(session)
