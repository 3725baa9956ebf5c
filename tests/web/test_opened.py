"""`files.opened()`: what a script or a worker has of the lifespan, by `with` and by `async with`."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from fastapi_filestore import FileObject, Filestore, SettingsError, StorageRegistry, UnknownBackendError
from tests.servers.postgres import Postgres
from tests.web.opened import Script, script


@pytest.fixture
def given(tmp_path: Path) -> Iterator[Script]:
    """A script over SQLite."""
    with script(tmp_path) as given:
        yield given


def test_a_script(given: Script) -> None:
    """A block stores rows with files and reads them; afterwards nothing is registered, and no path is reserved."""
    with given.files.opened() as files:
        given.add(b"one")
        given.add(b"two")
        assert files is given.files
        assert given.contents() == [b"one", b"two"]

    assert (len(given.files.registry), given.reserved, len(given.objects)) == (0, 0, 2)


async def test_an_asynchronous_script(given: Script, tmp_path: Path) -> None:
    """The same block with `async with`, for an AsyncSession."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/rows.db")
    async with given.files.opened() as files, AsyncSession(engine) as session:
        session.add(given.paper(file=FileObject(content=b"one")))
        await session.commit()
        file = (await session.scalars(select(given.paper.file))).one()
        assert (files, await file.get_content_async()) == (given.files, b"one")
        await session.close()
    await engine.dispose()

    assert (len(given.files.registry), given.reserved) == (0, 0)


def test_what_fails_in_the_block(given: Script) -> None:
    """An error goes through, and what was unfinished is settled before."""

    def work() -> None:
        with given.files.opened():
            given.add(b"one")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()

    assert (len(given.files.registry), given.reserved, len(given.objects)) == (0, 0, 1)


def test_blocks_inside_and_after_each_other(given: Script) -> None:
    """One object may be entered again, also inside itself: what it opened lasts until the last block ends."""
    opened = given.files.opened()
    for _ in range(2):
        with opened:
            with opened, given.files.opened():
                given.add(b"one")
            given.add(b"two")
        assert len(given.files.registry) == 0

    with opened:
        assert given.contents() == [b"one", b"two"] * 2


async def test_a_block_inside_of_the_lifespan(given: Script) -> None:
    """A task that runs in the application's own process opens what it would open in another, and closes nothing."""
    async with given.files.lifespan(FastAPI()):
        async with given.files.opened():
            await asyncio.to_thread(given.add, b"one")
        with given.files.backends():  # its older name
            pass
        assert await asyncio.to_thread(given.contents) == [b"one"]

    assert (len(given.files.registry), given.reserved) == (0, 0)


def test_threads(given: Script) -> None:
    """Blocks of many threads begin and end at any moment, and none closes what another one uses."""
    begin, failures = threading.Barrier(4), list[BaseException]()

    def work() -> None:
        try:
            begin.wait()
            for _ in range(25):
                with given.files.opened():
                    file = FileObject(content=b"x", registry=given.files.registry).save()
                    assert file.get_content() == b"x"
                    file.delete()
        except BaseException as error:  # noqa: BLE001 - told by the test
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (failures, len(given.files.registry)) == ([], 0)


def test_a_loop_that_stands_still(tmp_path: Path, postgres_database: Postgres) -> None:
    """Paths that a loop has reserved over connections of its own are given back, though it does not run any more."""
    engine = create_async_engine(postgres_database.url("postgresql+asyncpg"))
    with script(tmp_path, postgres_database.url("postgresql+psycopg")) as given, asyncio.Runner() as runner:

        async def add(session: AsyncSession) -> None:
            for _ in range(2):
                session.add(given.paper(file=FileObject(content=b"one")))
                await session.commit()
            await session.close()

        with given.files.opened():
            runner.run(add(AsyncSession(engine)))
            assert given.reserved

        assert given.reserved == 0
        runner.run(engine.dispose())


async def test_what_was_cancelled(given: Script) -> None:
    """A task that was cancelled undoes what it had begun to store before the block is over."""
    has_begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 100_000
            has_begun.set()
            await asyncio.sleep(0.01)

    async with given.files.opened() as files:
        task = asyncio.create_task(FileObject(content=endless(), registry=files.registry).save_async())
        await has_begun.wait()
        task.cancel()
        await asyncio.sleep(0)

    assert (task.cancelled(), given.objects) == (True, [])


async def test_a_block_in_a_request(given: Script) -> None:
    """A block inside of another one of its loop waits for no task that is cancelled: only the outer one does."""
    end = asyncio.Event()

    async def linger() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await end.wait()

    async with given.files.lifespan(FastAPI()):
        task = asyncio.create_task(linger())
        await asyncio.sleep(0)
        task.cancel()
        async with asyncio.timeout(2), given.files.opened():
            pass
        assert not task.done()
        end.set()

    assert task.cancelled()


def test_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops the block before it begins, by name; once it is mended, the next block begins."""
    files = Filestore(registry=StorageRegistry())
    monkeypatch.setenv("FILESTORE_BACKENDS__DEFAULT__URL", "memry://")
    with pytest.raises(SettingsError, match="FILESTORE_BACKENDS__DEFAULT__URL is 'memry://'"), files.opened():
        pass
    monkeypatch.setenv("FILESTORE_BACKENDS__DEFAULT__URL", "memory://")

    with files.opened():
        assert [backend.key for backend in files.registry] == ["default"]


def test_a_script_without_it() -> None:
    """A file whose backend is not registered names the block that registers it."""
    with pytest.raises(UnknownBackendError, match=re.escape("in a script or a worker, inside `with files.opened():`")):
        FileObject("papers", content=b"x", registry=StorageRegistry()).save()
