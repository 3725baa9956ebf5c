"""The README's own words, run."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.servers.process import free_ports

README = Path(__file__).parents[2] / "README.md"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def application(tmp_path: Path) -> str:
    """The README's application and its hand-written routes, pasted into a file."""
    application, route, stream = _blocks("python")[:3]
    (tmp_path / "app.py").write_text(f"{application}\n{route}\n{stream}", encoding="utf-8")
    return application


def test_the_pasted_application_keeps_a_file(application: str, tmp_path: Path) -> None:
    """The application on the page runs as it stands, and what is uploaded comes back."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"]
    with subprocess.Popen(command, cwd=tmp_path) as server:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", transport=httpx.HTTPTransport(retries=8)) as client:
                created = client.post("/documents/", data={"title": "Report"}, files={"file": ("r.pdf", b"%PDF-1.7")})
                down = client.get(created.json()["file"]["url"])
                by_hand = client.post("/reports", files={"file": ("r.pdf", b"%PDF-1.7")})
                streamed = client.post("/streams", files={"file": ("r.pdf", b"%PDF-1.7")})
        finally:
            server.terminate()

    assert (created.status_code, down.content) == (201, b"%PDF-1.7")
    assert (by_hand.status_code, streamed.status_code) == (201, 201)


def test_the_application_is_short(application: str) -> None:
    """It is an application of about twenty lines of code."""
    lines = [line for line in application.splitlines() if line.strip() and not line.lstrip().startswith("#")]

    assert len(lines) <= 26
