"""What a backend is made of: every form of the reference, and a clear error for what can't work."""

import copy
import errno
import os
import pickle
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from obstore.store import AzureStore, GCSStore, HTTPStore, LocalStore, MemoryStore, S3Store
from pydantic import SecretStr

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.obstore.opening import stores
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from tests.storage.credentials import AZ, GS, S3, S3_KEYS, SECRET
from tests.storage.stores import service_account

CONNECTION = f"DefaultEndpointsProtocol=https;AccountName=acc;AccountKey={SECRET};EndpointSuffix=core.windows.net"


SAS = f"sv=2023-11-03&sig={SECRET}"


WORKING: list[tuple[str, dict[str, object]]] = [
    (S3, {**S3_KEYS, "aws_region": "us-west-2"}),
    (S3, {"aws_region": "us-west-2"}),
    (S3, {**S3_KEYS, "aws_endpoint": "http://localhost:9000", "aws_region": "us-east-1", "aws_allow_http": True}),
    (S3, {**S3_KEYS, "aws_endpoint": "https://minio.example.com", "aws_region": "us-east-1", "aws_allow_http": False}),
    (S3, {**S3_KEYS, "aws_endpoint": "https://account-id.r2.cloudflarestorage.com"}),
    (S3, {**S3_KEYS, "aws_endpoint": "https://nyc3.digitaloceanspaces.com", "aws_region": "us-east-1"}),
    (S3, {**S3_KEYS, "aws_session_token": SecretStr("token"), "aws_virtual_hosted_style_request": True}),
    (S3, {**S3_KEYS, "aws_server_side_encryption": "aws:kms", "aws_sse_kms_key_id": "arn:aws:kms:x:y:key/z"}),
    (S3, {**S3_KEYS, "aws_sse_kms_key_id": "k", "aws_sse_bucket_key_enabled": True}),
    (S3, {"access_key_id": "a", "secret_access_key": SecretStr(SECRET), "region": None, "endpoint": ""}),
    (S3, {"aws_skip_signature": True}),
    (S3, {"credential_provider": dict}),
    (S3, {"timeout": 10, "connect_timeout": 1.5, "retry_config": {"max_retries": 3, "retry_timeout": 5}}),
    (S3, {"client_options": {"timeout": "10min", "user_agent": "me", "connect_timeout": timedelta(seconds=2)}}),
    ("s3://my-bucket", {}),
    ("s3://my-bucket/some/prefix/", {}),
    (GS, {}),
    ("gs://my-bucket/prefix", {"google_skip_signature": True, "google_base_url": "http://localhost:4443"}),
    (AZ, {"azure_storage_connection_string": CONNECTION}),
    (AZ, {"azure_storage_account_name": "acc", "azure_storage_account_key": SECRET}),
    (AZ, {"azure_storage_account_name": "acc", "azure_storage_sas_token": SAS}),
    (AZ, {"azure_storage_account_name": "acc", "azure_storage_sas_token": SecretStr(f"?{SAS}")}),
    (AZ, {"azure_storage_connection_string": "UseDevelopmentStorage=true"}),
    (
        AZ,
        {
            "azure_storage_connection_string": f"BlobEndpoint=https://acc.blob.core.windows.net/;SharedAccessSignature={SAS}"
        },
    ),
    (
        "az://container/prefix",
        {"account_name": "acc", "account_key": SECRET, "azure_endpoint": "http://localhost:1/acc"},
    ),
    ("memory://", {}),
]


@pytest.mark.parametrize(("fs", "options"), WORKING)
def test_forms_of_the_reference(fs: str, options: dict[str, Any]) -> None:
    """Every form of the reference makes a backend, without a word to the network, and shows no secret."""
    backend = ObstoreBackend(key="docs", fs=fs, **options)

    assert backend.key == "docs"
    assert repr(backend) == f"ObstoreBackend(key='docs', fs={backend.url!r})"
    assert backend.url.rstrip("/") == fs.rstrip("/")
    assert SECRET not in repr(vars(backend))


def test_service_account(gcs: Any, tmp_path: Path) -> None:
    """A service account is a file's path or its JSON."""
    text = service_account(gcs.service_account_json)
    file = tmp_path / "account.json"
    file.write_text(text)
    for given in (text, f"  {text}", str(file), file, SecretStr(text)):
        assert ObstoreBackend("g", GS, google_service_account=given).url == "gs://my-bucket"

    assert ObstoreBackend("g", GS, google_service_account_key=text).url == "gs://my-bucket"


