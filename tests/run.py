"""Run a command for a limited time, and beside busy loops if asked.

`python -m tests.run --seconds 3600 --busy 2 -- python -m pytest`: a hang that no test's own limit ends, such as one in
the interpreter, ends the command then, and its processes print where they are. SIGABRT asks faulthandler, which pytest
turns on in each of them, for the stacks of all threads.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tests.servers.process import die_with_parent

GRACE: Final = 30.0
"""Seconds for printing stacks before a process that does not end is killed."""
TIMED_OUT: Final = 124
"""The exit status of a command that had no time left, as of coreutils' `timeout`."""
BUSY: Final = f"import os\nwhile os.getppid() == {os.getpid()}: pass"


def main() -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.run", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600, help="how long the command may take")
    parser.add_argument("--busy", type=int, default=0, help="how many busy loops run beside it")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with busy_loops(arguments.busy):
        return run_limited(arguments.command, arguments.seconds)


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


def run_limited(command: Sequence[str], seconds: float) -> int:
    """Run a command and return its exit status; after the time let all its processes print their stacks and end."""
    # In a group of its own, which holds the workers that it starts, but no server: those die with who started them.
    with subprocess.Popen(command, process_group=0, preexec_fn=_die_with_us) as process:  # noqa: PLW1509 - one thread
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


def _die_with_us() -> None:
    die_with_parent(signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
