"""One FileObject that several units of work bring to rows at once, as a constant of a module is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event

from fastapi_filestore import FileObject, FileService, RowConflictError, SharedFileError
from tests.rows.conftest import LEDGER_OR_NOT, Rows, pending
from tests.rows.models import Document

on_each = pytest.mark.parametrize("rows", LEDGER_OR_NOT, indirect=True)

Service = FileService[Document]
Bring = Callable[[Service, FileObject], Awaitable[Any]]


async def _in_block(service: Service, file: FileObject) -> None:
    async with service.storing(file, field="file") as stored:
        await service.create({"title": "loser", "file": stored})


async def _in_a_flush(service: Service, file: FileObject) -> None:
    plain: Any = service.session
    plain.add(Document(title="loser", file=file))
    await service.commit()


BRINGS: dict[str, Bring] = {
    "create": lambda service, file: service.create({"title": "loser", "file": file}),
    "create a row": lambda service, file: service.create(Document(title="loser", file=file)),
    "create a list": lambda service, file: service.create({"title": "loser", "pages": [pending(), file]}),
    "update": lambda service, file: service.update(1, {"file": file}),
    "replace": lambda service, file: service.replace(1, file, field="file"),
    "append": lambda service, file: service.append(1, [file], field="pages"),
    "stored": _in_block,
    "flush": _in_a_flush,
}


async def _within(rows: Rows, work: Bring, file: FileObject) -> Any:
    async with rows.work() as own, FileService(own.session, model=Document).unit_of_work() as service:
        return await work(service, file)


async def _titled(service: Service, file: FileObject) -> str:
    title = uuid4().hex
    await service.create({"title": title, "file": file})
    return title


@on_each
async def test_one_of_them_wins(rows: Rows) -> None:
    """Of three units that create a row of one file at once, one is committed with its bytes, and the others refused."""
    for count in range(1, 5):
        file = pending()
        async with asyncio.timeout(30):
            ends = await asyncio.gather(*(_within(rows, _titled, file) for _ in range(3)), return_exceptions=True)

        assert sorted(type(end).__name__ for end in ends) == ["SharedFileError", "SharedFileError", "str"]
        assert await file.get_content_async() == b"content"
        assert len(await rows.keys()) == count


@on_each
@pytest.mark.parametrize("way", BRINGS)
async def test_who_comes_while_it_is_stored(rows: Rows, way: str) -> None:
    """Whichever way another unit takes a file that is being stored, it is refused, and the first one's row has it."""
    await rows.add(title="old", file=pending(b"old"), pages=[pending(b"page")])
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield b"half "
        has_begun.set()
        await may_end.wait()
        yield b"and half"

    file = FileObject(content=content())
    async with asyncio.timeout(30):
        winner = asyncio.create_task(_within(rows, _titled, file))
        await has_begun.wait()
        with pytest.raises(SharedFileError):
            await _within(rows, BRINGS[way], file)
        may_end.set()
        await winner

    assert await file.get_content_async() == b"half and half"
    assert (await rows.content(1), len(await rows.keys())) == (b"old", 3)


@on_each
@pytest.mark.parametrize("way", BRINGS)
async def test_who_comes_before_the_commit(rows: Rows, way: str) -> None:
    """Whichever way another unit takes a file whose row is written, and not committed, it is refused."""
    await rows.add(title="old", file=pending(b"old"), pages=[pending(b"page")])
    file = pending()
    # SQLite's one writer would keep the other unit waiting for its lock: there a block has stored it, and not written.
    one_writer = rows.engine.dialect.name == "sqlite"
    async with (
        asyncio.timeout(30),
        rows.work() as own,
        FileService(own.session, model=Document).unit_of_work() as service,
        service.storing(file, field="file"),
    ):
        if not one_writer:
            await service.create({"title": "winner", "file": file})
        with pytest.raises(SharedFileError):
            await _within(rows, BRINGS[way], file)
        if one_writer:
            await service.create({"title": "winner", "file": file})

    assert await file.get_content_async() == b"content"
    assert (await rows.content(1), len(await rows.keys())) == (b"old", 3)


