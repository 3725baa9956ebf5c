"""Buckets in the name of the host: for stores that take no other style."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from obstore.store import S3Store

from fastapi_filestore.errors import ConfigurationError
from fastapi_filestore.storage.obstore_backend import ObstoreBackend

KEYS: dict[str, Any] = {"aws_access_key_id": "id", "aws_secret_access_key": "secret", "aws_region": "r"}


class Recorder:
    """A proxy that answers every request itself, so that no name has to be known to the network."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                requests.append((self.headers["Host"], urlsplit(self.path).path))
                self.send_response(200)
                self.send_header("ETag", '"tag"')
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the server's own name
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.client = {"proxy_url": f"http://127.0.0.1:{self.server.server_port}"}


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Give a server that notes host and path."""
    recorder = Recorder()
    thread = threading.Thread(target=recorder.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield recorder
    recorder.server.shutdown()
    thread.join()
    recorder.server.server_close()


@pytest.mark.parametrize("endpoint", ["http://store.test", "http://STORE.test/"])
@pytest.mark.parametrize("how", ["options", "environment", "both"])
async def test_the_host_names_the_bucket(
    recorder: Recorder, endpoint: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object of a bucket lands in that bucket, whoever gave endpoint and style, and is signed for there."""
    options = {"aws_endpoint": endpoint, "aws_virtual_hosted_style_request": True}
    if how != "options":
        monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")
        del options["aws_virtual_hosted_style_request"]
    if how == "environment":
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        del options["aws_endpoint"]
    backend = ObstoreBackend("b", "s3://a/photos/", **options, **KEYS, client_options=recorder.client)
    await backend.put("k", b"bytes")
    signed = urlsplit((await backend.sign("k", expires_in=60)).url)

    assert [(host.lower(), path) for host, path in recorder.requests] == [("a.store.test", "/photos/k")]
    assert (signed.netloc.lower(), signed.path) == ("a.store.test", "/photos/k")
    assert backend.place == ObstoreBackend("c", "s3://a/photos/", aws_endpoint="http://store.test", **KEYS).place


async def test_a_port_stays_where_it_is() -> None:
    """An endpoint's port comes after the bucket and the host."""
    backend = ObstoreBackend(
        "b", "s3://a", aws_endpoint="https://store.test:9000", aws_virtual_hosted_style_request=True, **KEYS
    )

    assert (await backend.sign("k", expires_in=60)).url.startswith("https://a.store.test:9000/k?")


async def test_urls_for_browsers_name_the_bucket_as_well() -> None:
    """A public endpoint is of the same style."""
    backend = ObstoreBackend(
        "b",
        "s3://a",
        aws_endpoint="https://oss-internal.test",
        public_endpoint="https://oss.test",
        aws_virtual_hosted_style_request=True,
        **KEYS,
    )

    assert (await backend.sign("k", expires_in=60)).url.startswith("https://a.oss.test/k?")


@pytest.mark.parametrize(
    ("fs", "endpoint"),
    [
        ("s3://a", "http://127.0.0.1:9000"),
        ("s3://a", "http://[::1]:9000"),
        ("s3://A_b", "http://store.test"),
    ],
)
def test_a_host_that_cannot_name_it(fs: str, endpoint: str) -> None:
    """Where no host can name the bucket the start says so, by both options and what to do."""
    with pytest.raises(ConfigurationError, match=r"aws_virtual_hosted_style_request .*aws_endpoint"):
        ObstoreBackend("b", fs, aws_endpoint=endpoint, aws_virtual_hosted_style_request=True, **KEYS)


@pytest.mark.parametrize(
    ("bucket", "endpoint", "without"),
    [
        ("minio", "http://minio.local:9000", "http://local:9000"),
        ("storage", "https://storage.yandexcloud.net", "https://yandexcloud.net"),
        ("a", "https://A.store.test/", "https://store.test"),
        ("s3", "https://s3.eu-west-1.amazonaws.com", "https://eu-west-1.amazonaws.com"),
    ],
)
@pytest.mark.parametrize("option", ["aws_endpoint", "public_endpoint"])
def test_a_host_that_is_called_like_the_bucket(option: str, bucket: str, endpoint: str, without: str) -> None:
    """A host that may name the bucket or the store is refused, with what to give in either case: no bucket is lost."""
    options: dict[str, Any] = {"aws_endpoint": "https://other.test", option: endpoint}
    with pytest.raises(ConfigurationError, match=r"leave aws_virtual_hosted_style_request out") as caught:
        ObstoreBackend("b", f"s3://{bucket}", aws_virtual_hosted_style_request=True, **options, **KEYS)

    assert f"give aws_endpoint without it, as {without};" in str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "a.s3.eu-west-1.amazonaws.com",
        "a.s3.dualstack.eu-west-1.amazonaws.com",
        "a.oss-cn-hangzhou.aliyuncs.com",
        "a.cos.ap-beijing.myqcloud.com",
    ],
)
async def test_a_bucket_as_consoles_show_it(host: str) -> None:
    """Where no store has a name in front of such a host, what is in front names the bucket."""
    backend = ObstoreBackend(
        "b", "s3://a", aws_endpoint=f"https://{host}", aws_virtual_hosted_style_request=True, **KEYS
    )

    assert (await backend.sign("k", expires_in=60)).url.startswith(f"https://{host}/k?")


def test_a_store_of_obstore_that_loses_its_bucket() -> None:
    """A store that somebody else made is refused if its objects would land in another bucket."""
    lost = S3Store("a", endpoint="https://store.test", virtual_hosted_style_request=True, region="r")
    kept = S3Store("a", endpoint="https://a.store.test", virtual_hosted_style_request=True, region="r")
    with pytest.raises(ConfigurationError, match=r"virtual_hosted_style_request .*endpoint='https://a\.store\.test'"):
        ObstoreBackend("b", lost)

    assert ObstoreBackend("b", kept).url == "s3://a"
