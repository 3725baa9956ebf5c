"""The client that looks for unfinished uploads: it asks the server that the store is at, as the store asks it."""

import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from obstore.store import S3Store

from fastapi_filestore import ObstoreBackend, StorageError, StorageUnavailableError
from fastapi_filestore.storage.obstore.opening.address import S3_VARIABLES
from fastapi_filestore.storage.obstore.opening.boto_client import CLIENT_VARIABLES, excludes_host

KEYS: Mapping[str, Any] = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "retry_config": {"max_retries": 0}}
NO_UPLOADS = b"<?xml version='1.0'?><ListMultipartUploadsResult></ListMultipartUploadsResult>"
AT = "http://h.example"


class Recorder(BaseHTTPRequestHandler):
    """Answers that there are no uploads and no objects, and remembers what it was asked for."""

    asked: list[str]

    def do_GET(self) -> None:
        """Answer a listing of uploads."""
        self.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", str(len(NO_UPLOADS)))
        self.end_headers()
        self.wfile.write(NO_UPLOADS)

    def do_HEAD(self) -> None:
        """Answer that there is no object."""
        self.asked.append(self.path)
        self.send_error(404)

    def do_CONNECT(self) -> None:
        """Refuse to lead to a server with TLS."""
        self.asked.append(self.path)
        self.send_error(405)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def recorder(context: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[str]]]:
    """Run a server, and give its port and what it was asked for."""
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Recorder,), {"asked": asked}))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away every variable that could say where a bucket is."""
    for name in (*S3_VARIABLES, *CLIENT_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[str]]]:
    """A proxy that leads nowhere, and the URLs that it was asked for."""
    with recorder() as (port, asked):
        yield f"http://127.0.0.1:{port}", asked


async def uploads(backend: ObstoreBackend) -> list[str]:
    """Return the unfinished uploads of a backend."""
    return [upload.path async for upload in backend.unfinished_uploads()]


async def ask_both(backend: ObstoreBackend) -> None:
    """Have the store asked for an object, and boto3 for uploads; neither need be there."""
    with pytest.raises(StorageError):
        await backend.head("ab/c")
    await uploads(backend)


@pytest.mark.parametrize(
    ("environment", "options", "bucket"),
    [
        ({}, {"aws_endpoint": AT}, f"{AT}/bucket"),
        ({}, {"aws_endpoint": f"{AT}/below/"}, f"{AT}/below/bucket"),
        ({"AWS_ENDPOINT": AT}, {}, f"{AT}/bucket"),
        ({"AWS_ENDPOINT_URL": AT}, {}, f"{AT}/bucket"),
        ({"AWS_ENDPOINT_URL_S3": AT, "AWS_ENDPOINT": "http://no.example"}, {}, f"{AT}/bucket"),
        ({"AWS_ENDPOINT_URL_S3": "http://no.example"}, {"aws_endpoint": AT}, f"{AT}/bucket"),
        (
            {},
            {"aws_endpoint": AT, "virtual_hosted_style_request": True},
            "http://bucket.h.example",
        ),
        (
            {"AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true"},
            {"aws_endpoint": f"{AT}/below"},
            "http://bucket.h.example/below",
        ),
        (
            {},
            {"aws_endpoint": f"{AT}/bucket", "virtual_hosted_style_request": True},
            "http://bucket.h.example/bucket",
        ),
    ],
)
async def test_one_server(
    monkeypatch: pytest.MonkeyPatch,
    proxy: tuple[str, list[str]],
    environment: Mapping[str, str],
    options: Mapping[str, Any],
    bucket: str,
) -> None:
    """Uploads are looked for in the very bucket that objects are read from, whatever says where that is."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    url, asked = proxy
    backend = ObstoreBackend(
        "shelf", "s3://bucket/x", **KEYS, **options, allow_http=True, client_options={"proxy_url": url}
    )
    await ask_both(backend)

    of_store, of_uploads = asked[0], asked[-1]
    assert of_store == f"{bucket}/x/ab/c"
    assert of_uploads.partition("?")[0].removesuffix("/") == bucket
    assert "prefix=x%2F" in of_uploads.partition("?")[2]


