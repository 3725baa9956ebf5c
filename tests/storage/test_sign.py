"""Signed URLs: used on the servers, refused when tampered with, and held against the stores' own libraries."""

import asyncio
import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import boto3
import httpx
import pytest
from azure.storage.blob import BlobSasPermissions, generate_blob_sas
from botocore.config import Config
from google.cloud import storage as google_storage
from google.oauth2.service_account import Credentials

from fastapi_filestore.errors import ConfigurationError, SigningUnavailableError
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from fastapi_filestore.storage.signing import Method
from tests.storage.stores import NETWORKED, make_backend, service_account

READABLE = ["My Report (1).pdf", "résumé & co=1+1.pdf", "100%.txt", "a?b#c", "日本/😀", "it's, [so] ~it~ @9:00!$*"]


async def fetch(
    method: str, url: str, *, content: bytes = b"", headers: dict[str, str] | None = None
) -> httpx.Response:
    """Send one request, as whoever holds a signed URL would."""
    async with httpx.AsyncClient() as client:
        return await client.request(method, url, content=content or None, headers=headers)


@pytest.fixture(params=["seaweedfs", "azurite"])
def verified(request: pytest.FixtureRequest) -> ObstoreBackend:
    """A backend of each kind whose server verifies signatures."""
    return make_backend(request.param, request)


async def test_download(networked: ObstoreBackend) -> None:
    """Whoever has the URL can read the object, without any header."""
    await networked.put("a/b", b"bytes", content_type="image/png")
    signed = await networked.sign("a/b", expires_in=60)
    response = await fetch("GET", signed.url)

    assert (signed.method, signed.headers) == ("GET", {})
    assert (response.status_code, response.content) == (200, b"bytes")
    assert timedelta(seconds=58) < signed.expires_at - datetime.now(UTC) <= timedelta(seconds=60)


async def test_upload(networked: ObstoreBackend) -> None:
    """Whoever has the URL can store the object with exactly the headers that come with it."""
    signed = await networked.sign("a/b", method="PUT", expires_in=60, content_type="image/png")
    response = await fetch("PUT", signed.url, content=b"bytes", headers=dict(signed.headers))

    assert response.is_success, response.text
    assert signed.headers["content-type"] == "image/png"
    assert (await networked.head("a/b")).content_type == "image/png"


async def test_headers_of_an_upload(networked: ObstoreBackend) -> None:
    """Only Azure needs a header of its own; without a content type none is asked for."""
    signed = await networked.sign("k", method="PUT", expires_in=60)

    assert signed.headers == ({"x-ms-blob-type": "BlockBlob"} if networked.key == "azurite" else {})


@pytest.mark.parametrize("key", READABLE)
async def test_readable_keys(verified: ObstoreBackend, key: str) -> None:
    """A key that is a file's name can be signed for reading and writing."""
    upload = await verified.sign(key, method="PUT", expires_in=60)
    assert (await fetch("PUT", upload.url, content=b"bytes", headers=dict(upload.headers))).is_success
    download = await verified.sign(key, expires_in=60)

    assert (await fetch("GET", download.url)).content == b"bytes"
    assert [info.path async for info in verified.list()] == [key]


@pytest.mark.parametrize("key", ["a?b", "a#b", "a%b", "a (1)", "a&b"])
async def test_keys_that_gcs_would_misread(request: pytest.FixtureRequest, key: str) -> None:
    """A key whose URL would mean another object is refused, with the remedy."""
    with pytest.raises(SigningUnavailableError, match="generated key"):
        await make_backend("gcs", request).sign(key, expires_in=60)


