"""The run of the tests ends, whatever hangs, and says where."""

import subprocess
import sys
from pathlib import Path

from tests.run import TIMED_OUT

# A child, as pytest's workers are, hangs where no signal of Python's is heard, as does its parent.
HANGING = """
import ctypes, faulthandler, subprocess, sys
faulthandler.enable()
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, sys.argv[0], "child"])
def hangs():
    print("hangs", flush=True)
    ctypes.PyDLL(None).sleep(600)
hangs()
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the limits."""
    command = (sys.executable, "-m", "tests.run", *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_run_that_hangs_ends_and_prints_all_stacks(tmp_path: Path) -> None:
    """Every process of a run that takes too long says in which function it is, and none is left."""
    script = tmp_path / "hanging.py"
    script.write_text(HANGING)
    done = run("--seconds", "4", "--", sys.executable, str(script))

    assert done.returncode == TIMED_OUT
    assert done.stdout.count("hangs") == 2
    assert done.stderr.count("in hangs") == 2  # its pipes are closed, so nobody holds them any more


def test_a_run_answers_as_its_command() -> None:
    """The exit status of the command is that of the run, beside busy loops, too."""
    done = run("--busy", "1", "--", sys.executable, "-c", "import sys; print('said'); sys.exit(7)")

    assert (done.returncode, done.stdout) == (7, "said\n")
