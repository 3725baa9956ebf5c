"""Calls that interrupt the library in its own thread, as signal handlers and the garbage collector's do."""

import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from textwrap import dedent

import pytest

from fastapi_filestore import BlockingCallError, FileObject, ObstoreBackend, StorageRegistry
from fastapi_filestore.concurrency import threads, turns
from fastapi_filestore.orm.unit_of_work import ownership
from fastapi_filestore.storage import budget, sources
from tests.loops import in_thread

ROOT = Path(__file__).parents[2]
GUARDS = {  # the guards themselves: an interruption at the right moment is a matter of luck
    "sources": sources._guard,  # noqa: SLF001
    "turns": turns._guard,  # noqa: SLF001
    "threads": threads._guard,  # noqa: SLF001
    "memory": budget._guard,  # noqa: SLF001
    "owners": ownership._guard,  # noqa: SLF001
}


@pytest.mark.parametrize("guard", GUARDS.values(), ids=GUARDS)
def test_a_call_while_something_is_looked_up(
    registry: StorageRegistry, memory: ObstoreBackend, guard: AbstractContextManager[object]
) -> None:
    """Whoever interrupts a look-up can make a file, is told that it can't store it now, and can store it later."""

    def interrupt() -> FileObject:
        with guard:
            file = FileObject("memory", content=iter([b"a"]), registry=registry)
            with pytest.raises(BlockingCallError, match="has interrupted the library"):
                file.save()
        return file.save()

    assert in_thread(interrupt).get_content() == b"a"


def test_a_signal_while_a_call_is_waited_for(tmp_path: Path) -> None:
    """A handler that stores a file while its thread waits for another one is told so; the other one is stored."""
    program = """
        import signal, sys, threading
        from fastapi_filestore import BlockingCallError, FileObject, ObstoreBackend, storages

        storages.register_backend(ObstoreBackend("disk", fs=f"file:{sys.argv[1]}", mkdir=True))
        handled = threading.Event()

        def handle(*_):
            try:
                FileObject("disk", content=iter([b"signal"])).save()
            except BlockingCallError as error:
                print("interrupted" in str(error))
            handled.set()

        def content():
            signal.pthread_kill(main, signal.SIGUSR1)
            handled.wait(30)
            yield b"content"

        signal.signal(signal.SIGUSR1, handle)
        main = threading.main_thread().ident
        print(FileObject("disk", content=content()).save().get_content())
    """
    command = [sys.executable, "-c", dedent(program), str(tmp_path / "disk")]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout

    assert said.split("\n") == ["True", "b'content'", ""]