@pytest.mark.parametrize("change", ["path", "signature", "expiry", "method", "query"])
async def test_tampering(verified: ObstoreBackend, change: str) -> None:
    """A signed URL that is changed in any way is refused."""
    await verified.put("mine", b"bytes")
    await verified.put("other", b"secret")
    url = (await verified.sign("mine", expires_in=60)).url
    method, changed = "GET", url
    match change:
        case "path":
            changed = url.replace("/mine?", "/other?")
        case "signature":
            name = "X-Amz-Signature=" if "X-Amz-Signature=" in url else "sig="
            start = url.index(name) + len(name)
            changed = url[:start] + ("0" if url[start] != "0" else "1") + url[start + 1 :]
        case "expiry":
            changed = url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000").replace("se=20", "se=21")
        case "method":
            method = "PUT"
        case "query":
            changed = url + ("&response-content-disposition=inline" if "X-Amz" in url else "&rscd=inline")

    assert (await fetch(method, changed, headers={"x-ms-blob-type": "BlockBlob"})).status_code == 403
    assert (await fetch("GET", url)).content == b"bytes"


async def test_expiry(verified: ObstoreBackend) -> None:
    """A signed URL is refused when its time is over."""
    await verified.put("k", b"bytes")
    url = (await verified.sign("k", expires_in=1)).url
    await asyncio.sleep(2.1)

    assert (await fetch("GET", url)).status_code == 403


@pytest.mark.parametrize(
    ("signed_for", "method"),
    [("GET", "PUT"), ("GET", "DELETE"), ("GET", "POST"), ("PUT", "DELETE"), ("PUT", "GET"), ("PUT", "POST")],
)
async def test_read_url_does_not_write(verified: ObstoreBackend, signed_for: Method, method: str) -> None:
    """A URL for reading a key neither writes nor deletes it, and one for writing neither reads nor deletes it."""
    await verified.put("k", b"bytes")
    signed = await verified.sign("k", method=signed_for, expires_in=60)
    headers = {**signed.headers, "x-ms-blob-type": "BlockBlob"}
    answer = await fetch(method, signed.url, content=b"other" if method != "GET" else b"", headers=headers)

    assert answer.status_code in {400, 403, 405}, answer.text  # the first and the last where no method is so called
    assert b"bytes" not in answer.content
    assert await (await verified.open("k")).read() == b"bytes"


@pytest.mark.parametrize("expires_in", [0, -1])
async def test_no_time(networked: ObstoreBackend, expires_in: int) -> None:
    """A URL that lives no time is refused."""
    with pytest.raises(ConfigurationError, match="more than zero"):
        await networked.sign("k", expires_in=expires_in)


async def test_too_long(networked: ObstoreBackend) -> None:
    """More than seven days are refused where signature version 4 ends, and fine on Azure."""
    assert (await networked.sign("k", expires_in=604_800)).url
    if networked.key == "azurite":
        assert (await networked.sign("k", expires_in=604_801)).url
    else:
        with pytest.raises(ConfigurationError, match="7 days"):
            await networked.sign("k", expires_in=604_801)


@pytest.mark.parametrize("kind", ["memory", "local"])
async def test_without_signatures(request: pytest.FixtureRequest, kind: str) -> None:
    """A store without signed URLs is the reference's NotImplementedError, with the remedy."""
    with pytest.raises(NotImplementedError, match="FILESTORE_SIGNING_KEYS") as caught:
        await make_backend(kind, request).sign("k", expires_in=60)

    assert isinstance(caught.value, SigningUnavailableError)
    assert "FileObject.sign_async" in str(caught.value)


