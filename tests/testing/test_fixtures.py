"""The fixtures in a user's own test run, which has nothing but the plugin."""

import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = 'pytest_plugins = ["fastapi_filestore.testing"]\n'


def run_pytest(folder: Path, test: str, *, conftest: str = CONFTEST) -> subprocess.CompletedProcess[str]:
    """Run a user's test in a process and a folder of its own."""
    (folder / "conftest.py").write_text(conftest)
    (folder / "test_user.py").write_text(test)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "-W",
        "error",
        str(folder),
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


PLAIN = """
from fastapi_filestore import FileObject, storages

def test_memory_storage(memory_storage):
    assert storages.get_backend("test") is memory_storage
    assert storages.get_backend() is memory_storage
    file = FileObject(backend="test", filename="a.txt", content=b"hello").save()
    assert file.get_content() == b"hello"

def test_nothing_is_left(memory_storage):
    assert "test" in storages

def test_sample_file(sample_file):
    assert sample_file.filename == "sample.txt"
    assert sample_file.get_content() == b"Sample content"
    sample_file.delete()

def test_without_a_fixture():
    assert "test" not in storages
"""

ASYNC = """
import pytest

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_sample_file(sample_file):
    content = await sample_file.get_content_async()
    assert content == b"Sample content"
    await sample_file.delete_async()
"""

OWN = """
from fastapi_filestore import storages

def test_taken_out_by_the_test(memory_storage):
    storages._backends.pop("test", None)

def test_again(memory_storage):
    pass
"""


@pytest.mark.parametrize(("test", "count"), [(PLAIN, 4), (ASYNC, 1), (OWN, 2)], ids=["plain", "async", "taken out"])
def test_in_a_run_of_a_user(tmp_path: Path, test: str, count: int) -> None:
    """The fixtures work in plain and in asynchronous tests without anything else configured."""
    run = run_pytest(tmp_path, test)

    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{count} passed" in run.stdout


def test_without_pytest(tmp_path: Path) -> None:
    """The library itself needs no pytest; only its module for tests does."""
    code = "import sys; sys.modules['pytest'] = None; import fastapi_filestore"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
