"""Find an S3 store's credentials: those of the caller alone, or by boto3 if it is installed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fastapi_filestore.concurrency.threads import THREADS
from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.failures.credentials import (
    NO_AWS_CREDENTIALS,
    CredentialsError,
    explaining_missing_credentials,
)
from fastapi_filestore.storage.obstore.opening.options import as_text
from fastapi_filestore.storage.obstore.opening.variables import is_empty, value_in

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.loaders import Loader
    from obstore.store import S3Credential, S3Store

CONTAINER_VARIABLES = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
WEB_IDENTITY = ("role_arn", "web_identity_token_file")
"""Options of a role that is taken on with the token of an identity."""
SESSION_NAME = "WebIdentitySession"
"""What obstore calls the session of a role, too."""


@dataclass(frozen=True, slots=True)
class StaticCredentials:
    """Keys as they were given; unlike obstore's own options they are not mixed with the environment's."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(repr=False)

    def __call__(self) -> "S3Credential":
        """Return them; they never expire."""
        return {
            "access_key_id": self.access_key_id,
            "secret_access_key": self.secret_access_key,
            "token": self.session_token,
            "expires_at": None,
        }


async def keys_of(store: "S3Store") -> StaticCredentials | None:
    """Return the keys that a store signs with now; None if it was given none, and finds them by itself."""
    if store.credential_provider is None:
        given = cast("Mapping[str, str]", store.config)
        key, secret = given.get("access_key_id"), given.get("secret_access_key")
        return StaticCredentials(key, secret, given.get("session_token")) if key and secret else None
    # A provider may ask the network for a role.
    provided = await THREADS.run(store.credential_provider)
    found = await provided if isawaitable(provided) else provided
    return StaticCredentials(found["access_key_id"], found["secret_access_key"], found.get("token"))


class BotoCredentials:
    """Whatever boto3 finds: environment, `~/.aws`, single sign-on, container and instance roles.

    It is asked on first use, not when it is made: boto3 looks for roles over the network. From then on boto3 renews
    what expires; obstore asks again before the time that it is told.

    Args:
        find: Returns botocore's credentials, None if there are none.
    """

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find
        self._found: Any = None

    def __call__(self) -> "S3Credential":
        """Return what is valid now, and until when.

        Raises:
            CredentialsError: There are none, or what they come from failed; it says which and what to do.
        """
        with explaining_missing_credentials():
            if self._found is None:
                self._found = self._find()
            if self._found is None:
                raise CredentialsError(NO_AWS_CREDENTIALS)
            frozen = self._found.get_frozen_credentials()
        # botocore tells nobody but by this name; keys that never expire have none. obstore takes no zone of dateutil's.
        expiry = getattr(self._found, "_expiry_time", None)
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token or None,
            "expires_at": expiry.astimezone(UTC) if isinstance(expiry, datetime) else None,
        }


def find_boto_session() -> "Session | None":
    """Return a boto3 session if boto3 is installed: with `pip install fastapi-filestore[aws]`.

    To it a variable that is set and empty is not set: a compose file has no other way to leave one out.

    Raises:
        CredentialsError: Its files can't be read, or lack the profile that the environment names.
    """
    try:
        from boto3.session import Session  # noqa: PLC0415 optional extra
        from botocore.session import Session as CoreSession  # noqa: PLC0415 optional extra
    except ImportError:
        return None
    variables = {
        name: (of_config, _without_empty(variable), default, convert)
        for name, (of_config, variable, default, convert) in CoreSession.SESSION_VARIABLES.items()
        if _without_empty(variable) != variable
    }
    with explaining_missing_credentials():
        core = CoreSession(session_vars=variables)
        core.lazy_register_component("data_loader", lambda: _descriptions(core.get_config_variable("data_path")))
        for variable in CONTAINER_VARIABLES:
            if is_empty(variable):
                core.get_component("credential_provider").remove("container-role")
        session = Session(botocore_session=core)
        _ = session.region_name  # reads the files: what is wrong with them is told now
    return session


@cache
def _descriptions(folders: str | None) -> "Loader":
    """Return what reads the descriptions of AWS's services: half a megabyte, parsed once for all clients."""
    from botocore.loaders import create_loader  # noqa: PLC0415 optional extra

    return create_loader(folders)


def assume_with_web_identity(session: "Session", role: str, token_file: str, *, name: str | None, region: str) -> Any:
    """Return botocore's credentials of a role that a token from a file is exchanged for, again whenever they expire."""
    from botocore import credentials  # noqa: PLC0415 optional extra

    fetcher = credentials.AssumeRoleWithWebIdentityCredentialFetcher(
        partial(session.client, region_name=region),
        partial(Path(token_file).read_text, encoding="utf-8"),
        role,
        extra_args={"RoleSessionName": name or SESSION_NAME},
    )
    return credentials.DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role-with-web-identity")


def read_web_identity(options: dict[str, object]) -> tuple[str, str]:
    """Return the role and the file of its token, each as given or as the environment says."""
    role, token_file = (options.get(name) or value_in("s3", name) for name in WEB_IDENTITY)
    if role is None or token_file is None:
        given, missing = sorted(WEB_IDENTITY, key=lambda name: name not in options)
        raise ConfigurationError(f"aws_{given} needs aws_{missing}: a role is taken on with the token of an identity.")
    path = as_text("aws_web_identity_token_file", token_file)
    if not Path(path).is_file():
        raise ConfigurationError(
            f"The token file {path!r} of aws_web_identity_token_file is missing: correct its path, or mount it."
        )
    return as_text("aws_role_arn", role), path


def find_by_boto(options: dict[str, object]) -> BotoCredentials | StaticCredentials | None:
    """Return what boto3 finds, with the region of the profile for `options`; without it, the environment's keys."""
    session = open_session()
    if session is None:
        key, secret = value_in("s3", "access_key_id"), value_in("s3", "secret_access_key")
        if key is None or secret is None:
            return None
        return StaticCredentials(key, secret, value_in("s3", "session_token"))
    if session.region_name and "region" not in options:
        # The default only: AWS_REGION, which boto3 does not read, must not lose to a profile's region.
        options["default_region"] = session.region_name
    return BotoCredentials(session.get_credentials)


def open_session() -> "Session | None":
    """Return a boto3 session if boto3 is installed; `ConfigurationError` if its files can't be used."""
    try:
        return find_boto_session()
    except CredentialsError as error:
        raise ConfigurationError(f"It has no credentials: {error}.") from None


def _without_empty(variable: "str | list[str] | None") -> "str | list[str] | None":
    if isinstance(variable, list):
        return [name for name in variable if not is_empty(name)]
    return None if variable is not None and is_empty(variable) else variable
