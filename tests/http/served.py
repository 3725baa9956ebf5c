"""An application behind a real server, which serves from a backend."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from httpx import AsyncClient

from fastapi_filestore import ObstoreBackend
from tests.servers.process import LOOPBACK, free_ports, running

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Served:
    """The application, and the backend that it serves from."""

    port: int
    log: Path
    backend: ObstoreBackend

    async def held(self) -> dict[str, int]:
        """Return peak memory and files that are open for clients."""
        async with AsyncClient(base_url=f"http://{LOOPBACK}:{self.port}") as client:
            answer: dict[str, int] = (await client.get("/held")).json()
        return answer


@contextmanager
def run_application(folder: Path, url: str, options: Mapping[str, object]) -> Iterator[Served]:
    """Run the application on a port of its own."""
    (port,) = free_ports(1)
    command = (sys.executable, "-m", "uvicorn", "tests.http.sending:app", "--host", LOOPBACK, "--port", str(port))
    environment = {"PYTHONPATH": str(ROOT), "STORE_URL": url, "STORE_OPTIONS": json.dumps(options)}

    def ready() -> bool:
        with urlopen(f"http://{LOOPBACK}:{port}/held", timeout=5) as answer:
            return bool(answer.status == 200)

    with running(command, folder=folder, ready=ready, environment=environment):
        yield Served(port, folder / "server.log", ObstoreBackend("store", url, **options))
