"""Credentials that others give out: valid as long as they say, and told as what they are where there are none."""

import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fastapi_filestore import ConfigurationError, ObstoreBackend, StorageError
from fastapi_filestore.storage.failures.credentials import reason_of
from fastapi_filestore.storage.obstore.opening.credentials import BotoCredentials
from fastapi_filestore.storage.obstore.opening.stores import connect
from tests.storage.answering import Answering, answering

ONCE: Mapping[str, Any] = {"retry_config": {"max_retries": 0}}
ROLE = "arn:aws:iam::123456789012:role/files"
OF_STS = """<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>OF-STS</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>
<Expiration>{until}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give each test an environment without AWS, and a home without files."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return tmp_path


@pytest.fixture
def store() -> Iterator[Answering]:
    """Run a store without objects."""
    with answering(lambda method, path: None) as server:
        yield server


def configured(home: Path, text: str) -> None:
    """Write ~/.aws/config."""
    (home / ".aws").mkdir(exist_ok=True)
    (home / ".aws" / "config").write_text(text)


def process(home: Path, body: str) -> Path:
    """Write a program that prints credentials; `count` in it is how often it ran."""
    program, runs = home / "credentials-of-ours", home / "runs"
    program.write_text(
        f"#!{sys.executable}\nimport sys, json\nopen({str(runs)!r}, 'a').write('x')\n"
        f"count = len(open({str(runs)!r}).read())\n{body}\n"
    )
    program.chmod(stat.S_IRWXU)
    configured(home, f"[default]\ncredential_process = {program}\nregion = us-east-1\n")
    return program


def printed(until: datetime) -> str:
    """Return the program's text that prints a key, named by its number, which is valid until then."""
    said = {"Version": 1, "SecretAccessKey": "s", "SessionToken": "t", "Expiration": until.isoformat()}
    return f"print(json.dumps({{**{said!r}, 'AccessKeyId': 'KEY-%d' % count}}))"


def key_of(headers: Mapping[str, str]) -> str:
    """Return the access key that a request was signed with."""
    return headers["authorization"].partition("Credential=")[2].partition("/")[0]


def provider_of(**options: object) -> Any:
    """Return what the store of such a backend asks for credentials."""
    store: Any = connect("s3://b", options).store
    return store.credential_provider


async def missed(backend: ObstoreBackend) -> StorageError:
    """Ask for an object, and return the error."""
    with pytest.raises(StorageError) as caught:
        await backend.head("k")
    return caught.value


def test_the_true_expiry(home: Path) -> None:
    """What a credential_process says of its keys' end is what the store is told."""
    until = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    process(home, printed(until))

    assert provider_of()()["expires_at"] == until


async def test_keys_that_expire(home: Path, store: Answering) -> None:
    """A process that outlives its keys signs with new ones."""
    process(home, printed(datetime.now(UTC) + timedelta(seconds=60)))
    backend = ObstoreBackend("s", "s3://b", aws_endpoint=store.url, **ONCE)
    keys = list[str]()
    while len(set(keys)) < 2:
        await missed(backend)
        keys = [key_of(headers) for headers in store.headers_of("/b/")]

    assert keys == sorted(keys)


def test_keys_that_never_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of the environment have no end."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    found = provider_of()()

    assert (found["expires_at"], found["token"]) == (None, None)


def test_the_role_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a machine's credentials is that of its metadata service."""
    until = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
    said = {"Code": "Success", "AccessKeyId": "OF-MACHINE", "SecretAccessKey": "s", "Token": "t"}

    def answer(method: str, path: str) -> str:
        if path.endswith("/files"):
            return json.dumps({**said, "Expiration": f"{until:%Y-%m-%dT%H:%M:%SZ}"})
        return "files" if method == "GET" else "token"

    with answering(answer) as machine:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", machine.url)
        found = provider_of()()

    assert (found["access_key_id"], found["expires_at"]) == ("OF-MACHINE", until)