async def test_local_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local folder is a path or a file URL, absolute or relative, and is made when it is missing."""
    monkeypatch.chdir(tmp_path)
    forms: list[tuple[Any, str]] = [
        (tmp_path / "a" / "b", "a/b"),
        (str(tmp_path / "c"), "c"),
        ("relative", "relative"),
        ("./dotted/../d", "d"),
        (f"file://{tmp_path}/url/", "url"),
        (f"file://{tmp_path}/with%20space", "with space"),
        ("file://./e", "e"),
        ("file:f", "f"),
        (f"file://localhost{tmp_path}/g", "g"),
    ]
    for fs, expected in forms:
        backend = ObstoreBackend("local", fs)
        await backend.put("sub/k", b"x")

        assert (tmp_path / expected / "sub" / "k").read_bytes() == b"x"
        assert backend.url == (tmp_path / expected).as_uri()


def test_made_stores(tmp_path: Path) -> None:
    """A store that somebody made with obstore is taken as it is."""
    stores: list[tuple[Any, str]] = [
        (MemoryStore(), "memory://"),
        (LocalStore(tmp_path), tmp_path.as_uri()),
        (S3Store("b", prefix="p", region="x", access_key_id="a", secret_access_key=SECRET), "s3://b/p"),
        (GCSStore("b"), "gs://b"),
        (AzureStore("c", account_name="a", account_key=SECRET), "az://c"),
    ]
    for store, url in stores:
        assert ObstoreBackend("k", store).url == url

    with pytest.raises(ConfigurationError, match="already has its own"):
        ObstoreBackend("k", MemoryStore(), aws_region="x")
    for wrong in (HTTPStore.from_url("https://example.com"), 5, None, object()):
        with pytest.raises(ConfigurationError, match="can't be a"):
            ObstoreBackend("k", wrong)  # type: ignore[arg-type]


BROKEN: list[tuple[str, dict[str, object], str]] = [
    (S3, {**S3_KEYS, "aws_endpoint": "localhost:9000"}, "aws_endpoint .*begin it with"),
    (S3, {**S3_KEYS, "aws_endpoint": "http://"}, "begin it with"),
    (S3, {**S3_KEYS, "aws_endpoint": f"https://user:{SECRET}@host"}, "aws_endpoint .*user, password"),
    (S3, {**S3_KEYS, "aws_endpoint": "http://localhost:9000", "aws_allow_http": False}, "allow_http is false"),
    (S3, {"aws_acces_key_id": SECRET}, "aws_access_key_id"),
    (S3, {"nonsense_xyz": SECRET}, "region"),
    (S3, {"azure_storage_account_key": SECRET}, "belongs to az://"),
    (AZ, {"aws_access_key_id": SECRET}, "belongs to s3://"),
    ("memory://", {"aws_region": "x"}, "belongs to s3://"),
    ("memory://", {"nonsense": "x"}, "takes no options"),
    (S3, {"aws_access_key_id": SECRET}, "aws_secret_access_key is missing"),
    (S3, {"aws_secret_access_key": SECRET, "aws_access_key_id": ""}, "aws_access_key_id is missing"),
    (S3, {"aws_session_token": SECRET}, "needs aws_access_key_id"),
    (S3, {**S3_KEYS, "aws_skip_signature": True}, "contradicts"),
    (S3, {**S3_KEYS, "aws_role_arn": "arn"}, "contradicts"),
    (S3, {**S3_KEYS, "credential_provider": dict}, "contradict"),
    (S3, {"credential_provider": SECRET}, "callable"),
    (S3, {**S3_KEYS, "access_key_id": SECRET}, "same setting"),
    (S3, {"aws_region": "a", "aws_default_region": "b"}, "same setting"),
    (S3, {**S3_KEYS, "aws_endpoint": "https://a", "aws_endpoint_url": "https://a"}, "same setting"),
    (S3, {"aws_region": object()}, "can't be a object"),
    (S3, {"aws_allow_http": "perhaps"}, "true or false"),
    (S3, {"client_options": {"nonsense": 1}}, "nonsense"),
    (S3, {"client_options": SECRET}, "mapping"),
    (S3, {"retry_config": {"nonsense": 1}}, "nonsense"),
    (S3, {"allow_http": True, "client_options": {"allow_http": True}}, "twice"),
    (S3, {"timeout": 0}, "more than zero"),
    (S3, {"timeout": "soon"}, "timeout is no duration"),
    (S3, {"retry_config": {"retry_timeout": "soon"}}, "duration"),
    (S3, {**S3_KEYS, "aws_server_side_encryption": SECRET}, "aws:kms"),
    (AZ, {"azure_storage_connection_string": CONNECTION, "azure_storage_account_key": SECRET}, "already says"),
    (AZ, {"azure_storage_connection_string": CONNECTION, "azure_endpoint": "https://x"}, "already says"),
    (AZ, {"azure_storage_connection_string": SECRET}, "is not one"),
    (AZ, {"azure_storage_connection_string": f"AccountName=a;AccountKye={SECRET}"}, "AccountKye"),
    (AZ, {"azure_storage_connection_string": f"AccountKey={SECRET}"}, "AccountName"),
    (AZ, {"azure_storage_connection_string": "AccountName=a"}, "AccountKey or"),
    (AZ, {"account_name": "a", "account_key": SECRET, "sas_token": SAS}, "contradict"),
    (AZ, {"account_name": "a", "account_key": SECRET, "azure_skip_signature": True}, "contradict"),
    (AZ, {"account_key": SECRET}, "account_name is missing"),
    (AZ, {"account_name": "a", "account_key": f"!{SECRET}"}, "not base64"),
    (AZ, {"account_name": "a", "sas_token": SECRET}, "not a SAS token"),
    (GS, {"google_service_account": "/nowhere/account.json"}, "is missing"),
    (GS, {"google_service_account": '{"private_key": "c2VjcmV0"}'}, "not the JSON"),
    (GS, {"google_service_account": "{}", "google_service_account_key": "{}"}, "contradict"),
    (GS, {"google_service_account": "{}", "google_skip_signature": True}, "contradict"),
    ("s3://", {}, "names no bucket"),
    ("az:///x", {}, "names no container"),
    (f"s3://key:{SECRET}@bucket", {}, "as options"),
    (f"s3://bucket?secret={SECRET}", {}, "as options"),
    ("s3://bucket/../x", {}, "prefix"),
    ("s3://bucket/a//b", {}, "prefix"),
    ("ftp://host/x", {}, "can't be at a ftp:// URL"),
    ("https://host/x", {}, "can't be at a https:// URL"),
    ("memory://name", {}, "no name"),
    ("", {}, "missing"),
    ("file://", {}, "missing"),
]


@pytest.mark.parametrize(("fs", "options", "remedy"), BROKEN)
def test_broken_forms(fs: str, options: dict[str, Any], remedy: str) -> None:
    """What can't work is refused when the backend is made, with the remedy and without a secret."""
    with pytest.raises(ConfigurationError, match=remedy) as caught:
        ObstoreBackend("docs", fs, **options)

    assert str(caught.value).startswith("Backend 'docs': ")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_key() -> None:
    """A backend without a name is refused."""
    with pytest.raises(ConfigurationError, match="needs a key"):
        ObstoreBackend("", "memory://")


