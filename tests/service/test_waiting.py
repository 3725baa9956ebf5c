"""`service.wait` over an AsyncSession: in which event loop a call runs, and what is told where there is none."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import NullPool

from fastapi_filestore import BlockingCallError, FileObject, FileService, ObstoreBackend, StoredObject
from fastapi_filestore.concurrency import loops as home
from tests.loops import in_loop, in_thread

GONE = "an event loop that does nothing any more"


class Base(DeclarativeBase):
    """The suite's tables."""


class Note(Base):
    """A row with a file."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    file: Mapped[FileObject | None] = mapped_column(StoredObject("web"))


@pytest.fixture
def url(tmp_path: Path, backend: ObstoreBackend) -> str:
    """A database with the suite's tables."""
    engine = create_engine(f"sqlite:///{tmp_path}/x.db")
    Base.metadata.create_all(engine)
    engine.dispose()
    return f"sqlite+aiosqlite:///{tmp_path}/x.db"


@pytest.fixture
def engine(url: str) -> Iterator[AsyncEngine]:
    """An engine whose pool keeps connections."""
    engine = create_async_engine(url)
    yield engine
    asyncio.run(engine.dispose())


def made(engine: AsyncEngine) -> FileService[Note]:
    """Make a service with a session of its own."""
    return FileService(AsyncSession(engine, expire_on_commit=False), model=Note)


async def where() -> asyncio.AbstractEventLoop:
    """Return the event loop that it runs in."""
    return asyncio.get_running_loop()


async def used(service: FileService[Note]) -> FileService[Note]:
    """Let a service have used its session."""
    await service.list()
    await service.commit()
    return service


def create(service: FileService[Note]) -> int:
    """Create a row with a file, commit it, and close the session, each by a call that blocks."""
    row = service.wait(service.create({"file": FileObject(content=b"x")}))
    service.wait(service.commit())
    service.wait(closing(service))
    return row.id


async def closing(service: FileService[Note]) -> None:
    """Close a service's session."""
    assert isinstance(service.session, AsyncSession)
    await service.session.close()


def test_a_script(engine: AsyncEngine) -> None:
    """Where no event loop was ever used, calls run in the library's own, one after the other and in threads."""
    identities = [in_thread(lambda: create(made(engine))) for _ in range(3)]

    assert identities == [1, 2, 3]
    assert made(engine).wait(where()) is made(engine).wait(where())


@pytest.mark.parametrize("is_used", [False, True])
def test_a_loop_that_has_ended(engine: AsyncEngine, *, is_used: bool) -> None:
    """A service that was made, or has used its session, in a loop that has ended says so."""

    async def work() -> FileService[Note]:
        return await used(made(engine)) if is_used else made(engine)

    service = asyncio.run(work())
    with pytest.raises(BlockingCallError, match=GONE):
        in_thread(lambda: create(service))


def test_a_connection_of_a_loop_that_is_stopped(engine: AsyncEngine) -> None:
    """So does one whose session is in a transaction of a loop that stands still; there it can go on."""

    async def begin() -> FileService[Note]:
        service = made(engine)
        await service.list()
        return service

    with asyncio.Runner() as runner:
        service = runner.run(begin())
        with pytest.raises(BlockingCallError, match=GONE):
            in_thread(lambda: create(service))
        assert runner.run(service.create({"file": FileObject(content=b"x")})).id == 1
        runner.run(closing(service))


def test_a_session_of_one_loop_and_then_another(engine: AsyncEngine) -> None:
    """A session that was used in a loop that has ended, and then in one that runs, belongs to that one."""
    service = asyncio.run(used(made(engine)))

    async def work() -> None:
        await used(service)

        assert await asyncio.to_thread(service.wait, where()) is asyncio.get_running_loop()

    in_loop(work)


def test_an_engine_of_a_loop_that_runs(engine: AsyncEngine) -> None:
    """A thread's own session uses its engine in the loop that has used it."""

    async def work() -> None:
        await used(made(engine))

        assert await asyncio.to_thread(lambda: made(engine).wait(where())) is asyncio.get_running_loop()
        assert await asyncio.to_thread(lambda: create(made(engine))) == 1

    in_loop(work)


def test_a_loop_that_is_blocked(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that waits for the thread is found out, and does nothing of what was refused when it goes on."""
    monkeypatch.setattr(home, "ANSWER_TIMEOUT", 0.2)

    async def work() -> None:
        service = made(engine)
        with pytest.raises(BlockingCallError, match=GONE):
            in_thread(lambda: create(service))
        await asyncio.sleep(0.1)

        assert (await service.list()).items == []

        await closing(service)

    in_loop(work)


def test_another_loop(engine: AsyncEngine) -> None:
    """A call in another loop than that of a service which runs is refused before it does anything."""

    async def work() -> None:
        service = made(engine)
        for call in (service.create({"file": FileObject(content=b"x")}), service.list(), service.end_reading()):
            with pytest.raises(BlockingCallError, match=r"service\.wait"):
                await asyncio.to_thread(asyncio.run, call)

        assert (await service.list()).items == []

        await closing(service)

    in_loop(work)


def test_another_loop_with_connections_of_its_own(url: str) -> None:
    """Without a pool that keeps connections a service may go from loop to loop, but not within a transaction."""
    engine = create_async_engine(url, poolclass=NullPool)

    async def work() -> None:
        service = made(engine)

        async def create_there() -> int:
            identity = (await service.create({"file": FileObject(content=b"x")})).id
            await service.commit()
            await closing(service)
            return identity

        assert await asyncio.to_thread(asyncio.run, create_there()) == 1

        await service.list()
        with pytest.raises(BlockingCallError):
            await asyncio.to_thread(asyncio.run, service.get(1))
        await closing(service)

    in_loop(work)
