"""A program that stores files and comes to its end meanwhile; `python -m tests.file_object.leaving WAY BACKEND`."""

import asyncio
import atexit
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from fastapi_filestore import BlockingCallError, FileObject, FileService, ObstoreBackend, StoredObject, storages

LATE = 0.5
"""Seconds after which the main thread has certainly ended."""


class Base(DeclarativeBase):
    """The program's tables."""


class Row(Base):
    """A row with a file."""

    __tablename__ = "rows"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject("b"))


def open_session() -> Session:
    """Open a session on a database in memory."""
    engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)
    Base.metadata.create_all(engine)
    return Session(engine)


def slow() -> Iterator[bytes]:
    """Yield content that takes for ever, and say when a good part of it is stored."""
    for _ in range(80):
        yield b"x" * 100_000
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        time.sleep(0.05)
        yield b"x" * 100_000


def save(size: int = 10) -> FileObject:
    """Store a file."""
    return FileObject("b", content=b"x" * size).save()


def late(work: Callable[[], object]) -> Callable[[], None]:
    """Return a function that does something when the main thread has ended."""

    def run() -> None:
        time.sleep(LATE)
        work()

    return run


def in_threads(work: Callable[[], object]) -> None:
    """Start twelve threads that do something late."""
    for _ in range(12):
        threading.Thread(target=late(work)).start()


def in_pool() -> None:
    """Give twelve uploads to a pool of three threads, and go."""
    pool = ThreadPoolExecutor(3)
    for _ in range(12):
        pool.submit(late(save))


def in_threads_after_another() -> None:
    """Store one file, and others of many parts late."""
    save()
    in_threads(lambda: save(2_000_000))


def in_threads_of_a_failure() -> None:
    """End with an exit code of its own."""
    in_threads(save)
    sys.exit(3)


def at_exit() -> None:
    """Store files when all threads have ended."""
    atexit.register(lambda: [save(size) for size in (10, 2_000_000)])


def at_exit_after_another() -> None:
    """The same where the library's threads are there already."""
    save()
    at_exit()


def read_late() -> None:
    """Read a file late, and delete it."""
    file = save(500_000)

    def read() -> None:
        sys.stdout.write(f"{len(file.get_content())}\n")
        file.delete()

    threading.Thread(target=late(read)).start()


def content_of_every_form() -> None:
    """Store a path and an iterator late."""
    in_threads(lambda: FileObject("b", content=iter([b"x" * 1000, b"y"])).save())


def in_session() -> None:
    """Write rows late, with the session and with a service."""

    def write() -> None:
        with open_session() as session:
            session.add(Row(file=FileObject(content=b"x")))
            session.commit()
            service = FileService(session, model=Row)
            service.wait(service.create({"file": FileObject(content=b"y")}))
            service.wait(service.commit())

    threading.Thread(target=late(write)).start()


def never_closed() -> None:
    """Leave a session open, in a generator that lives as long as the program."""
    session = next(OPEN)
    session.add(Row(file=FileObject(content=b"x")))
    session.flush()


def _opened() -> Iterator[Session]:
    with open_session() as session:
        yield session


OPEN = _opened()


class Keeper:
    """Does something when it is thrown away, and says what came of it."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work

    def __del__(self) -> None:
        """Do it."""
        try:
            said = f"{self.work()}"
        except BlockingCallError as error:
            said = str(error)
        sys.stdout.write(f"{said}\n")
        sys.stdout.flush()


async def stored() -> FileObject:
    """Store a file on a loop of the program's own."""
    return await FileObject("b", content=b"x" * 10).save_async()


def thrown_away() -> None:
    """Store a file when what the program's modules hold is thrown away."""
    sys.modules["keeper"] = Keeper(save)  # type: ignore[assignment]


def thrown_away_after_another() -> None:
    """The same where the library's threads are there already."""
    save()
    thrown_away()


def thrown_away_with_a_loop() -> None:
    """The same on a loop of the program's own."""
    save()
    sys.modules["keeper"] = Keeper(lambda: asyncio.run(stored()))  # type: ignore[assignment]


def at_exit_with_a_loop() -> None:
    """Store a file on a loop of the program's own when all threads have ended."""
    atexit.register(lambda: asyncio.run(stored()))


def after_a_loop() -> None:
    """Store a file when the program's own loop has ended, which stored one, too."""
    asyncio.run(stored())
    save()


def in_daemons() -> None:
    """Leave threads that store files as long as the program runs."""

    def save_on() -> None:
        while True:
            save()

    for _ in range(4):
        threading.Thread(target=save_on, daemon=True).start()
    time.sleep(LATE)


def save_slowly() -> None:
    """Store a file until a signal comes."""
    FileObject("b", content=slow()).save()


def commit_slowly() -> None:
    """Commit a row until a signal comes."""
    session = open_session()
    session.add(Row(file=FileObject(content=slow())))
    session.commit()


def create_slowly() -> None:
    """Create a row by a service until a signal comes."""
    service = FileService(open_session(), model=Row)
    service.wait(service.create({"file": FileObject(content=slow())}))


def save_as_a_thread_takes_the_signal() -> None:
    """Store a file whose signal another thread takes: what the main one waits for does not wake it then."""

    def signalled() -> Iterator[bytes]:
        chunks = slow()
        yield from islice(chunks, 80)
        signal.pthread_kill(threading.get_ident(), signal.Signals.SIGTERM)
        yield from chunks

    FileObject("b", content=signalled()).save()


def save_with_a_handler() -> None:
    """Store a file until a signal comes that the program handles by itself."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    save_slowly()


def save_and_go_on() -> None:
    """Store files before and after; the signal's default is as it was."""
    save()
    sys.stdout.write(f"{signal.getsignal(signal.SIGTERM) is signal.SIG_DFL}\n")


if __name__ == "__main__":
    storages.register_backend(ObstoreBackend("b", **json.loads(sys.argv[2])))
    globals()[sys.argv[1]]()
