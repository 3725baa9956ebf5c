"""Where an S3 store's credentials come from: the caller alone, or boto3 if it is installed."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fastapi_filestore.errors import StoragePermissionError

if TYPE_CHECKING:
    from boto3.session import Session
    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import S3Credential


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


class BotoCredentials:
    """Whatever boto3 finds: environment, `~/.aws`, single sign-on, container and instance roles.

    It is asked on first use, not when it is made: boto3 looks for roles over the network.
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._provider: Boto3CredentialProvider | None = None

    def __call__(self) -> "S3Credential":
        """Return what is valid now."""
        if self._provider is None:
            self._provider = self._find()
        return self._provider()

    def _find(self) -> "Boto3CredentialProvider":
        from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415 optional extra

        try:
            return Boto3CredentialProvider(self._session)
        except ValueError:
            raise StoragePermissionError(
                "No AWS credentials were found in the environment, in ~/.aws or from a role."
            ) from None


def find_boto_session() -> "Session | None":
    """Return a boto3 session if boto3 is installed: with `pip install fastapi-filestore[aws]`."""
    if find_spec("boto3") is None:
        return None
    from boto3.session import Session  # noqa: PLC0415 optional extra

    return Session()
