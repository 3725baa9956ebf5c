"""Local files that this process may not write or read, asked in a process for which permissions hold, also as root."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

PR_CAPBSET_DROP = 24
RIGHTS_OF_ROOT = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: to write, and to read, whatever the permissions say."""

_LIBC = ctypes.CDLL(None)

SCRIPT = """
import asyncio, sys
from fastapi_filestore import ObstoreBackend, StoragePermissionError

async def ask():
    backend = ObstoreBackend("local", sys.argv[1])
    await {operation}

try:
    asyncio.run(ask())
except StoragePermissionError as error:
    print(error)
"""


def said(root: Path, operation: str) -> str:
    """Return the permission error of an operation in the folder."""

    def give_up_rights() -> None:
        for right in RIGHTS_OF_ROOT:  # for whoever has none of them, there is nothing to give up
            _LIBC.prctl(PR_CAPBSET_DROP, right)

    command = (sys.executable, "-c", SCRIPT.format(operation=operation), str(root))
    return subprocess.run(command, preexec_fn=give_up_rights, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("operation", ["backend.probe()", "backend.put('k', b'x')", "backend.delete('k')"])
def test_a_folder_that_cannot_be_written(tmp_path: Path, operation: str) -> None:
    """A folder that this process can't write is a permission error that names the backend."""
    (tmp_path / "k").write_bytes(b"x")
    tmp_path.chmod(0o500)

    assert "'local'" in said(tmp_path, operation)
    assert (tmp_path / "k").read_bytes() == b"x"


@pytest.mark.parametrize("operation", ["backend.open('k')", "backend.copy('k', 'l')"])
def test_a_file_that_cannot_be_read(tmp_path: Path, operation: str) -> None:
    """A file that this process can't read is a permission error that names the backend."""
    (tmp_path / "k").write_bytes(b"x")
    (tmp_path / "k").chmod(0)

    assert "'local'" in said(tmp_path, operation)
    assert [path.name for path in tmp_path.iterdir()] == ["k"]
