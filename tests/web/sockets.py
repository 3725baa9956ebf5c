"""An application behind a real server, and pieces of forms to send there."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from tests.servers.process import LOOPBACK, free_ports, running

MIB = 1024 * 1024


ROOT = Path(__file__).parents[2]


TITLE = b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nt\r\n'


FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


FORM_END = b"\r\n--b--\r\n"


@contextmanager
def run_application(folder: Path, database: str, **settings: str) -> Iterator[int]:
    """Run the application on a port of its own, its files in a folder unless its settings say otherwise."""
    (port,) = free_ports(1)
    command = (sys.executable, "-m", "uvicorn", "tests.web.served:app", "--host", LOOPBACK, "--port", str(port))
    environment = {
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database,
        "FILESTORE_BACKENDS__WEB__URL": (folder / "store").as_uri(),
        **settings,
    }

    def ready() -> bool:
        with urlopen(f"http://{LOOPBACK}:{port}/received", timeout=5) as answer:
            return bool(answer.status == 200)

    with running(command, folder=folder, ready=ready, environment=environment):
        yield port


def head(method: str, path: str, length: int, content_type: str) -> bytes:
    """Write the head of a request."""
    lines = (f"{method} {path} HTTP/1.1", "Host: a", f"Content-Type: {content_type}", f"Content-Length: {length}")
    return "\r\n".join((*lines, "", "")).encode()


def stored(folder: Path) -> set[Path]:
    """Return the files in the store."""
    return {path for path in (folder / "store").rglob("*") if path.is_file()}
