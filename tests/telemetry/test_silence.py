"""Where nobody collects anything, nothing is told, nothing is imported, and nothing is wrapped."""

import subprocess
import sys

from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider

from fastapi_filestore import Filestore, FilestoreSettings, ObstoreBackend, StorageRegistry
from fastapi_filestore.telemetry import COLLECTOR

SETTINGS = FilestoreSettings(_env_file=None, backends={"shelf": {"url": "memory://"}})


async def test_without_a_provider() -> None:
    """Backends stay as they are."""
    registry = StorageRegistry()
    async with Filestore(settings=SETTINGS, registry=registry).lifespan(FastAPI()):
        assert COLLECTOR.instruments is None
        assert "put" not in vars(registry.get_backend("shelf"))


async def test_after_the_end() -> None:
    """A backend that outlives the application is as it was before."""
    registry, tracers = StorageRegistry(), TracerProvider()
    registry.register_backend(backend := ObstoreBackend("mine", "memory://"))
    files = Filestore(settings=SETTINGS, registry=registry, telemetry={"tracer_provider": tracers})
    async with files.opened(), files.opened():
        assert {"put", "open", "delete"} <= vars(backend).keys()
    tracers.shutdown()

    assert COLLECTOR.instruments is None
    assert "put" not in vars(backend)
    assert registry.on_register is None


async def test_turned_off() -> None:
    """A provider is not told what it was said not to be."""
    tracers = TracerProvider()
    telemetry = {"tracer_provider": tracers, "tracing": False}
    async with Filestore(settings=SETTINGS, registry=StorageRegistry(), telemetry=telemetry).opened():
        assert COLLECTOR.instruments is None
    tracers.shutdown()


WITHOUT = """
import sys
from fastapi_filestore.filestore import Filestore
from fastapi_filestore.telemetry import COLLECTOR, redact_current_span

# As beside a FastAPI that does not bring it: nothing of ours has imported it before.
for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
    sys.modules[name] = None
with COLLECTOR.telling({}, memory=lambda: (0, 0), with_paths=False):
    print(COLLECTOR.instruments, "fastapi_filestore.telemetry.instruments" in sys.modules)
redact_current_span(str.lower)
"""


def test_without_opentelemetry() -> None:
    """Where it is not installed, as beside an older FastAPI, all goes on without it."""
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)

    assert done.stdout.splitlines() == ["None False"], done.stderr
