"""Files that a task of an event loop was storing when that loop was stopped or closed: nobody waits for it for ever."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_filestore import BlockingCallError, FileObject, ObstoreBackend, StorageRegistry, StoredObject, storages
from fastapi_filestore.concurrency import loops as home
from fastapi_filestore.concurrency import turns
from tests.loops import in_loop, in_thread

REFUSED = "an event loop that does nothing any more"
Leave = Callable[[FileObject], None]

_kept: list[asyncio.Task[FileObject]] = []
"""Tasks of closed loops, which can't end: thrown away, they would complain of that."""


class Base(DeclarativeBase):
    """The suite's tables."""


class Row(Base):
    """A row with a file."""

    __tablename__ = "rows"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject] = mapped_column(StoredObject("memory"))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a loop for dead soon."""
    monkeypatch.setattr(turns, "TURN_TIMEOUT", 0.2)
    monkeypatch.setattr(home, "STANDSTILL", 0.5)


@pytest.fixture(params=["stopped", "closed"])
def leave(request: pytest.FixtureRequest) -> Iterator[Leave]:
    """What begins to save a file in a loop that is then stopped, or closed; the task is kept."""
    left = list[tuple[asyncio.AbstractEventLoop, asyncio.Task[FileObject]]]()

    def leave(file: FileObject) -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(file.save_async())
        loop.run_until_complete(asyncio.sleep(0.1))
        if request.param == "closed":
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - it is to be destroyed
            loop.close()
            _kept.append(task)
        else:
            left.append((loop, task))

    yield leave
    for loop, task in left:
        task.cancel()
        loop.run_until_complete(asyncio.wait({task}))
        loop.close()


async def endless() -> AsyncIterator[bytes]:
    """Yield content whose end never comes."""
    yield b"a"
    await asyncio.sleep(3600)


@pytest.mark.parametrize("way", ["blocking", "async"])
def test_a_file_at_work(registry: StorageRegistry, leave: Leave, way: str) -> None:
    """Whoever saves such a file again is told, blocking or in another loop."""
    file = FileObject("memory", content=endless(), registry=registry)
    leave(file)
    with pytest.raises(BlockingCallError, match=REFUSED):
        in_thread(file.save) if way == "blocking" else in_loop(file.save_async)


def test_content_at_work(registry: StorageRegistry, leave: Leave) -> None:
    """So is another file of the same iterator."""
    source = endless()
    leave(FileObject("memory", content=source, registry=registry))
    with pytest.raises(BlockingCallError, match=REFUSED):
        in_thread(FileObject("memory", content=source, registry=registry).save)


def test_a_commit(tmp_path: Path, memory: ObstoreBackend, leave: Leave) -> None:
    """So is the commit of a row with such a file; rolled back, the session goes on."""
    storages.register_backend(memory)
    engine = create_engine(f"sqlite:///{tmp_path}/x.db", connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)
    file = FileObject(content=endless())
    leave(file)

    def commit() -> None:
        with Session(engine) as session:
            session.add(Row(file=file))
            with pytest.raises(BlockingCallError, match=REFUSED):
                session.commit()
            session.rollback()
            session.add(Row(file=FileObject(content=b"x")))
            session.commit()

    in_thread(commit)
    engine.dispose()
    storages.unregister_backend("memory")


def test_a_loop_that_runs_again(registry: StorageRegistry) -> None:
    """A loop that stands still for a moment is waited for."""
    loop = asyncio.new_event_loop()
    going_on = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        await going_on.wait()

    file = FileObject("memory", content=chunks(), registry=registry)
    task = loop.create_task(file.save_async())
    loop.run_until_complete(asyncio.sleep(0.1))
    saved = list[FileObject]()
    waiting = threading.Thread(target=lambda: saved.append(file.save()), daemon=True)
    waiting.start()
    waiting.join(0.4)  # it has asked the loop for a sign of life by now
    going_on.set()
    loop.run_until_complete(task)
    waiting.join(30)
    loop.close()

    assert saved == [file]
    assert file.get_content() == b"a"


def test_a_task_that_takes_long(registry: StorageRegistry) -> None:
    """A task of a loop that runs may take as long as it likes."""

    async def slow() -> AsyncIterator[bytes]:
        await asyncio.sleep(1)
        yield b"a"

    async def work() -> bytes:
        file = FileObject("memory", content=slow(), registry=registry)
        saving = asyncio.create_task(file.save_async())
        await asyncio.sleep(0.05)
        await asyncio.to_thread(file.save)
        return await (await saving).get_content_async()

    assert in_loop(work) == b"a"
