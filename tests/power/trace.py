"""The system calls of a process, as the kernel saw them."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from stat import S_ISDIR

import pytest

from tests.power.calls import Call, Operation

MISSING = "strace is missing: `make test` installs it, or `apt-get install strace`."
TRACED = "openat,write,writev,pwrite64,copy_file_range,fdatasync,fsync,link,linkat,rename,renameat,renameat2,unlink,"
TRACED += "unlinkat,mkdir,mkdirat,rmdir"
LINE = re.compile(r"(?P<time>[0-9.]+) (?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>\d+)(?:<(?P<opened>.*)>)?$")
OPEN_FILE = re.compile(r"\b\d+<(?P<path>/[^>]*)>")
TEXT = re.compile(r'(?:\b\d+<(?P<folder>/[^>]*)>, |AT_FDCWD<[^>]*>, )?"(?P<path>[^"]*)"')
"""A path, or a name in an open folder."""
CHANGES: dict[str, Operation] = {
    "link": "link",
    "linkat": "link",
    "rename": "rename",
    "renameat": "rename",
    "renameat2": "rename",
    "unlink": "remove",
    "unlinkat": "remove",
    "mkdir": "make",
    "mkdirat": "make",
    "rmdir": "remove_folder",
}


def trace(folder: Path, *works: tuple[str, int]) -> list[Call]:
    """Do works of some sizes in a process of their own; return the calls that changed or synced what is in a folder."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail(MISSING)
    log = folder.parent / "trace"
    # A file for each thread, so that no line is torn.
    command = (strace, "-ff", "-ttt", "-y", "-qq", "-s", "4096", "-e", f"trace={TRACED}", "-e", "write=none")
    works_and_sizes = [str(each) for work in works for each in work]
    traced = (sys.executable, "-m", "tests.power.traced_work", str(folder), *works_and_sizes)
    subprocess.run([*command, "-o", str(log), *traced], check=True, cwd=Path(__file__).parents[2])
    lines = (line for path in folder.parent.glob("trace.*") for line in path.read_text(errors="replace").splitlines())
    matches = sorted((match for line in lines if (match := LINE.match(line))), key=lambda match: float(match["time"]))
    return [call for match in matches for call in _calls(match) if call.path.is_relative_to(folder)]


def _calls(match: re.Match[str]) -> Iterator[Call]:
    name, arguments = match["name"], match["arguments"]
    if name == "openat":
        if "O_CREAT" in arguments and match["opened"]:
            yield Call("create", PurePosixPath(match["opened"]))
        return
    if name in CHANGES:
        paths = [PurePosixPath(found["folder"] or "/", found["path"]) for found in TEXT.finditer(arguments)]
        operation = "remove_folder" if "AT_REMOVEDIR" in arguments else CHANGES[name]
        yield Call(operation, paths[0], paths[1] if len(paths) > 1 else None)
        return
    opened = [PurePosixPath(found["path"]) for found in OPEN_FILE.finditer(arguments)]
    if not opened:
        return
    if name in {"fdatasync", "fsync"}:
        yield Call("sync_folder" if _was_folder(opened[0]) else "sync", opened[0])
    else:
        yield Call("write", opened[-1], size=int(match["result"]))


def _was_folder(path: PurePosixPath) -> bool:
    try:
        return S_ISDIR(Path(path).stat().st_mode)
    except FileNotFoundError:
        return False
