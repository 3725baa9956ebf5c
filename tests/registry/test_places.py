"""One place under two names: two backends there would delete each other's files as orphans."""

from collections.abc import Mapping
from typing import Any

import pytest
from obstore.store import S3Store

from fastapi_filestore import ObstoreBackend, OverlappingBackendsError
from fastapi_filestore.storage.obstore.opening.address import AZURE_VARIABLES, GCS_VARIABLES, S3_VARIABLES
from fastapi_filestore.storage.registry import StorageRegistry

Options = Mapping[str, Any]

S3: Options = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
ACCOUNT: Options = {"azure_storage_account_name": "acc", "azure_storage_account_key": "a2V5"}
CONNECTION_STRING = "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=a2V5;EndpointSuffix=core.windows.net"
BUCKETS: Mapping[str, tuple[str, Options]] = {
    "s3": ("s3://bucket/x", S3),
    "az": ("az://box/x", {}),
    "gs": ("gs://bucket/x", {"google_skip_signature": True}),
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away every variable that could say where a bucket is."""
    for name in (*S3_VARIABLES, *AZURE_VARIABLES, *GCS_VARIABLES):
        monkeypatch.delenv(name, raising=False)


def make(key: str, kind: str, options: Options) -> ObstoreBackend:
    """Return a backend of a kind."""
    fs, given = BUCKETS[kind]
    return ObstoreBackend(key, fs, **given, **options)


def endpoint(url: str, **more: Any) -> Options:
    """Return the options of a store of S3 at an endpoint."""
    return {"aws_endpoint": url, **more}


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("s3", endpoint("https://h.example"), endpoint("https://H.Example")),
        ("s3", endpoint("https://h.example"), endpoint("https://h.example:443/")),
        ("s3", endpoint("http://h.example"), endpoint("http://h.example:80")),
        ("s3", endpoint("http://h.example"), endpoint("https://h.example.")),
        ("s3", endpoint("http://localhost:9"), endpoint("http://127.0.0.1:9")),
        ("s3", endpoint("http://[::1]:9"), endpoint("http://[0:0:0:0:0:0:0:1]:9")),
        ("s3", endpoint("https://h.example/a/"), endpoint("https://h.example//a")),
        ("s3", endpoint("https://h.example"), endpoint("https://h.example", virtual_hosted_style_request=True)),
        ("s3", {}, {"virtual_hosted_style_request": True}),
        ("s3", {}, {"aws_region": "us-west-2"}),
        ("s3", {}, endpoint("https://s3.amazonaws.com")),
        ("s3", {}, endpoint("https://s3.us-west-2.amazonaws.com")),
        ("s3", {}, endpoint("https://s3.dualstack.eu-west-1.amazonaws.com:443")),
        ("s3", {}, endpoint("https://bucket.s3-accelerate.amazonaws.com", virtual_hosted_style_request=True)),
        ("az", ACCOUNT, {"azure_storage_connection_string": CONNECTION_STRING}),
        ("az", ACCOUNT, {"azure_storage_connection_string": CONNECTION_STRING.replace("https", "http")}),
        ("az", ACCOUNT, {**ACCOUNT, "azure_storage_endpoint": "https://ACC.blob.core.windows.net:443/"}),
        ("az", ACCOUNT, {**ACCOUNT, "azure_storage_endpoint": "https://acc.dfs.core.windows.net"}),
        ("az", {"azure_storage_connection_string": "UseDevelopmentStorage=true"}, {"azure_storage_use_emulator": True}),
        ("gs", {}, {"google_base_url": "https://storage.googleapis.com/"}),
    ],
)
def test_one_place(kind: str, first: Options, second: Options) -> None:
    """However the address of a server is written, a bucket there is the same bucket."""
    registry = StorageRegistry()
    registry.register_backend(make("first", kind, first))

    with pytest.raises(OverlappingBackendsError):
        registry.register_backend(make("second", kind, second))


@pytest.mark.parametrize(
    ("kind", "environment", "options"),
    [
        ("s3", {"AWS_ENDPOINT_URL": "http://h.example:9", "AWS_ALLOW_HTTP": "true"}, endpoint("http://h.example:9")),
        ("s3", {"AWS_ENDPOINT": "http://h.example:9/"}, endpoint("http://h.example:9")),
        ("s3", {"AWS_ENDPOINT_URL_S3": "http://h.example:9"}, endpoint("http://h.example:9")),
        (
            "s3",
            {"AWS_ENDPOINT_URL_S3": "http://h.example:9", "AWS_ENDPOINT": "http://no"},
            endpoint("http://h.example:9"),
        ),
        ("az", {"AZURE_STORAGE_ACCOUNT_NAME": "acc"}, ACCOUNT),
        ("az", {"AZURE_STORAGE_ACCOUNT_NAME": "acc"}, {"azure_storage_connection_string": CONNECTION_STRING}),
        (
            "az",
            {"AZURE_STORAGE_ENDPOINT": "http://h.example/acc", "AZURE_STORAGE_ACCOUNT_NAME": "acc"},
            {"azure_storage_connection_string": "BlobEndpoint=http://h.example/acc;AccountName=acc;AccountKey=a2V5"},
        ),
        ("gs", {"GOOGLE_BASE_URL": "http://h.example:9"}, {"google_base_url": "http://h.example:9"}),
    ],
)
def test_a_place_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, kind: str, environment: Mapping[str, str], options: Options
) -> None:
    """An address from the environment and the same one as options are one place."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    first = make("first", kind, {})
    for name in environment:
        monkeypatch.delenv(name)
    registry = StorageRegistry()
    registry.register_backend(first)

    with pytest.raises(OverlappingBackendsError):
        registry.register_backend(make("second", kind, options))


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("s3", {}, endpoint("https://h.example")),
        ("s3", endpoint("https://h.example"), endpoint("https://other.example")),
        ("s3", {}, endpoint("https://s3.cn-north-1.amazonaws.com.cn")),
        ("s3", {}, endpoint("https://s3.us-gov-west-1.amazonaws.com")),
        ("s3", endpoint("https://h.example:9000"), endpoint("https://h.example:9001")),
        ("s3", endpoint("https://h.example/a"), endpoint("https://h.example/b")),
        ("s3", endpoint("https://a.r2.cloudflarestorage.com"), endpoint("https://b.r2.cloudflarestorage.com")),
        ("az", ACCOUNT, {**ACCOUNT, "azure_storage_account_name": "acc2"}),
        ("az", ACCOUNT, {**ACCOUNT, "azure_storage_use_emulator": True}),
        ("gs", {"google_base_url": "http://localhost:4443"}, {"google_base_url": "http://localhost:4444"}),
        ("gs", {}, {"google_base_url": "http://localhost:4443"}),
    ],
)
def test_different_places(kind: str, first: Options, second: Options) -> None:
    """Buckets of one name at different servers are different ones."""
    registry = StorageRegistry()
    registry.register_backend(make("first", kind, first))
    registry.register_backend(make("second", kind, second))

    assert len(registry) == 2


def test_a_store_made_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of a store that somebody else made is known as well, its share of the environment included."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://h.example:9")
    registry = StorageRegistry()
    store = S3Store("bucket", prefix="x", access_key_id="k", secret_access_key="s")
    registry.register_backend(ObstoreBackend("first", store))

    with pytest.raises(OverlappingBackendsError):
        registry.register_backend(make("second", "s3", endpoint("http://H.example:9")))
