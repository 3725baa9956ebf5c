"""Say in words why a store has no credentials: from what boto3 raises, and what obstore hides in its texts.

A store that was never asked has refused nobody, so these are told apart from its refusals.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from json import JSONDecodeError

NO_AWS_CREDENTIALS = (
    "none were given, and none were found in the environment, in ~/.aws or from a role: set aws_access_key_id and "
    "aws_secret_access_key, AWS_PROFILE, or give the machine or container a role"
)
SHOWN_LENGTH = 300
"""Characters of what another program said."""


class CredentialsError(Exception):
    """There are no credentials, or what they come from failed; its text is the reason and the remedy."""

    @property
    def failure(self) -> "Failure":
        """The same as a value: its text, and whether it is an outage."""
        return Failure(str(self), is_outage=isinstance(self, CredentialsOutageError))


class CredentialsOutageError(CredentialsError):
    """The source of credentials could not be reached: a retry may help."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there are no credentials, and whether they may be there again by themselves."""

    reason: str
    is_outage: bool = False


@contextmanager
def explaining_missing_credentials() -> Iterator[None]:
    """Turn whatever boto3 raises while it looks for credentials into a `CredentialsError` that says what is wrong."""
    try:
        yield
    except CredentialsError:
        raise
    except Exception as error:
        reason = reason_of(error).rstrip(".")
        is_outage = {base.__name__ for base in type(error).__mro__} & OUTAGES or NO_CONNECTION.search(reason)
        raise (CredentialsOutageError if is_outage else CredentialsError)(reason) from error


def reason_of(error: Exception) -> str:
    """Return what an error of boto3, or of a file or program that it reads, means and what to do about it."""
    facts = {name: _shorten(value) for name, value in getattr(error, "kwargs", {}).items()}
    for name in (base.__name__ for base in type(error).__mro__):
        if name in BOTO_REASONS:
            return BOTO_REASONS[name].format_map(_Facts(facts))
    if type(error).__name__ == "CredentialRetrievalError":
        source = SOURCES.get(facts.get("provider", ""), facts.get("provider", "what they come from"))
        said = facts.get("error_msg") or "it said nothing"
        return f"{source} failed: {said}"
    if isinstance(error, OSError):
        return f"{_shorten(error.filename)} can't be used: {os.strerror(error.errno or 0)}"
    if isinstance(error, JSONDecodeError | AttributeError | KeyError | TypeError):
        return "a credential_process, or a file of tokens, gave what is not the JSON that it should be"
    return f"boto3 could not get any: {_shorten(error) or type(error).__name__}"


OUTAGES = frozenset({"ConnectTimeoutError", "EndpointConnectionError", "ProxyConnectionError", "ReadTimeoutError"})
NO_CONNECTION = re.compile(r"could not connect|timed? ?out", re.IGNORECASE)
_LOGIN = "run `aws sso login` for its profile, as the user whose process this is"

_FACTOR = (
    "they need the code of a second factor, which a program can't give: use a role without one, or a credential_process"
)

BOTO_REASONS: Mapping[str, str] = {
    "UnauthorizedSSOTokenError": f"the SSO login has expired: {_LOGIN}",
    "SSOTokenLoadError": f"there is no SSO login ({{error_msg}}): {_LOGIN}",
    "SSOError": f"the SSO login can't be used: {_LOGIN}",
    "TokenRetrievalError": f"the SSO login has expired, or can't be renewed ({{error_msg}}): {_LOGIN}",
    "LoginError": "the login has expired, or can't be used: run `aws login` as the user whose process this is",
    "ProfileNotFound": "AWS_PROFILE names {profile}, and neither ~/.aws/config nor ~/.aws/credentials has such a "
    "profile: correct the name, or the file that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name",
    "ConfigParseError": "the file {path} can't be read as a configuration of AWS: correct its syntax",
    "PartialCredentialsError": "{provider} has no {cred_var}: an access key needs its secret",
    "InvalidConfigError": "the configuration of AWS is wrong: {error_msg}",
    "RefreshWithMFAUnsupportedError": _FACTOR,
    "EOFError": _FACTOR,  # botocore asks the terminal for it
    "MetadataRetrievalError": "the container's credentials can't be read: {error_msg}",
    "EndpointConnectionError": "{endpoint_url}, where they come from, could not be reached",
    "ConnectTimeoutError": "{endpoint_url}, where they come from, could not be reached",
    "ReadTimeoutError": "{endpoint_url}, where they come from, did not answer in time",
    "ProxyConnectionError": "the proxy could not be reached on the way to where they come from",
}
"""By the name of botocore's error, or of its base: they are an extra's, and what is missing can't be imported."""
SOURCES: Mapping[str, str] = {
    "custom-process": "the credential_process of the profile",
    "container-role": "the credentials of the container",
    "iam-role": "the role of the machine",
    "assume-role-with-web-identity": "the exchange of the web identity for the role",
}


