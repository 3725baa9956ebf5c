"""The command that tries any server of tus: what it prints, and what it ends with."""

import re
import subprocess
import sys
from pathlib import Path

from tests.servers.process import served
from tests.tus.comparison import run_tus_node_server

ROOT = Path(__file__).parents[2]


def try_server(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "tests.tus", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_table_says_what_passed_and_failed_and_is_not_announced() -> None:
    """The command counts the cases, names those that failed with their sentence, and what the server has not."""
    with served(run_tus_node_server) as server:
        done = try_server(server.url, "-H", "X-Test: 1", "-k", "complete_upload_tells or version_ends or are_announced")

    assert done.returncode == 1
    assert re.search("^core +1 +0 +0$", done.stdout, re.MULTILINE)
    assert re.search("^termination +0 +1 +0$", done.stdout, re.MULTILINE)
    assert "FAILED test_another_version_ends_nothing\n" in done.stdout
    assert "  tus 1.0, Tus-Resumable: Another version is a 412" in done.stdout
    assert "NOT ANNOUNCED: checksum, so " in done.stdout


def test_an_address_without_a_server_is_told(dead_port: int) -> None:
    """The command says so where nothing speaks tus."""
    done = try_server(f"http://127.0.0.1:{dead_port}/files/")

    assert done.returncode == 1
    assert done.stderr.startswith("No server of tus 1.0: ")
