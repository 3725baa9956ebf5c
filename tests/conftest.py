"""What every test shares."""

import gc
import os
import signal
import threading
from pathlib import Path

import pytest

pytest_plugins = (
    "tests.isolation",
    "tests.order",
    "tests.in_turn",
    "tests.crash.summary",
    "tests.tus.summary",
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


# While tests are collected nothing is thrown away.
gc.disable()

# No server here speaks TLS; yet each client of httpx reads the certificates of the whole world, in 50 ms. Here is one.
os.environ.pop("SSL_CERT_DIR", None)
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "servers" / "nobody.pem")


def pytest_configure(config: pytest.Config) -> None:
    """Let programs that tests start hear signals: a run that a shell began in the background ignores some of them."""
    if threading.current_thread() is threading.main_thread():
        for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, handler)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Let the garbage collector pass over what lasts as long as the run, and look at other old objects less often."""
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, 100)
    gc.enable()
