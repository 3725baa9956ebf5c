"""How far a command has come: drawn on a terminal, and nowhere else."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from tests.maintenance.commands import environment, folder

__all__ = ["folder"]

CI = "CI"


def drawn_by(folder: Path, *arguments: str, variables: dict[str, str]) -> tuple[bytes, str]:
    """Run a command whose stderr is a terminal, and return what it drew there, and what it printed to a pipe."""
    ours, theirs = pty.openpty()
    without_ci = {name: value for name, value in environment(folder).items() if name != CI}
    command = [str(Path(sys.executable).with_name("filestore")), *arguments, "--app", "application"]
    drawn = bytearray()

    def read() -> None:
        try:
            while part := os.read(ours, 4096):
                drawn.extend(part)
        except OSError:  # how the end of a terminal is told
            pass

    reader = Thread(target=read)
    reader.start()
    done = subprocess.run(
        command,
        cwd=folder,
        env={**without_ci, "TERM": "xterm", **variables},
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(theirs)
    reader.join(10)
    os.close(ours)
    return bytes(drawn), done.stdout


@pytest.mark.works_with("rich")
def test_an_audit_on_a_terminal(folder: Path) -> None:
    """It draws what it does, how much of it is done, and the time; what it finds goes to its own place as ever."""
    drawn, printed = drawn_by(folder, "audit", variables={})

    assert b"looking at objects without a row" in drawn
    assert b"1/1" in drawn
    assert printed.startswith("orphan  shelf:ab/stray  No row holds it")
    assert "\x1b" not in printed


@pytest.mark.parametrize(
    ("options", "variables"), [(["--json"], {}), ([], {"CI": "true"})], ids=["as JSON", "in continuous integration"]
)
def test_nothing_is_drawn_for_programs(folder: Path, options: list[str], variables: dict[str, str]) -> None:
    """As JSON and in continuous integration nothing is drawn, terminal or not."""
    drawn, printed = drawn_by(folder, "sweep", *options, variables=variables)

    assert drawn == b""
    assert printed.count("\n") == 1
