"""Run a real server for the tests: free ports, a temporary folder, readiness, and a certain end."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import NoReturn, TypeVar

import pytest

LOOPBACK = "127.0.0.1"
PR_SET_PDEATHSIG = 1
READY_TIMEOUT = 60.0
"""Seconds a server may take to answer: each needs about one, a machine busy with other tests many more."""
STOP_TIMEOUT = 20.0
ATTEMPTS = 3
"""Starts of a server before giving up: another process may take one of its free ports in between."""

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

Server = TypeVar("Server")


class MissingServerError(Exception):
    """A server is not installed on this machine; the message says how to install it."""


class ServerStartError(Exception):
    """A server ended, or stayed silent, before it was ready; the message holds the end of its output."""


def unavailable(message: str) -> NoReturn:
    """Fail the test in CI, where everything must be there, and skip it on a developer's machine."""
    if os.environ.get("CI") == "true":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@contextmanager
def served(run: Callable[[], AbstractContextManager[Server]]) -> Iterator[Server]:
    """Run a server for as long as the block lasts, on other ports if the first ones are taken meanwhile."""
    with ExitStack() as stack:
        try:
            server = _enter(stack, run)
        except MissingServerError as error:
            unavailable(str(error))
        yield server


def _enter(stack: ExitStack, run: Callable[[], AbstractContextManager[Server]]) -> Server:
    for _ in range(ATTEMPTS - 1):
        try:
            return stack.enter_context(run())
        except ServerStartError:
            continue
    return stack.enter_context(run())


def free_ports(count: int) -> list[int]:
    """Return different ports of the loopback interface that nothing listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """Make a folder, short enough for Unix sockets, and remove it afterwards."""
    folder = Path(mkdtemp(prefix=f"filestore-{prefix}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    folder: Path,
    ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
    stop_signal: signal.Signals = signal.SIGKILL,
) -> Iterator[None]:
    """Run a command, wait until it is ready, and stop it after the block; it never outlives this process.

    `ready` is asked again and again; an OSError from it means "not yet". Its output goes to a log in `folder`.
    """
    log = folder / "server.log"
    with log.open("wb") as output:
        process = _spawn(command, output.fileno(), environment=environment, user=user, stop_signal=stop_signal)
    try:
        _wait_until_ready(process, ready, log)
        yield
    finally:
        _stop(process, stop_signal)


def _spawn(
    command: Sequence[str | Path],
    output: int,
    *,
    environment: Mapping[str, str] | None,
    user: str | None,
    stop_signal: signal.Signals,
) -> subprocess.Popen[bytes]:
    with warnings.catch_warnings():
        # Python warns of any fork beside other threads; between fork and exec only prctl is called.
        warnings.simplefilter("ignore", DeprecationWarning)
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            user=user,
            extra_groups=None if user is None else [],
            cwd="/",
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(stop_signal),  # noqa: PLW1509 - the kernel knows no other place
        )


def die_with_parent(stop_signal: signal.Signals) -> None:
    """Let the kernel send this process, just forked off, a signal when its parent ends."""
    if _LIBC is not None:  # nothing may be imported or looked up between fork and exec
        _LIBC.prctl(PR_SET_PDEATHSIG, int(stop_signal))


def _wait_until_ready(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while not _answers(ready):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:]
            raise ServerStartError(f"{process.args!r} (exit status {process.returncode}) was never ready:\n{tail}")
        time.sleep(0.05)


def _answers(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except OSError:
        return False


def _stop(process: subprocess.Popen[bytes], stop_signal: signal.Signals) -> None:
    process.send_signal(stop_signal)
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
