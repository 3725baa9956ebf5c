"""Nothing of the machine's own cloud configuration reaches a test, and no test reaches a cloud."""

import os
import shutil
import socket
from collections.abc import Iterator

import pytest

from tests.servers.process import LOOPBACK, unavailable

SCRUBBED = ("AWS_", "AZURE_", "GOOGLE_", "FILESTORE_", "MSI_", "IDENTITY_")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NO_BROWSER = "Chromium is missing: install it from the system's packages, as `apt-get install chromium`."


@pytest.fixture(scope="session")
def dead_port() -> Iterator[int]:
    """A loopback port that refuses every connection, for as long as the session lasts."""
    with socket.socket() as held:
        held.bind((LOOPBACK, 0))  # bound but never listening: nobody else can take it
        port: int = held.getsockname()[1]
        yield port


@pytest.fixture(scope="session", autouse=True)
def scrubbed_environment(dead_port: int) -> Iterator[None]:
    """Remove the cloud variables, and point what asks for credentials by network at a dead port."""
    dead = f"{LOOPBACK}:{dead_port}"
    with pytest.MonkeyPatch.context() as patch:
        for name in [each for each in os.environ if each.upper().startswith(SCRUBBED)]:
            patch.delenv(name)
        for name in ("AWS_METADATA_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AZURE_MSI_ENDPOINT"):
            patch.setenv(name, f"http://{dead}")
        for name in ("GCE_METADATA_HOST", "GCE_METADATA_ROOT", "GCE_METADATA_IP"):
            patch.setenv(name, dead)
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, f"{LOOPBACK},localhost")
        yield


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium that tests may run without a window."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return found or unavailable(NO_BROWSER)
