"""Google's credentials that others issue: for workloads of other clouds, and for who acts as a service account."""

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from google.auth import iam
from obstore.store import GCSStore

from fastapi_filestore import FileObject, StorageRegistry
from fastapi_filestore.errors import ConfigurationError, SigningUnavailableError, StoragePermissionError
from fastapi_filestore.storage.obstore.opening.stores import connect
from fastapi_filestore.storage.obstore_backend import ObstoreBackend
from fastapi_filestore.storage.signing import UrlSigner
from tests.servers.gcs import GCS
from tests.web.site import SIGNING_KEY

KEYLESS = ["external_account", "external_account_authorized_user", "impersonated_service_account"]
SECRET = "a-secret-of-somebody"


class TokenService(BaseHTTPRequestHandler):
    """Google's two services: one exchanges tokens, the other lends a service account."""

    asked: ClassVar[list[str]] = []
    is_refusing: ClassVar[bool] = False

    def do_POST(self) -> None:
        """Give a token."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append(self.path)
        ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = {
            "access_token": "token",
            "accessToken": "token",
            "expireTime": ends,
            "expires_in": 3600,
            "token_type": "Bearer",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }
        body = json.dumps({"error": "invalid_grant", "error_description": SECRET} if self.is_refusing else answer)
        self.send_response(400 if self.is_refusing else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the server's own name
        """Say nothing."""


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the address of the two services."""
    monkeypatch.setattr(TokenService, "asked", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), TokenService)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(iam, "_IAM_ENDPOINT", f"{address}/lend/{{}}")
    yield address
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Google:
    """A store, the services that give tokens for it, and a folder for files of credentials."""

    gcs: GCS
    tokens: str
    folder: Path

    def backend(self, **options: object) -> ObstoreBackend:
        """Return a backend with credentials."""
        place = f"gs://{self.gcs.bucket}/{uuid4().hex}"
        return ObstoreBackend("g", place, google_base_url=self.gcs.endpoint, **options)

    def credentials(self, kind: str) -> dict[str, Any]:
        """Return credentials as gcloud writes them, with the addresses of the tests."""
        (self.folder / "subject").write_text("a token of another cloud")
        match kind:
            case "external_account":
                return {
                    "type": kind,
                    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
                    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                    "token_url": f"{self.tokens}/exchange",
                    "credential_source": {"file": str(self.folder / "subject")},
                }
            case "external_account_authorized_user":
                return {
                    "type": kind,
                    "audience": "//iam.googleapis.com/locations/global/workforcePools/p/providers/x",
                    "refresh_token": SECRET,
                    "token_url": f"{self.tokens}/exchange",
                    "token_info_url": f"{self.tokens}/info",
                    "client_id": "id",
                    "client_secret": SECRET,
                }
            case _:
                source = json.loads(self.gcs.service_account_json) | {"token_uri": f"{self.tokens}/exchange"}
                return {
                    "type": kind,
                    "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/"
                    "serviceAccounts/files@p.iam.gserviceaccount.com:generateAccessToken",
                    "source_credentials": source,
                    "delegates": [],
                }


@pytest.fixture
def google(gcs: GCS, tokens: str, tmp_path: Path) -> Google:
    """Give all of Google's that a test needs."""
    return Google(gcs, tokens, tmp_path)


@pytest.mark.parametrize("kind", KEYLESS)
@pytest.mark.parametrize(
    "way", ["service_account", "service_account_key", "application_credentials", "environment", "home"]
)
async def test_they_are_used(
    kind: str, way: str, google: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way they are given, objects are written and read with the token that they are exchanged for."""
    text = json.dumps(google.credentials(kind))
    file = tmp_path / "credentials.json"
    file.write_text(text)
    options: dict[str, object] = {f"google_{way}": text if way == "service_account_key" else str(file)}
    if way == "environment":
        options = {}
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    if way == "home":
        options = {}
        monkeypatch.setenv("HOME", str(tmp_path))
        known = tmp_path / ".config/gcloud/application_default_credentials.json"
        known.parent.mkdir(parents=True)
        file.rename(known)
    backend = ObstoreBackend(
        "g", f"gs://{google.gcs.bucket}/{kind}/{way}", google_base_url=google.gcs.endpoint, **options
    )
    await backend.put("k", b"bytes")
    await backend.put("l", b"bytes")

    assert await (await backend.open("k")).read() == b"bytes"
    assert (
        TokenService.asked
        == {
            "external_account": ["/exchange"],
            "external_account_authorized_user": ["/exchange"],
            "impersonated_service_account": ["/exchange", "/lend/files@p.iam.gserviceaccount.com"],
        }[kind]
    )


@pytest.mark.parametrize("kind", KEYLESS)
async def test_they_sign_nothing(kind: str, google: Google) -> None:
    """There is no key to sign with: the refusal says so and what helps, and the application signs instead."""
    text = json.dumps(google.credentials(kind))
    backend = google.backend(google_service_account_key=text)
    with pytest.raises(SigningUnavailableError, match=f"type {kind}.*FILESTORE_SIGNING_KEYS"):
        await backend.sign("k", expires_in=60)
    registry = StorageRegistry()
    registry.register_backend(backend)
    registry.signer = UrlSigner([SIGNING_KEY], base_url="http://test/")
    file = FileObject("g", "a.txt", path="k", registry=registry)

    assert (await file.sign_async(expires_in=60)).startswith("http://test/")
    assert TokenService.asked == []


async def test_a_refused_exchange_is_told(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the token service refuses is no fault of the store, and its answer is not told."""
    monkeypatch.setattr(TokenService, "is_refusing", True)
    text = json.dumps(google.credentials("external_account"))
    backend = google.backend(google_service_account_key=text)
    with pytest.raises(StoragePermissionError) as told:
        await backend.put("k", b"bytes")

    assert SECRET not in str(told.value)


@pytest.mark.parametrize("kind", KEYLESS)
def test_without_google_auth(kind: str, google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the start names the type, the extra and the way round."""
    monkeypatch.setitem(sys.modules, "obstore.auth.google", None)
    text = json.dumps(google.credentials(kind))
    with pytest.raises(ConfigurationError, match=rf"type {kind}, which need google-auth: pip install .*\[google\]"):
        ObstoreBackend("g", "gs://b", google_service_account_key=text)


@pytest.mark.parametrize("kind", KEYLESS)
def test_what_is_not_complete(kind: str) -> None:
    """Credentials that lack what their type needs are refused at once, by their name."""
    with pytest.raises(ConfigurationError, match=f"google_service_account_key holds credentials of type {kind} that"):
        ObstoreBackend("g", "gs://b", google_service_account_key=json.dumps({"type": kind}))


def test_another_type_is_named() -> None:
    """A type that nobody can use is named with those that can be used."""
    with pytest.raises(ConfigurationError, match=r"type 'gdch_service_account', which can't be used.*external_account"):
        ObstoreBackend("g", "gs://b", google_service_account_key='{"type": "gdch_service_account"}')


def test_credentials_of_a_user(tmp_path: Path) -> None:
    """A user's file is used wherever it is given; its text can't be, and the message says what can."""
    text = json.dumps({"type": "authorized_user", "client_id": "id", "client_secret": SECRET, "refresh_token": SECRET})
    file = tmp_path / "user.json"
    file.write_text(text)
    for option in ("google_service_account", "google_application_credentials"):
        assert isinstance(connect("gs://b", {option: str(file)}).store, GCSStore)
    with pytest.raises(ConfigurationError, match=r"credentials of a user.*google_application_credentials"):
        ObstoreBackend("g", "gs://b", google_service_account_key=text)
