"""Starts that the machine or the database does not let happen: a few lines say why."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.example_app.app import ROOT
from tests.web.site import SIGNING_KEY


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite+aiosqlite:///file:rows.db?mode=ro&uri=true", "it takes no changes, it is read-only"),
        ("sqlite+aiosqlite:///rows.db/documents.db", "The application can't keep its data in rows.db: File exists."),
        ("postgresql+asyncpg://user:password@127.0.0.1:1/rows", "the connection failed"),
        ("postgres://user:password@127.0.0.1:1/rows", "the connection failed"),
    ],
)
def test_a_refused_start_is_its_sentences(url: str, told: str, tmp_path: Path) -> None:
    """What keeps the application from its data is told in a sentence, without a traceback."""
    (tmp_path / "rows.db").touch()
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "--app-dir", ROOT, "--port", "0", "example_app.main:app"],
        cwd=tmp_path,
        env={**os.environ, "DATABASE_URL": url, "FILESTORE_SIGNING_KEYS": SIGNING_KEY},
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, len(done.stderr.splitlines())) == (3, 4)
    assert "The application does not start. " in done.stderr
    assert told in done.stderr
    assert "password" not in done.stderr


def test_an_env_file_that_can_not_be_read(tmp_path: Path) -> None:
    """Who may not read `.env` is told so in a line."""
    (tmp_path / ".env").symlink_to("/proc/self/mem")  # reading it fails for root, too
    done = subprocess.run(
        [sys.executable, "-c", "import example_app.main"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == "The application does not start. It can't read .env: Input/output error. Let it read it.\n"
