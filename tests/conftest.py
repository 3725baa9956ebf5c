"""What every test shares."""

import pytest

pytest_plugins = (
    "tests.isolation",
    "tests.order",
    "tests.crash.summary",
    "tests.servers.environment",
    "tests.servers.seaweedfs",
    "tests.servers.azurite",
    "tests.servers.gcs",
    "tests.servers.postgres",
)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run every asynchronous test on asyncio, the loop that FastAPI applications run on."""
    return "asyncio"
