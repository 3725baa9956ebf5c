"""Get tokens for Google's credentials that hold no key: of other clouds' workloads, or impersonating an account.

obstore knows service accounts, users and its own machine; google-auth, an extra, knows the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.failures.credentials import CredentialsError

if TYPE_CHECKING:
    from obstore.auth.google import GoogleCredentialProvider
    from obstore.store import GCSCredential

SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)
ELSEWHERE = frozenset({"external_account", "external_account_authorized_user", "impersonated_service_account"})
"""Types of credentials that google-auth turns into tokens; they hold no key that could sign."""
BY_OBSTORE = frozenset({"authorized_user", "service_account"})
"""Types that obstore itself reads."""
EXTRA = 'pip install "fastapi-filestore[google]"'


class GoogleCredentials:
    """Tokens for credentials that others issue; asked on first use, not when they are made."""

    refresh_threshold = timedelta(minutes=4)
    """Time before the end of a token at which obstore asks for another one."""

    def __init__(self, kind: str, provider: "GoogleCredentialProvider") -> None:
        self.kind, self._provider = kind, provider

    def __call__(self) -> "GCSCredential":
        """Return what is valid now.

        Raises:
            CredentialsError: Nobody gives a token for the credentials.
        """
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415 optional extra

        try:
            return self._provider()
        except (GoogleAuthError, OSError, ValueError) as error:
            # Its text may hold what the token service answered.
            raise CredentialsError(
                f"Google's credentials of type {self.kind} were not exchanged for a token ({type(error).__name__}): "
                "look after the token file, the audience and the permissions that they name"
            ) from None


def read_elsewhere(info: Mapping[str, Any], option: str) -> GoogleCredentials | None:
    """Return what gives tokens for credentials in JSON; None for those that obstore reads itself.

    `option` is where they are from.

    Raises:
        ConfigurationError: They are of another type, lack something, or need the extra `google`.
    """
    kind = info.get("type", "service_account")
    if kind in BY_OBSTORE:
        return None
    if kind not in ELSEWHERE:
        raise ConfigurationError(
            f"{option} holds credentials of type {str(kind)[:40]!r}, which can't be used: give those of a service "
            f"account, of a user (authorized_user), or of type {', '.join(sorted(ELSEWHERE))}."
        )
    try:
        from obstore.auth.google import GoogleCredentialProvider  # noqa: PLC0415 optional extra

        load = _loader(kind, info)
    except ImportError:
        raise ConfigurationError(
            f"{option} holds credentials of type {kind}, which need google-auth: {EXTRA}. Without it, give the key of "
            "a service account."
        ) from None
    try:
        credentials = load(info, scopes=SCOPES)
    except Exception as error:  # noqa: BLE001 - one for each field that may be missing, and its text may hold a secret
        raise ConfigurationError(
            f"{option} holds credentials of type {kind} that are not complete ({type(error).__name__}): create the "
            "file anew with gcloud."
        ) from None
    return GoogleCredentials(kind, GoogleCredentialProvider(credentials, refresh_threshold=timedelta(minutes=4)))


def _loader(kind: str, info: Mapping[str, Any]) -> Callable[..., Any]:
    """Return what reads credentials of a type; google-auth's own choice among them warns of what others may give it."""
    if kind == "impersonated_service_account":
        from google.auth import impersonated_credentials  # noqa: PLC0415 optional extra

        return impersonated_credentials.Credentials.from_impersonated_service_account_info
    if kind == "external_account_authorized_user":
        from google.auth.external_account_authorized_user import Credentials  # noqa: PLC0415 optional extra

        of_user: Any = Credentials  # which takes no scopes but those in its JSON

        def load(info: Mapping[str, Any], *, scopes: Sequence[str]) -> object:
            return of_user.from_info({**info, "scopes": [*scopes]})

        return load
    from google.auth import aws, identity_pool, pluggable  # noqa: PLC0415 optional extra

    source = info.get("credential_source")
    if isinstance(source, Mapping) and "environment_id" in source:
        return aws.Credentials.from_info
    if isinstance(source, Mapping) and "executable" in source:
        return pluggable.Credentials.from_info
    return identity_pool.Credentials.from_info
