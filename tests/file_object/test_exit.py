"""Programs that end while they store files: in real processes, by real signals."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from fastapi_filestore import FileObject, ObstoreBackend, StorageRegistry
from fastapi_filestore.concurrency import threads
from tests.servers.seaweedfs import SeaweedFS

ROOT = Path(__file__).parents[2]
ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
Options = dict[str, Any]


def begin(way: str, options: Options) -> "subprocess.Popen[str]":
    """Start the program."""
    command = [sys.executable, "-m", "tests.file_object.leaving", way, json.dumps(options)]
    pipe = subprocess.PIPE
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True)


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Wait for the program's end; return its exit code and what it said."""
    try:
        said, complained = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, said, complained


def stored(folder: Path) -> list[int]:
    """Return the sizes of all files in a folder, unfinished ones included."""
    return sorted(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the local backend keeps its objects."""
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("way", "code", "sizes"),
    [
        ("in_threads_after_another", 0, [10] + 12 * [2_000_000]),
        ("in_pool", 0, 12 * [10]),
        ("in_threads_of_a_failure", 3, 12 * [10]),
        ("at_exit", 0, [10, 2_000_000]),
        ("at_exit_after_another", 0, [10, 10, 2_000_000]),
        ("at_exit_with_a_loop", 0, [10]),
        ("after_a_loop", 0, [10, 10]),
        ("content_of_every_form", 0, 12 * [1001]),
        ("in_session", 0, [1, 1]),
    ],
)
def test_threads_that_outlive_the_main_one(folder: Path, way: str, code: int, sizes: list[int]) -> None:
    """Blocking twins work until the interpreter's end: all is stored, and nobody complains."""
    assert ended(begin(way, {"fs": folder.as_uri()})) == (code, "", "")
    assert stored(folder) == sizes


@pytest.mark.parametrize(
    ("way", "sizes"),
    [("thrown_away", []), ("thrown_away_after_another", [10]), ("thrown_away_with_a_loop", [10])],
)
def test_objects_thrown_away_at_the_end(folder: Path, way: str, sizes: list[int]) -> None:
    """What a `__del__` does when the interpreter ends, and no thread runs any more, raises and never hangs."""
    code, said, complained = ended(begin(way, {"fs": folder.as_uri()}))

    assert (code, complained, stored(folder)) == (0, "", sizes)
    assert said.startswith("The interpreter is ending, and runs no thread any more")


def test_threads_that_end_with_the_program(folder: Path) -> None:
    """Daemons that store files keep no program from its end."""
    assert ended(begin("in_daemons", {"fs": folder.as_uri()}))[0] == 0


def test_reading_in_a_thread_that_outlives_the_main_one(folder: Path) -> None:
    """So do reading and deleting."""
    assert ended(begin("read_late", {"fs": folder.as_uri()})) == (0, "500000\n", "")
    assert stored(folder) == []


def test_a_session_that_is_never_closed(folder: Path) -> None:
    """Its end comes with the interpreter's: one line says so, and no coroutine is left that nobody awaited."""
    code, said, complained = ended(begin("never_closed", {"fs": folder.as_uri()}))

    assert (code, said) == (0, "")
    assert complained.startswith("fastapi_filestore.session_never_closed ")
    assert complained.count("\n") == 1


@pytest.mark.parametrize(
    ("way", "end"),
    [*(("save_slowly", end) for end in ENDS), *zip(["commit_slowly", "create_slowly"], ENDS, strict=False)],
)
def test_a_signal_leaves_nothing(folder: Path, way: str, end: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and SIGHUP end a program in the middle of an upload as ever, and its staged file goes before."""
    process = begin(way, {"fs": folder.as_uri()})
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    while sum(stored(folder)) <= 1_000_000:  # what was given to the upload may still be on its way to the disk
        time.sleep(0.01)
    process.send_signal(end)
    code, _, complained = ended(process)

    assert (code, stored(folder)) == (-end, [])
    assert "never awaited" not in complained
    assert ("KeyboardInterrupt" in complained) is (end is signal.SIGINT)


def test_a_signal_that_another_thread_takes(folder: Path) -> None:
    """It ends the program, too, though it does not wake the main thread, which waits for the upload."""
    code, _, complained = ended(begin("save_as_a_thread_takes_the_signal", {"fs": folder.as_uri()}))

    assert (code, stored(folder), complained) == (-signal.SIGTERM, [], "")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_unfinished_upload(
    s3: ObstoreBackend, seaweedfs: SeaweedFS, unfinished: Callable[[], list[str]], end: signal.Signals
) -> None:
    """A multipart upload is aborted, so the store keeps no parts that nobody would find."""
    options = {
        "fs": s3.url,
        "aws_endpoint": seaweedfs.endpoint,
        "aws_access_key_id": seaweedfs.access_key,
        "aws_secret_access_key": seaweedfs.secret_key,
        "aws_region": seaweedfs.region,
    }
    process = begin("save_slowly", options)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(end)

    assert ended(process)[0] == -end
    assert unfinished() == []


def test_a_program_with_a_handler(folder: Path) -> None:
    """A program that handles a signal by itself goes on doing so; what it raises ends the upload."""
    process = begin("save_with_a_handler", {"fs": folder.as_uri()})
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)

    assert ended(process) == (7, "", "")
    assert stored(folder) == []


def test_signals_are_as_they_were(folder: Path) -> None:
    """After an upload nothing of the library handles signals."""
    assert ended(begin("save_and_go_on", {"fs": folder.as_uri()})) == (0, "True\n", "")


def test_where_no_thread_can_be_started(
    memory: ObstoreBackend, registry: StorageRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As newer interpreters refuse to start threads at their end, work is then done in the thread that asks for it."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr("fastapi_filestore.concurrency.blocking._background._loop", None)
    monkeypatch.setattr(threads.READING_THREADS, "_number", 0)
    monkeypatch.setattr(threads.READING_THREADS, "_idle", threading.Semaphore(0))
    monkeypatch.setattr(threading.Thread, "start", refuse)
    file = FileObject("memory", content=iter([b"a", b"b"]), registry=registry).save()

    assert file.get_content() == b"ab"


def test_too_late(memory: ObstoreBackend, registry: StorageRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the interpreter has stopped all threads, a blocking call says so and does not wait for ever."""
    file = FileObject("memory", content=b"x", registry=registry)
    monkeypatch.setattr(sys, "is_finalizing", lambda: True)
    with pytest.raises(RuntimeError, match="The interpreter is ending"):
        file.save()


def test_signals_in_other_threads(memory: ObstoreBackend, registry: StorageRegistry) -> None:
    """Threads other than the main one, which can't handle signals, save as before."""
    with ThreadPoolExecutor(4) as pool:
        files = list(pool.map(lambda n: FileObject("memory", content=b"%d" % n, registry=registry).save(), range(8)))

    assert [file.get_content() for file in files] == [b"%d" % n for n in range(8)]