@pytest.mark.parametrize(
    ("below", "said"),
    [
        ("file", "a file, or a link that leads nowhere, has its name .*(Not a directory, ENOTDIR)"),
        ("file/below", "a file, or a link that leads nowhere, has its name .*(Not a directory, ENOTDIR)"),
        ("circle/below", "a file, or a link that leads nowhere, has its name .*(Not a directory, ENOTDIR)"),
        ("n" * 300, "a name, or the whole path, is too long for it (File name too long, ENAMETOOLONG)"),
        ("a\0b", "no path holds a NUL, leave it out (ValueError)"),
    ],
)
def test_folder_that_cannot_be(tmp_path: Path, below: str, said: str) -> None:
    """A folder that can't be made is refused in the system's words, with what to do."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ConfigurationError, match=re.escape(said).replace(r"\.\*", ".*")):
        ObstoreBackend("local", tmp_path / below)


def test_a_folder_that_is_not_to_be_made(tmp_path: Path) -> None:
    """A missing folder that may not be made is told as missing."""
    with pytest.raises(ConfigurationError, match=r"nothing' is missing: create it, mount it, or allow .*mkdir"):
        ObstoreBackend("local", tmp_path / "nothing", mkdir=False)


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_reason_of_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int) -> None:
    """Whatever a system says of a folder, as that its disk is read-only, the start says it, and what to do."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(stores, "make_root", refuse)
    with pytest.raises(ConfigurationError, match=rf": .{{10,}} \({re.escape(os.strerror(number))}, [A-Z0-9]+\)\."):
        ObstoreBackend("local", tmp_path / "files")


def test_pickle_and_deepcopy() -> None:
    """A backend is never pickled: its credentials would go along."""
    backend = ObstoreBackend("docs", S3, **S3_KEYS)
    for serialise in (pickle.dumps, copy.deepcopy, copy.copy):
        with pytest.raises(TypeError, match="can't be pickled"):
            serialise(backend)