@pytest.mark.parametrize(
    ("environment", "options"),
    [
        ({}, {}),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, {}),
        ({"AWS_REGION": "eu-west-1"}, {"aws_region": "us-west-2"}),
        ({}, {"aws_region": "us-west-2", "virtual_hosted_style_request": True}),
    ],
)
async def test_amazon(
    monkeypatch: pytest.MonkeyPatch,
    proxy: tuple[str, list[str]],
    environment: Mapping[str, str],
    options: Mapping[str, Any],
) -> None:
    """Without an endpoint, both go to Amazon's host of the region, and both through the proxy."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    url, asked = proxy
    backend = ObstoreBackend("shelf", "s3://bucket/x", **KEYS, **options, client_options={"proxy_url": url})
    with pytest.raises(StorageUnavailableError, match="ProxyConnectionError"):
        await ask_both(backend)

    of_store, of_uploads = asked[0], asked[-1]
    assert of_store == of_uploads
    assert of_store.endswith(".amazonaws.com:443")


async def test_an_endpoint_of_a_profile(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, proxy: tuple[str, list[str]]
) -> None:
    """An endpoint that only boto3 knows, of a profile, is not the store's."""
    (tmp_path / "config").write_text("[default]\nendpoint_url = http://no.example\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    url, asked = proxy
    with pytest.raises(StorageUnavailableError, match="ProxyConnectionError"):
        await ask_both(ObstoreBackend("shelf", "s3://bucket", **KEYS, client_options={"proxy_url": url}))

    assert asked == ["s3.us-east-1.amazonaws.com:443"] * 2


@pytest.mark.parametrize("excludes", ["127.0.0.1", "other.example, 127.0.0.0/8"])
async def test_a_server_that_no_proxy_leads_to(proxy: tuple[str, list[str]], excludes: str) -> None:
    """A host that is to be reached without the proxy is."""
    url, asked = proxy
    with recorder() as (port, direct):
        client = {"proxy_url": url, "proxy_excludes": excludes}
        await ask_both(
            ObstoreBackend(
                "shelf", "s3://bucket", **KEYS, aws_endpoint=f"http://127.0.0.1:{port}", client_options=client
            )
        )

        assert asked == []
        assert "uploads" in direct[-1]


async def test_a_store_made_by_hand(monkeypatch: pytest.MonkeyPatch, proxy: tuple[str, list[str]]) -> None:
    """What the environment says to a store that was made without options for its client holds for both."""
    url, asked = proxy
    monkeypatch.setenv("AWS_PROXY_URL", url)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    config: Any = {"endpoint": AT, "access_key_id": "k", "secret_access_key": "s"}
    store = S3Store("bucket", config=config)
    await ask_both(ObstoreBackend("shelf", store))

    assert [one.partition("?")[0] for one in (asked[0], asked[-1])] == [f"{AT}/bucket/ab/c", f"{AT}/bucket"]


async def test_unsigned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A public bucket is asked without credentials, and keys of the environment are not sent."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stray")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "stray")
    with recorder() as (port, asked):
        backend = ObstoreBackend(
            "shelf", "s3://bucket", aws_skip_signature=True, aws_endpoint=f"http://127.0.0.1:{port}"
        )

        assert await uploads(backend) == []
        assert "stray" not in asked[0]


# -- certificates ----------------------------------------------------------------------------------------


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[tuple[str, bytes]]:
    """A server of a private authority: its URL, and the certificate to trust."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "store")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    pem, file = certificate.public_bytes(Encoding.PEM), tmp_path / "server.pem"
    file.write_bytes(pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with recorder(context) as (port, _):
        yield f"https://127.0.0.1:{port}", pem


@pytest.mark.parametrize(
    ("host", "excludes", "is_excluded"),
    [
        ("h.example", "h.example", True),
        ("a.H.example", "x, .h.Example", True),
        ("a.h.example", "h.example", True),
        ("h.example", "*", True),
        ("ah.example", "h.example", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "*", False),
        ("10.1.2.3", "2.3", False),
        ("h.example", "10.0.0.0/8,", False),
        ("h.example", "", False),
    ],
)
def test_excluded_hosts(host: str, excludes: str, *, is_excluded: bool) -> None:
    """The hosts that the proxy does not lead to are those that obstore reads out of the same text."""
    assert excludes_host(excludes, host) is is_excluded


@pytest.mark.parametrize("form", [bytes, bytes.decode])
async def test_a_private_authority(certified: tuple[str, bytes], form: Any) -> None:
    """A certificate that the store is to trust is trusted for uploads as well, and leaves no file behind."""
    endpoint, certificate = certified
    client = {"root_certificate": form(certificate)}

    assert await uploads(ObstoreBackend("s", "s3://b", **KEYS, aws_endpoint=endpoint, client_options=client)) == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize(
    ("options", "is_trusted"),
    [({}, False), ({"allow_invalid_certificates": False}, False), ({"allow_invalid_certificates": True}, True)],
)
async def test_a_server_that_nobody_vouches_for(
    certified: tuple[str, bytes], options: Mapping[str, Any], *, is_trusted: bool
) -> None:
    """A server with an unknown certificate is asked only if that is allowed."""
    backend = ObstoreBackend("s", "s3://b", **KEYS, aws_endpoint=certified[0], client_options=options)
    if is_trusted:
        assert await uploads(backend) == []
    else:
        with pytest.raises(StorageUnavailableError, match="SSLError"):
            await uploads(backend)
