"""Every operation of the OpenAPI document, asked by schemathesis for what it promises and what it never heard of."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.example_app.app import run_app
from tests.security.conftest import SIGNING_KEY, run_server
from tests.servers.postgres import Postgres
from tests.servers.process import served

CONFIG = Path(__file__).with_name("schemathesis.toml")
PROGRAM = Path(sys.executable).with_name("st")


def complaints(url: str, folder: Path, *options: str) -> str:
    """Return what schemathesis has to say against an application; nothing if it is content."""
    command: list[str | Path] = [PROGRAM, "--config-file", CONFIG, "run", f"{url}/openapi.json", "--no-color", *options]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return ended.stdout + ended.stderr if ended.returncode else ""


def test_the_router_keeps_its_promises(postgres_database: Postgres, tmp_path: Path) -> None:
    """Keys of every type on PostgreSQL: no server error, and each answer is as the document says."""
    with served(lambda: run_server(postgres_database.url("postgresql+asyncpg"))) as server:
        said = complaints(server.url, tmp_path, "--max-examples=3", "--generation-deterministic")

        assert not said, said
        assert "Traceback" not in server.log()


@pytest.mark.works_with("Schemathesis")
def test_the_example_keeps_its_promises(tmp_path: Path) -> None:
    """The application that people copy: no server error, and each answer is as the document says."""
    with served(lambda: run_app({"FILESTORE_SIGNING_KEYS": SIGNING_KEY})) as app:
        # A method that a path lacks is one that the page behind all paths is asked for.
        unheard = "--exclude-checks=allow_header_conformance"
        said = complaints(app.url, tmp_path, "--max-examples=3", "--generation-deterministic", unheard)

        assert not said, said
        assert "Traceback" not in (app.folder / "server.log").read_text()