@on_each
async def test_after_a_failure_it_is_free(rows: Rows) -> None:
    """A unit that fails gives its file back: the next one stores it anew."""
    await rows.add(title="taken")
    file = pending()
    with pytest.raises(RowConflictError):
        await _within(rows, lambda service, it: service.create({"title": "taken", "file": it}), file)

    assert await rows.keys() == set()
    await _within(rows, BRINGS["create"], file)
    assert await file.get_content_async() == b"content"


@on_each
async def test_after_a_cancellation_it_is_free(rows: Rows) -> None:
    """A unit that is cancelled while it stores gives its file back, and leaves nothing."""
    blocked = asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield b"half"
        blocked.set()
        await asyncio.Event().wait()

    file, other = pending(), FileObject(content=content())
    async with asyncio.timeout(30):
        values = {"title": "t", "file": file, "pages": [other]}
        task = asyncio.create_task(_within(rows, lambda service, _: service.create(values), file))
        await blocked.wait()
        task.cancel()
        await asyncio.wait({task})

    assert (task.cancelled(), await rows.keys()) == (True, set())
    await _within(rows, BRINGS["create"], file)
    assert await file.get_content_async() == b"content"


@on_each
async def test_two_calls_of_one_unit(rows: Rows) -> None:
    """Of two calls of one unit that bring one file at once, the second is refused, and takes nothing along."""
    file = pending()
    async with asyncio.timeout(30), rows.work() as own:  # noqa: SIM117 - the session outlives the unit
        async with FileService(own.session, model=Document).unit_of_work() as service:
            calls = [service.create({"title": title, "file": file}) for title in "ab"]
            first, second = await asyncio.gather(*calls, return_exceptions=True)

    assert (type(first), type(second)) == (Document, SharedFileError)
    assert await file.get_content_async() == b"content"


@on_each
async def test_a_file_that_is_being_saved(rows: Rows) -> None:
    """A file that a task saves by itself, while a service stores it for a row, is in that row."""
    for _ in range(3):
        file = pending()
        async with asyncio.timeout(30):
            await asyncio.gather(file.save_async(), _within(rows, _titled, file))

        assert await file.get_content_async() == b"content"


@on_each
async def test_a_file_that_a_listener_gives(rows: Rows) -> None:
    """A listener that gives a row another unit's file is refused, and the rollback leaves that unit's bytes."""
    file = pending()

    def give(mapper: object, connection: object, row: Document) -> None:
        if row.title == "loser":
            row.file = file

    async with (
        asyncio.timeout(30),
        rows.work() as own,
        rows.work() as other,
        FileService(own.session, model=Document).unit_of_work() as service,
        service.storing(file, field="file"),
    ):
        event.listen(Document, "before_insert", give)
        try:
            await other.add(Document(title="loser"))
            with pytest.raises(SharedFileError):
                await other.flush()
            await other.rollback()
        finally:
            event.remove(Document, "before_insert", give)
        await service.create({"title": "winner", "file": file})

    assert await file.get_content_async() == b"content"


@pytest.mark.parametrize("rows", ["sqlite-sync", "postgres-sync", "postgres-sync-unledgered"], indirect=True)
async def test_loops_in_threads(rows: Rows) -> None:
    """Of four threads whose event loops bring one file at once, one has it."""
    file = pending()
    units = (asyncio.to_thread(asyncio.run, _within(rows, _titled, file)) for _ in range(4))
    async with asyncio.timeout(30):
        ends = await asyncio.gather(*units, return_exceptions=True)

    assert sorted(type(end).__name__ for end in ends) == [*["SharedFileError"] * 3, "str"]
    assert await file.get_content_async() == b"content"