def test_the_role_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a container's credentials is that of what gave them."""
    until = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
    said = {"AccessKeyId": "OF-TASK", "SecretAccessKey": "s", "Token": "t", "Expiration": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
    with answering(lambda method, path: json.dumps(said)) as container:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{container.url}/credentials")
        found = provider_of()()

    assert (found["access_key_id"], found["expires_at"]) == ("OF-TASK", until)


async def test_a_web_identity_by_settings(home: Path, store: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role that is given is asked for where AWS_ENDPOINT_URL_STS says, and no keys of the environment are used."""
    (home / "token").write_text("token-of-the-pod")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stray")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "stray")
    until = (datetime.now(UTC) + timedelta(hours=3)).replace(microsecond=0)
    with answering(lambda method, path: OF_STS.format(until=f"{until:%Y-%m-%dT%H:%M:%SZ}")) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        given = {"aws_role_arn": ROLE, "aws_web_identity_token_file": str(home / "token"), "aws_endpoint": store.url}
        await missed(ObstoreBackend("s", "s3://b", **given, **ONCE))

        assert provider_of(**given)()["expires_at"] == until
    assert {key_of(headers) for headers in store.headers_of("/b/")} == {"OF-STS"}


SSO = "sso_session = us\nsso_account_id = 1\nsso_role_name = r\nregion = us-east-1\n"
SSO = f"[default]\n{SSO}[sso-session us]\nsso_region = us-east-1\nsso_start_url = https://us.example/start\n"


@pytest.mark.parametrize(
    ("config", "program", "said"),
    [
        ("", None, "none were given, and none were found in the environment, in ~/.aws or from a role"),
        (SSO, None, "run `aws sso login`"),
        ("", "sys.exit('the vault is sealed')", "the credential_process of the profile failed: the vault is sealed"),
        ("", "print('{')", "what is not the JSON"),
        ("", "print('[]')", "credential_process"),
        ("[default]\ncredential_process = /nowhere/at-all\n", None, "/nowhere/at-all can't be used: No such file"),
        ("[default]\nrole_arn = x\nsource_profile = nobody\n", None, "nobody"),
        ("[default]\naws_access_key_id = k\n", None, "aws_secret_access_key"),
    ],
)
async def test_without_credentials(home: Path, store: Answering, config: str, program: str | None, said: str) -> None:
    """Where there are no credentials, the error names the backend, the reason and what to do."""
    configured(home, config)
    if program is not None:
        process(home, program)
    backend = ObstoreBackend("documents", "s3://b", aws_endpoint=store.url, **ONCE)
    error = await missed(backend)

    assert str(error).startswith("Backend 'documents' has no credentials: ")
    assert said in str(error)
    assert store.asked == []


@pytest.mark.parametrize(
    ("config", "profile", "said"),
    [
        ("", "nobody", "AWS_PROFILE names nobody"),
        ("[default\nx", "default", "config can't be read as a configuration of AWS"),
    ],
)
def test_a_wrong_configuration(
    home: Path, monkeypatch: pytest.MonkeyPatch, config: str, profile: str, said: str
) -> None:
    """A missing profile and a broken file are told as that, with the backend's name, when it is made."""
    configured(home, config)
    monkeypatch.setenv("AWS_PROFILE", profile)
    with pytest.raises(ConfigurationError, match="Backend 'documents': ") as caught:
        ObstoreBackend("documents", "s3://b")

    assert said in str(caught.value)


def test_an_empty_profile(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty AWS_PROFILE, as of a compose file, is an unset one."""
    configured(home, "[default]\naws_access_key_id = OF-DEFAULT\naws_secret_access_key = s\n")
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_REGION"):
        monkeypatch.setenv(name, "")

    assert provider_of()()["access_key_id"] == "OF-DEFAULT"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aws_role_arn": ROLE}, "aws_role_arn needs aws_web_identity_token_file"),
        ({"aws_web_identity_token_file": __file__}, "aws_web_identity_token_file needs aws_role_arn"),
        (
            {"aws_role_arn": ROLE, "aws_web_identity_token_file": "/nowhere"},
            "'/nowhere' of aws_web_identity_token_file",
        ),
        ({"aws_container_credentials_full_uri": "http://h/x"}, "needs aws_container_authorization_token_file"),
    ],
)
def test_half_a_role(options: Mapping[str, str], said: str) -> None:
    """A role without its token, a token without its role and a missing file of one stop the start."""
    with pytest.raises(ConfigurationError, match=said):
        ObstoreBackend("documents", "s3://b", **options)


async def test_a_container_that_can_not_be_asked(store: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    """What boto3 says of an address is told, and one that does not answer may do so later."""
    seen = list[str]()
    for url in ("http://example.com/x", "http://127.0.0.1:9/x"):
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)
        error = await missed(ObstoreBackend("d", "s3://b", aws_endpoint=store.url, **ONCE))
        seen.append(f"{type(error).__name__} {error}")

    assert "StoragePermissionError" in seen[0]
    assert "Unsupported host 'example.com'" in seen[0]
    assert "StorageUnavailableError" in seen[1]


def test_a_second_factor() -> None:
    """A role that needs a code, which botocore asks the terminal for, is told as that."""
    assert "second factor" in reason_of(EOFError())


async def test_a_provider_that_raises(store: Answering) -> None:
    """Of a provider's own error no text is passed on, but its name."""

    def provide() -> Any:
        raise KeyError("a secret")

    error = await missed(ObstoreBackend("d", "s3://b", aws_endpoint=store.url, credential_provider=provide, **ONCE))

    assert str(error) == "Backend 'd' has no credentials: its credential_provider raised KeyError."


async def test_no_answer_of_sts(home: Path, store: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where credentials come from can't be reached, the error names it."""
    (home / "token").write_text("token-of-the-pod")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    given = {"aws_role_arn": ROLE, "aws_web_identity_token_file": str(home / "token"), "aws_endpoint": store.url}
    error = await missed(ObstoreBackend("d", "s3://b", **given, **ONCE))

    assert str(error).startswith("Backend 'd' has no credentials: http://127.0.0.1:9/, where they come from, could not")


def test_the_class_of_the_provider() -> None:
    """Without anything given, boto3 is asked."""
    assert isinstance(provider_of(), BotoCredentials)