class _Facts(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "unknown"


# -- what obstore says ---------------------------------------------------------------------------------

OF_PROVIDER = re.compile(r"External \w+ credential provider: (?:\w+\.)*(\w+)(?:: (.*))?", re.DOTALL)
NO_ANSWER = re.compile(r"error sending request|timed out|deadline|Connect\b", re.IGNORECASE)
NO_TOKEN_FILE = re.compile(r"Failed to read (?:EKS )?token file '([^']{1,1024})'")
OF_OBSTORE: Mapping[str, str] = {
    r"http://[^/\s]+/latest/(?:api/token|meta-data)": "none were given, none are in the environment, and the metadata "
    "service of the machine gave none: set aws_access_key_id and aws_secret_access_key, or give the machine a role. "
    'What is in ~/.aws is read with boto3 only: pip install "fastapi-filestore[aws]"',
    r"//[^/\s]+/computeMetadata/": "none were given, none are in the environment or in ~/.config/gcloud, and the "
    "metadata service of the machine gave none: set google_service_account, or give the machine a service account",
    r"/metadata/identity/oauth2/|resource=https%3A%2F%2Fstorage\.azure\.com": "none were given, none are in the "
    "environment, and the machine has no managed identity: set azure_storage_account_key or "
    "azure_storage_connection_string, or give the machine an identity",
    r"//[^/\s]+/[^/\s]+/oauth2/v2\.0/token": "the login of the Azure client failed: check azure_client_id, "
    "azure_tenant_id and azure_client_secret, or azure_federated_token_file",
    r"Generic \w+ error: Error reading federated token file": "the file that azure_federated_token_file, or "
    "AZURE_FEDERATED_TOKEN_FILE, names can't be read",
    r"Generic \w+ error: 'az account get-access-token'": "the Azure command line gave none: install it, and run "
    "`az login` as the user whose process this is",
    r"Generic S3 error: Error performing POST REDACTED": "the security token service did not exchange the web identity "
    "for the role: check aws_role_arn, its trust policy, and AWS_ENDPOINT_URL_STS",
    r"http://169\.254\.170\.2/": "the credentials of the container can't be read: check "
    "aws_container_credentials_relative_uri",
    r"Generic \w+ error: Error performing token request": "the login that gives access tokens failed: check what was "
    "given to log in with",
}
"""Parts of obstore's messages, and what they mean; the first that fits counts. An object's key is in none of them."""


def failure_in(text: str) -> Failure | None:
    """Return why there are no credentials if that is what a message of obstore, without its details, is about."""
    if (of_provider := OF_PROVIDER.search(text)) is not None:
        name, said = of_provider[1], of_provider[2] or ""
        if name in {CredentialsError.__name__, CredentialsOutageError.__name__}:
            return Failure(said.strip(), is_outage=name == CredentialsOutageError.__name__)
        # What somebody else's says may hold a secret.
        return Failure(f"its credential_provider raised {name}")
    if (missing := NO_TOKEN_FILE.search(text)) is not None:
        return Failure(f"the token file {missing[1]!r} can't be read: correct its path, or let the process read it")
    reason = next((reason for part, reason in OF_OBSTORE.items() if re.search(part, text)), None)
    return None if reason is None else Failure(reason, is_outage=NO_ANSWER.search(text) is not None)


def _shorten(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}..."