async def test_credentials_that_cannot_sign(azurite: Any) -> None:
    """A SAS token can't make another one: that is said, with the remedy."""
    backend = ObstoreBackend(
        "sas",
        f"az://{azurite.container}",
        azure_storage_account_name=azurite.account,
        azure_storage_sas_token="sv=2023-11-03&sig=x",
        azure_endpoint=azurite.endpoint,
    )
    for key in ("k", "a b"):
        with pytest.raises(SigningUnavailableError):
            await backend.sign(key, expires_in=60)


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("key", ["3f/3f9c", *READABLE])
async def test_as_botocore_signs(seaweedfs: Any, method: Any, key: str) -> None:
    """The URL for S3 is, to the byte, what botocore makes of the same second."""
    keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "secret/+="}
    backend = ObstoreBackend("s3", "s3://bucket/pre", aws_region="eu-west-3", aws_endpoint="https://s3.test", **keys)
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    client = boto3.client("s3", region_name="eu-west-3", endpoint_url="https://s3.test", config=config, **keys)
    operation = {"GET": "get_object", "PUT": "put_object"}[method]
    params = {"Bucket": "bucket", "Key": f"pre/{key}"}

    def theirs() -> str:
        return str(client.generate_presigned_url(operation, Params=params, ExpiresIn=600))

    while True:
        before, ours, after = theirs(), (await backend.sign(key, method=method, expires_in=600)).url, theirs()
        if before == after:
            break

    assert _parts(ours) == _parts(before)


@pytest.mark.parametrize(("method", "permission"), [("GET", "r"), ("PUT", None)])
@pytest.mark.parametrize("key", ["3f/3f9c", *READABLE])
async def test_as_azure_signs(method: Any, permission: str | None, key: str) -> None:
    """The signature for Azure is what azure-storage-blob makes of the same fields."""
    secret = base64.b64encode(b"an account key").decode()
    backend = ObstoreBackend(
        "az", "az://container/pre", azure_storage_account_name="acc", azure_storage_account_key=secret
    )
    url = (await backend.sign(key, method=method, expires_in=600)).url
    fields = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}

    assert fields["sig"] == _azure_signature(secret, f"pre/{key}", fields)
    assert permission in (None, fields["sp"])
    assert "d" not in fields["sp"]
    assert urlsplit(url).path == f"/container/pre/{quote(key)}"


def _azure_signature(secret: str, blob: str, fields: dict[str, str]) -> str:
    signed: list[str] = []
    generate_blob_sas(
        "acc",
        "container",
        blob,
        account_key=secret,
        permission=BlobSasPermissions.from_string(fields["sp"]),
        start=fields.get("st"),
        expiry=fields["se"],
        sts_hook=signed.append,
    )
    lines = signed[0].split("\n")
    assert lines[8] == "b", "the version is on the line before the resource"
    lines[7] = fields["sv"]
    digest = hmac.digest(base64.b64decode(secret), "\n".join(lines).encode(), hashlib.sha256)
    return base64.b64encode(digest).decode()


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize("key", ["3f/3f9c", "a b-c_d.e~f", "日本"])
async def test_as_google_signs(gcs: Any, method: Any, key: str) -> None:
    """The URL for GCS is, to the byte, what google-cloud-storage makes of the same second."""
    account = json.loads(service_account(gcs.service_account_json)) | {"gcs_base_url": "https://storage.googleapis.com"}
    backend = ObstoreBackend("gs", "gs://bucket/pre", google_service_account=json.dumps(account))
    credentials = Credentials.from_service_account_info(account)  # type: ignore[no-untyped-call]
    blob = google_storage.Client("test-project", credentials).bucket("bucket").blob(f"pre/{key}")

    def theirs() -> str:
        return str(blob.generate_signed_url(version="v4", expiration=timedelta(seconds=600), method=method))

    while True:
        before, ours, after = theirs(), (await backend.sign(key, method=method, expires_in=600)).url, theirs()
        if before == after:
            break

    assert _parts(ours) == _parts(before)


def _parts(url: str) -> tuple[str, str, str, dict[str, list[str]]]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc, parts.path, parse_qs(parts.query)


@pytest.mark.parametrize("kind", NETWORKED)
async def test_no_secret_in_a_signed_url(request: pytest.FixtureRequest, kind: str) -> None:
    """A signed URL holds no key: whoever has it can do one thing only."""
    backend = make_backend(kind, request)
    url = (await backend.sign("k", expires_in=60)).url

    for secret in ("rw-secret-key", request.getfixturevalue("azurite").account_key, "PRIVATE"):
        assert secret not in url
