"""Run a command for a limited time, and beside busy loops if asked.

`python -m tests.run --seconds 3600 --busy 2 -- python -m pytest`: a hang that no test's own limit ends, such as one in
the interpreter, ends the command then, and its processes print where they are. SIGABRT asks faulthandler, which pytest
turns on in each of them, for the stacks of all threads. Temporary files are in a folder of the run's own, in memory if
there is room: thousands of small databases wait for no disk there.
"""

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Any, Final

from tests.servers.process import die_with_parent

GRACE: Final = 30.0
"""Seconds for printing stacks before a process that does not end is killed."""
TIMED_OUT: Final = 124
"""The exit status of a command that had no time left, as of coreutils' `timeout`."""
IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - in which a folder is made
ROOM: Final = 4 * 2**30
"""Bytes that must be free there."""
PREFIX: Final = "filestore-run-"
BUSY: Final = f"import os\nwhile os.getppid() == {os.getpid()}: pass"


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.run", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600, help="how long the command may take")
    parser.add_argument("--busy", type=int, default=0, help="how many busy loops run beside it")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with busy_loops(arguments.busy), temporary_files() as folder:
        environment = {**os.environ, "TMPDIR": str(folder)}
        # Else each of hundreds of processes, and each of pytest's workers, would compile all modules again.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        return run_limited(arguments.command, arguments.seconds, environment=environment)


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep as many processors busy during the block."""
    loops = [subprocess.Popen((sys.executable, "-c", BUSY)) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@contextmanager
def temporary_files() -> Iterator[Path]:
    """Make a folder, and remove it at the end with all that is in it, and what runs left that were killed."""
    in_memory = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM
    parent = IN_MEMORY if in_memory else Path(gettempdir())
    for left in parent.glob(f"{PREFIX}*"):
        with suppress(OSError), _holding(left):
            shutil.rmtree(left)
    folder = Path(mkdtemp(prefix=PREFIX, dir=parent))
    with _holding(folder):
        folder.chmod(0o711)  # PostgreSQL runs as somebody else, who must enter
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _holding(folder: Path) -> Iterator[None]:
    """Lock a folder as long as this process lives, or raise BlockingIOError if another one does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def run_limited(command: Sequence[str], seconds: float, *, environment: Mapping[str, str]) -> int:
    """Run a command and return its exit status; after the time let all its processes print their stacks and end."""
    # In a group of its own, which holds the workers that it starts, but no server: those die with who started them.
    own_group: dict[str, Any] = {"process_group": 0, "preexec_fn": lambda: die_with_parent(signal.SIGKILL)}
    with subprocess.Popen(command, env=environment, **own_group) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"{command!r} took more than {seconds:g} s; the stacks of its processes:\n")
            os.killpg(process.pid, signal.SIGABRT)
            _end(process)
            return TIMED_OUT
        except BaseException:  # Ctrl-C, which the terminal sends to this process alone, or SIGTERM
            os.killpg(process.pid, signal.SIGINT)
            _end(process)
            raise


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
