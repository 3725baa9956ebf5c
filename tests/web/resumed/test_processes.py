"""Processes that end while an upload comes: one that is told to keeps what came, one that is killed what it had."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from fastapi_filestore import ObstoreBackend, StorageBackend, storages, sweep
from fastapi_filestore.orm.sessions import run_on_engine
from tests.servers.process import LOOPBACK, die_with_parent, free_ports
from tests.tus.wire import connected
from tests.web.resumed.conftest import Open, held, stored
from tests.web.resumed.replicas import BACKEND, GENEROUS, LEDGER, MEDIA_TYPE, VERSION

ROOT = Path(__file__).parents[3]
CONTENT = bytes(range(256)) * 4096
HALF = len(CONTENT) // 2


@contextmanager
def process(url: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run the application in a process of its own, which lets requests go on for a second when it is to end."""
    (port,) = free_ports(1)
    site = f"http://{LOOPBACK}:{port}"
    options = ("--host", LOOPBACK, "--port", str(port), "--timeout-graceful-shutdown", "1", "--log-level", "error")
    running = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "tests.web.resumed.served:app", *options],
        env={
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": url,
            "FILESTORE_BACKENDS__RESUMED__URL": folder.as_uri(),
        },
        preexec_fn=lambda: die_with_parent(signal.SIGKILL),  # noqa: PLW1509 - the kernel knows no other place
    )
    try:
        _wait_for(site, running)
        yield running, site
    finally:
        running.kill()
        running.wait()


def _wait_for(site: str, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 2 * GENEROUS
    while True:
        try:
            httpx.options(f"{site}/clips/uploads").raise_for_status()
        except httpx.TransportError:
            assert running.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def send_half(url: str, folder: Path, number: signal.Signals) -> str:
    """Send a part, and half of another, when a signal ends the process; return the path of the upload."""
    with process(url, folder) as (running, site):
        begun = httpx.post(f"{site}/clips/uploads", headers={**VERSION, "Upload-Length": str(len(CONTENT))})
        path = f"/clips/{begun.headers['location']}"
        headers = {**VERSION, **MEDIA_TYPE}
        first = httpx.patch(f"{site}{path}", headers={**headers, "Upload-Offset": "0"}, content=CONTENT[:1000])
        length = str(len(CONTENT) - 1000)
        fields = [*headers.items(), ("Upload-Offset", "1000"), ("Content-Length", length)]
        with connected(f"{site}{path}") as connection:
            connection.begin("PATCH", fields)
            connection.send(CONTENT[1000:HALF])
            time.sleep(0.3)
            running.send_signal(number)
            running.wait(GENEROUS)
    assert first.status_code == 204
    return path


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[ObstoreBackend]:
    """A folder, which another process stores in, too."""
    backend = ObstoreBackend(key=BACKEND, fs=tmp_path / "files")
    storages.register_backend(backend)
    yield backend
    storages.unregister_backend(BACKEND)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["told", "killed"])
async def test_a_process_ends(
    url: str, backend: StorageBackend, run: Open, tmp_path: Path, number: signal.Signals
) -> None:
    """What a request brought before is kept; of the one under way all that came, unless the process was killed."""
    path = await asyncio.to_thread(send_half, url, tmp_path / "files", number)
    async with run() as other:
        offset = await other.offset(path)
        await run_on_engine(other.engine, lambda connection: connection.execute(update(LEDGER.table).values(due_at=0)))
        assert [one.error async for one in sweep(other.engine, LEDGER) if one.error] == []
        left = await stored(backend)

        assert offset == (1000 if number is signal.SIGKILL else HALF)
        assert left == await held(other)
        assert len([path for path in (tmp_path / "files").rglob("*") if path.is_file()]) == len(left)
        assert (await other.patch(path, offset, CONTENT[offset:])).status_code == 204
        assert (await other.claim(path)).content == CONTENT
