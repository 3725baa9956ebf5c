"""Processes that are forked off by one that has stored files: each is told at its start, and none of them hangs."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

PATIENCE = 120
"""Seconds after which a process hangs, on a machine that is busy, too."""

BEGINNING = """
import asyncio, os, signal, sys, threading, time
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from fastapi import FastAPI
from fastapi_filestore import FileObject, Filestore, ForkedProcessError, ObstoreBackend, StoredObject, storages

class Base(DeclarativeBase): pass

class Row(Base):
    __tablename__ = "rows"
    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject("b"))

folder = sys.argv[1]
storages.register_backend(ObstoreBackend("b", f"file://{folder}/files", mkdir=True))
engine = create_engine(f"sqlite:///{folder}/rows.db")
Base.metadata.create_all(engine)

def commit(content=b"x"):
    with Session(engine) as session:
        row = Row(file=FileObject(content=content))
        session.add(row)
        session.commit()

def forked(work):
    if (child := os.fork()) == 0:
        signal.alarm(30)
        try:
            work()
            print("done", flush=True)
        except ForkedProcessError as error:
            print("told" if "gunicorn --preload" in str(error) else error, flush=True)
        except BaseException as error:
            print(type(error).__name__, flush=True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print("hung" if os.WIFSIGNALED(status) else "ended", flush=True)
"""


def run(program: str, folder: Path) -> str:
    """Run a program in a process of its own, and return what it prints."""
    command = (sys.executable, "-W", "ignore::DeprecationWarning", "-c", BEGINNING + dedent(program), str(folder))
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout


def test_a_session_that_blocks(tmp_path: Path) -> None:
    """A process whose parent committed a file with a session that blocks is told, and its parent goes on."""
    program = """
        commit()
        forked(commit)
        commit()
        print("parent", flush=True)
    """

    assert run(program, tmp_path) == "told\nended\nparent\n"


def test_a_session_that_blocks_for_the_first_time(tmp_path: Path) -> None:
    """Where the parent has stored nothing yet, each process stores its own."""
    program = """
        engine.dispose()
        forked(commit)
        forked(commit)
        commit()
    """

    assert run(program, tmp_path) == "done\nended\n" * 2


def test_a_file_that_the_parent_is_saving(tmp_path: Path) -> None:
    """A process that is forked in the middle of an upload does not wait for the end of it, which never comes there."""
    program = """
        begun, going_on = threading.Event(), threading.Event()
        def chunks():
            yield b"x"
            begun.set()
            going_on.wait()
        file = FileObject("b", content=chunks())
        saving = threading.Thread(target=file.save)
        saving.start()
        begun.wait()
        forked(file.save)
        going_on.set()
        saving.join()
        print(file.size, flush=True)
    """

    assert run(program, tmp_path) == "ContentConsumedError\nended\n1\n"


def test_forks_of_busy_threads(tmp_path: Path) -> None:
    """Whatever the parent's threads are at when it forks, each process is told."""
    program = """
        def save():
            while not stop:
                FileObject("b", content=iter([b"x"])).save().delete()
        stop = []
        threads = [threading.Thread(target=save) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        for _ in range(20):
            forked(lambda: FileObject("b", content=iter([b"x"])).save())
        stop.append(True)
    """

    assert run(program, tmp_path) == "told\nended\n" * 20


def test_memory_that_the_parent_holds(tmp_path: Path) -> None:
    """A forked process has all of the memory for uploads, though nobody there gives back what its parent held."""
    program = """
        from fastapi_filestore.storage.budget import upload_memory
        with upload_memory.share_at_once(least=2 * upload_memory.limit, most=2 * upload_memory.limit):
            forked(lambda: print(upload_memory.held, flush=True))
        print(upload_memory.held, flush=True)
    """

    assert run(program, tmp_path) == "0\ndone\nended\n0\n"


@pytest.mark.parametrize("used", [True, False])
def test_an_application_that_is_loaded_before_the_fork(tmp_path: Path, used: bool) -> None:
    """A server whose parent used a store as it loaded the application, as with `gunicorn --preload`, never starts."""
    program = f"""
        import uvicorn
        files = Filestore()
        app = FastAPI(lifespan=files.lifespan)
        if {used}:
            FileObject("b", content=b"x").save()

        def serve():
            server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="on"))
            async def run():
                serving = asyncio.create_task(server.serve())
                while not (server.started or serving.done()):
                    await asyncio.sleep(0.01)
                print("started", flush=True)
                server.should_exit = True
                await serving
            asyncio.run(run())

        forked(serve)
    """
    command = (sys.executable, "-c", BEGINNING + dedent(program), str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)

    assert done.stdout.splitlines()[0] == ("SystemExit" if used else "started")
    assert ("Backend 'b' can't be used" in done.stderr) is used
    assert ("--preload" in done.stderr) is used


def test_a_block_that_is_open(tmp_path: Path) -> None:
    """A process forked within `files.opened()` of a parent that has stored nothing stores, and can end the block."""
    program = """
        storages.unregister_backend("b")
        os.environ["FILESTORE_BACKENDS__B__URL"] = f"file://{folder}/files"
        files = Filestore(engine=engine)
        opened = files.opened()

        def work():
            commit()
            opened.__exit__(None, None, None)
            assert len(storages) == 0
            with opened:
                commit()

        engine.dispose()
        with opened:
            forked(work)
            forked(work)
            commit()
        with Session(engine) as session, opened:
            print([row.file.get_content() for row in session.query(Row)])
    """

    assert run(program, tmp_path) == "done\nended\n" * 2 + f"{[b'x'] * 5}\n"
