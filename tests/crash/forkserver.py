"""A warm process that has imported everything and used nothing, and forks one process off for each schedule."""

import faulthandler
import gc
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import create_engine
from sqlalchemy.orm import configure_mappers

from tests.crash import child
from tests.crash.application import DRIVERS
from tests.crash.child import Report, Schedule

PATIENCE = 40
"""Seconds a schedule may take; one that hangs is ended, and shows where it stood."""


@dataclass(frozen=True)
class Outcome:
    """How the process of a schedule ended.

    Attributes:
        killed: Whether it died of SIGKILL.
        report: What it had to say, if it ended by itself.
        output: What it wrote, as the traceback of a failure of the harness.
    """

    killed: bool
    report: Report | None
    output: str


class ForkServer:
    """The other end of a process that forks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def run(self, schedule: Schedule) -> Outcome:
        """Run a schedule in a process of its own, to its end."""
        self._connection.send(schedule)
        outcome: Outcome = self._connection.recv()
        return outcome


@contextmanager
def fork_server() -> Iterator[ForkServer]:
    """Start a fork server, and stop it after the block."""
    mine, its = Pipe()
    command = [sys.executable, "-c", f"from tests.crash import forkserver; forkserver.serve({its.fileno()})"]
    process = subprocess.Popen(command, pass_fds=[its.fileno()], cwd=Path(__file__).parents[2])
    its.close()
    try:
        yield ForkServer(mine)
    finally:
        mine.close()
        process.wait()


def serve(descriptor: int) -> None:
    """Run schedules until the other end is gone."""
    _warm_up()
    connection = Connection(descriptor)
    with TemporaryDirectory(prefix="filestore-crash-") as folder, suppress(EOFError):
        while True:
            schedule: Schedule = connection.recv()
            connection.send(_fork(schedule, Path(folder)))


def _warm_up() -> None:
    configure_mappers()
    # Making an engine imports its driver and connects to nothing.
    for driver in chain.from_iterable(DRIVERS.values()):
        create_engine(f"{driver}://")
    # The garbage collector of each process passes over what is here, else a collection costs more than a schedule.
    gc.collect()
    gc.freeze()


def _fork(schedule: Schedule, folder: Path) -> Outcome:
    report, output = folder / "report", folder / "output"
    report.unlink(missing_ok=True)
    output.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        _be_child(schedule, report, output)
    _, status = os.waitpid(pid, 0)
    text = output.read_text() if output.exists() else ""
    loaded = child.load_report(report) if report.exists() else None
    return Outcome(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, loaded, text)


def _be_child(schedule: Schedule, report: Path, output: Path) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    try:
        child.run(schedule, report)
    except BaseException:  # noqa: BLE001 - the other process shows it
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)
