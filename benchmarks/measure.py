"""What a server process takes while it works: memory, bytes on disk, processor time, and another endpoint's time."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

MEBIBYTE = 1024 * 1024
RESET_PEAK = "5"
"""What Linux takes in `clear_refs` as the wish to begin the peak of resident memory anew."""
SAMPLE_EVERY = 0.02
"""Seconds between two looks at the memory, where the peak can't be reset."""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Taken:
    """What was taken, complete when the block has ended."""

    memory: float = 0.0
    """MiB of resident memory above what it was before."""
    written: int = 0
    """Bytes that the process made the file system write, temporary files included (write_bytes)."""
    read: int = 0
    """Bytes that it read from sockets and files (rchar)."""
    cpu: float = 0.0
    """Seconds of processor time, all threads."""
    ping: float = 0.0
    """Longest time of another endpoint, in seconds."""


@contextmanager
def watching(pid: int, port: int) -> Iterator[Taken]:
    """Watch a server while the block makes it work."""
    taken, process = Taken(), Path("/proc") / str(pid)
    with _pinging(port, taken), _peak_memory(process, taken):
        io, cpu = _io(process), _cpu(process)
        yield taken
        after = _io(process)
        taken.written, taken.read = (after[name] - io[name] for name in ("write_bytes", "rchar"))
        taken.cpu = _cpu(process) - cpu


@contextmanager
def _pinging(port: int, taken: Taken) -> Iterator[None]:
    command = (sys.executable, "-m", "benchmarks.ping", str(port))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
    ) as pinger:
        assert pinger.stdout is not None
        pinger.stdout.readline()
        try:
            yield
        finally:
            output, _ = pinger.communicate()  # its standard input ends here
        taken.ping = json.loads(output)["worst"]


@contextmanager
def _peak_memory(process: Path, taken: Taken) -> Iterator[None]:
    idle = _memory(process, "VmRSS")
    try:
        (process / "clear_refs").write_text(RESET_PEAK)
    except OSError:
        with _sampling(process) as sampled:
            yield
        peak = max(sampled.values)
    else:
        yield
        peak = _memory(process, "VmHWM")
    taken.memory = max(0.0, peak - idle)


@dataclass(slots=True)
class _Sampled:
    values: list[float] = field(default_factory=list)


@contextmanager
def _sampling(process: Path) -> Iterator[_Sampled]:
    ended, sampled = threading.Event(), _Sampled([_memory(process, "VmRSS")])

    def sample() -> None:
        while not ended.wait(SAMPLE_EVERY):
            sampled.values.append(_memory(process, "VmRSS"))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield sampled
    finally:
        ended.set()
        thread.join()


def _memory(process: Path, name: str) -> float:
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / MEBIBYTE


def _io(process: Path) -> dict[str, int]:
    lines = (process / "io").read_text().splitlines()
    return {name: int(value) for name, value in (line.split(": ") for line in lines)}


def _cpu(process: Path) -> float:
    # After the name, which may have spaces: fields 14 and 15 of proc(5), user and system time.
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS
