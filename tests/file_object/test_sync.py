"""The blocking twins: with and without a running loop, in threads, and after a fork."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fastapi_filestore import FileObject, ObstoreBackend, PendingContentError, StorageRegistry
from fastapi_filestore.storage.signing import UrlSigner
from tests.file_object.conftest import keys


def pending(registry: StorageRegistry, content: bytes = b"hello") -> FileObject:
    """A file whose bytes are still to be stored."""
    return FileObject("memory", "a.txt", content=content, registry=registry)


def test_without_a_loop(registry: StorageRegistry) -> None:
    """Save, read, sign and delete work in plain functions."""
    registry.signer = UrlSigner(["a-signing-key-that-is-long-enough-for-all"], base_url="/filestore/")
    file = pending(registry).save()

    assert file.get_content() == b"hello"
    assert file.sign(expires_in=60).startswith("/filestore/")
    file.delete()
    with pytest.raises(FileNotFoundError):
        file.get_content()


def test_arguments(registry: StorageRegistry) -> None:
    """The blocking save takes what the other takes."""
    file = FileObject("memory", "a.txt", registry=registry)
    file.save(b"hello" * 100, use_multipart=True, chunk_size=6 * 1024 * 1024, max_concurrency=2)

    assert file.size == 500


def test_errors(registry: StorageRegistry) -> None:
    """An error is raised as it is."""
    with pytest.raises(PendingContentError):
        FileObject("memory", "a.txt", registry=registry).save()


def test_content_that_ends_the_program(registry: StorageRegistry) -> None:
    """SystemExit out of content reaches the caller, and the next file is stored."""

    def chunks() -> Iterator[bytes]:
        yield b"half"
        sys.exit(1)

    with pytest.raises(SystemExit):
        FileObject("memory", "a.txt", content=chunks(), registry=registry).save()

    assert pending(registry).save().get_content() == b"hello"


async def test_inside_a_running_loop(registry: StorageRegistry) -> None:
    """They work inside a running loop, which they block, and mix with the asynchronous ones."""
    file = pending(registry).save()

    assert file.get_content() == await file.get_content_async() == b"hello"


def test_in_threads(memory: ObstoreBackend, registry: StorageRegistry) -> None:
    """Many threads save files of their own at once."""
    with ThreadPoolExecutor(16) as pool:
        files = list(pool.map(lambda number: pending(registry, b"%d" % number).save(), range(64)))

    assert [file.get_content() for file in files] == [b"%d" % number for number in range(64)]


async def test_one_file_in_threads(memory: ObstoreBackend, registry: StorageRegistry) -> None:
    """Many threads that save one file store it once."""
    file = pending(registry)
    with ThreadPoolExecutor(16) as pool:
        saved = list(pool.map(lambda _: file.save(), range(64)))

    assert all(each is file for each in saved)
    assert await keys(memory) == {file.path}


FORKING = """
import os, threading
from fastapi_filestore import FileObject, ForkedProcessError, ObstoreBackend, StorageRegistry
from fastapi_filestore.concurrency.blocking import run_blocking

async def nothing():
    return "ran"

{before}
child = os.fork()
if child == 0:
    registry = StorageRegistry()
    registry.register_backend(ObstoreBackend("memory", "memory://"))
    try:
        print(FileObject("memory", content=b"child", registry=registry).save().get_content().decode(), flush=True)
    except ForkedProcessError as error:
        print("forked:", run_blocking(nothing()), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


def forked(before: str) -> str:
    """Run a process that does something, forks, and saves a file in the child; return what the child says."""
    run = subprocess.run(
        [sys.executable, "-c", FORKING.format(before=before)], capture_output=True, text=True, check=True
    )
    return run.stdout.strip()


def test_after_a_fork() -> None:
    """A child whose parent used the library's loop, but no store, has a loop of its own."""
    assert forked("print(run_blocking(nothing()), flush=True)") == "ran\nchild"


def test_after_a_fork_of_a_used_store() -> None:
    """A child whose parent used a store is told so, and does not hang."""
    before = "registry = StorageRegistry(); registry.register_backend(ObstoreBackend('memory', 'memory://')); "
    before += "FileObject('memory', content=b'parent', registry=registry).save()"

    assert forked(before) == "forked: ran"


def test_a_fork_while_another_thread_starts_the_loop() -> None:
    """A lock that another thread of the parent held when it forked does not stop the child."""
    before = "from fastapi_filestore.concurrency import blocking; blocking._background._lock.acquire()"

    assert forked(before) == "child"
