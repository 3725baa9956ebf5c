"""Tasks that share a unit of work, as those of `asyncio.gather` do: when it ends, so do they, and nothing remains."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fastapi_filestore import FileObject, FileService, UnitOfWorkEndedError
from tests.rows.conftest import LEDGER_OR_NOT, Rows, pending
from tests.rows.models import Document

pytestmark = pytest.mark.parametrize("rows", LEDGER_OR_NOT, indirect=True)

Task = asyncio.Task[Document]


class _BadPhotoError(Exception):
    """What the content of a test raises."""


def _bad() -> Iterator[bytes]:
    yield b"half"
    raise _BadPhotoError


def _creates(service: FileService[Document], count: int = 10, *, bad: int | None = None) -> list[Task]:
    contents = [_bad() if number == bad else iter([b"content"]) for number in range(count)]
    files = [FileObject(content=content) for content in contents]
    return [
        asyncio.create_task(service.create({"title": f"{number}", "file": file})) for number, file in enumerate(files)
    ]


async def _assert_nothing_remains(rows: Rows) -> None:
    """Assert that there is no connection in use, and no file, and that others may write."""
    engine = rows.engine.sync_engine if isinstance(rows.engine, AsyncEngine) else rows.engine
    pool: Any = engine.pool

    assert (pool.checkedout(), await rows.keys()) == (0, set())
    assert await rows.add(title="another", file=pending())


async def test_tasks_that_all_succeed(rows: Rows) -> None:
    """Ten calls at once of one service write ten rows."""
    async with (
        asyncio.timeout(60),
        rows.work() as own,
        FileService(own.session, model=Document).unit_of_work() as service,
    ):
        await asyncio.gather(*_creates(service))

    assert len(await rows.keys()) == 10


async def test_one_that_fails(rows: Rows) -> None:
    """When one of ten calls fails, the others are undone, or refused where they wait."""
    async with asyncio.timeout(60), rows.work() as own:
        service, tasks = FileService(own.session, model=Document), list[Task]()
        with pytest.raises(_BadPhotoError):  # noqa: PT012 - the block ends by it
            async with service.unit_of_work():
                tasks = _creates(service, bad=5)
                await asyncio.gather(*tasks)
        await asyncio.wait(tasks)

    errors = [error for task in tasks if (error := task.exception()) is not None]
    assert {type(error) for error in errors} <= {_BadPhotoError, UnitOfWorkEndedError}
    await _assert_nothing_remains(rows)


async def test_a_session_that_is_closed(rows: Rows) -> None:
    """Without a block, those that still store bytes when the session is closed begin no transaction in it."""
    may_end = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"half"
        await may_end.wait()

    async with asyncio.timeout(60):
        async with rows.work() as own:
            service = FileService(own.session, model=Document)
            task = asyncio.create_task(service.create({"title": "slow", "file": FileObject(content=slow())}))
            with suppress(_BadPhotoError):
                await service.create({"title": "t", "file": FileObject(content=_bad())})
        may_end.set()
        with pytest.raises(UnitOfWorkEndedError):
            await task

    await _assert_nothing_remains(rows)


async def test_the_next_block(rows: Rows) -> None:
    """A task of a block that has ended does nothing in the next one of its service, not even when it begins late."""
    late = asyncio.Event()

    async def write_late(service: FileService[Document]) -> None:
        await late.wait()
        await service.create({"title": "late", "file": pending()})

    async with asyncio.timeout(60), rows.work() as own:
        service, tasks = FileService(own.session, model=Document), list[asyncio.Task[Any]]()
        with pytest.raises(_BadPhotoError):  # noqa: PT012 - the block ends by it
            async with service.unit_of_work():
                tasks = [*_creates(service, bad=2), asyncio.create_task(write_late(service))]
                await asyncio.gather(*tasks)
        async with service.unit_of_work():
            await service.create({"title": "next", "file": pending()})
            late.set()
            await asyncio.wait(tasks)
        with pytest.raises(UnitOfWorkEndedError):
            await tasks[-1]

    assert len(await rows.keys()) == 1


async def test_a_block_that_ends_well_before_its_tasks(rows: Rows) -> None:
    """A task that is not done when its block commits writes nothing, and its bytes go."""
    may_end = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"half"
        await may_end.wait()

    async with asyncio.timeout(60), rows.work() as own:
        service = FileService(own.session, model=Document)
        async with service.unit_of_work():
            task = asyncio.create_task(service.create({"title": "slow", "file": FileObject(content=slow())}))
            await asyncio.sleep(0)
        may_end.set()
        with pytest.raises(UnitOfWorkEndedError):
            await task

    await _assert_nothing_remains(rows)


async def test_a_task_that_reads_after_its_block(rows: Rows) -> None:
    """A task that outlives its block may read, and holds no connection afterwards."""
    identity, ended = await rows.add(title="t"), asyncio.Event()

    async def read(service: FileService[Document]) -> str:
        await ended.wait()
        return (await service.get(identity)).title

    async with asyncio.timeout(60), rows.work(expire_on_commit=False) as own:
        service = FileService(own.session, model=Document)
        async with service.unit_of_work():
            task = asyncio.create_task(read(service))
            await asyncio.sleep(0)
        ended.set()

        assert await task == "t"
        await _assert_nothing_remains(rows)


async def test_a_task_group(rows: Rows) -> None:
    """A group ends its tasks itself when one fails: nothing of theirs is left."""
    async with asyncio.timeout(60), rows.work() as own:
        with pytest.raises(ExceptionGroup):  # noqa: PT012 - the block ends by it
            async with FileService(own.session, model=Document).unit_of_work() as service, asyncio.TaskGroup() as group:
                for number in range(10):
                    file = FileObject(content=_bad() if number == 5 else iter([b"content"]))
                    group.create_task(service.create({"title": f"{number}", "file": file}))

    await _assert_nothing_remains(rows)


async def test_one_that_is_cancelled(rows: Rows) -> None:
    """One call that is cancelled while it stores leaves its bytes and its row out; the others go on."""

    async def endless() -> AsyncIterator[bytes]:
        yield b"half"
        await asyncio.Event().wait()

    async with asyncio.timeout(60), rows.work(expire_on_commit=False) as own:  # noqa: SIM117 - the session outlives the unit
        async with FileService(own.session, model=Document).unit_of_work() as service:
            slow = asyncio.create_task(service.create({"title": "slow", "file": FileObject(content=endless())}))
            tasks = _creates(service)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            slow.cancel()
            await asyncio.wait([slow, *tasks])

    assert slow.cancelled()
    assert [task.result().title for task in tasks] == [f"{number}" for number in range(10)]
    assert len(await rows.keys()) == 10
