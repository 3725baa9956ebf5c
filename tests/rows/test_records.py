"""A file of a record in a row: it is the file of another process, and belongs to one row as every other."""

import json

import pytest

from fastapi_filestore import FileObject, SharedFileError, StaleFileError
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document


async def recorded(rows: Rows, identity: int) -> FileObject:
    """Return the file of a document by way of a queue."""
    async with rows.work() as work:
        document = await work.get(Document, identity)
        assert document.file is not None
        return FileObject.from_record(json.loads(json.dumps(document.file.to_record())))


async def test_it_is_another_row_s(rows: Rows) -> None:
    """A second row is refused the file that a row holds, and takes no byte from the first."""
    first, second = await rows.add(title="first", file=pending(b"1")), await rows.add(title="second", file=pending())
    file = await recorded(rows, first)
    async with rows.work() as work:
        (await work.get(Document, second)).file = file
        with pytest.raises(SharedFileError):
            await work.commit()
        await work.rollback()

    assert [await rows.content(identity) for identity in (first, second)] == [b"1", b"content"]
    await rows.check()


async def test_a_copy_of_it_is_one_s_own(rows: Rows) -> None:
    """A copy goes into another row, and outlives the first."""
    first = await rows.add(title="first", file=pending(b"1"))
    second = await rows.add(title="second", file=await (await recorded(rows, first)).copy_async())
    async with rows.work() as work:
        await work.delete(await work.get(Document, first))
        await work.commit()

    assert await rows.content(second) == b"1"
    await rows.check()


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_it_is_the_row_s_own(rows: Rows, end: str) -> None:
    """In its own row it changes nothing, whatever becomes of the transaction."""
    first = await rows.add(title="first", file=pending(b"1"))
    file = await recorded(rows, first)
    async with rows.work() as work:
        (await work.get(Document, first)).file = file
        await work.flush()
        await getattr(work, end)()

    assert await rows.content(first) == b"1"
    await rows.check()


@pytest.mark.parametrize("end", ["commit", "rollback"])
async def test_it_moves(rows: Rows, end: str) -> None:
    """It goes from its row to another one in a transaction, and is where it was after a rollback."""
    first, second = await rows.add(title="first", file=pending(b"1")), await rows.add(title="second")
    file = await recorded(rows, first)
    async with rows.work() as work:
        (await work.get(Document, first)).file = None
        (await work.get(Document, second)).file = file
        await work.flush()
        await getattr(work, end)()

    contents = [await rows.content(identity) for identity in (first, second)]
    assert contents == ([None, b"1"] if end == "commit" else [b"1", None])
    await rows.check()


async def test_its_row_is_gone(rows: Rows) -> None:
    """A message that is older than its row puts nothing into a row, where bytes would be missing."""
    first = await rows.add(title="first", file=pending(b"1"))
    file = await recorded(rows, first)
    async with rows.work() as work:
        await work.delete(await work.get(Document, first))
        await work.commit()
    async with rows.work() as work:
        await work.add(Document(title="second", file=file))
        with pytest.raises(StaleFileError):
            await work.commit()
        await work.rollback()

    await rows.check()


async def test_no_row_holds_it_yet(rows: Rows) -> None:
    """A worker writes the row of what another process stored by hand; its rollback deletes nothing."""
    saved = await FileObject("rows", "a.txt", content=b"1").save_async()
    file = FileObject.from_record(saved.to_record())
    async with rows.work() as work:
        await work.add(Document(title="undone", file=file))
        await work.flush()
        await work.rollback()
    assert await rows.keys() == {saved.path}

    identity = await rows.add(title="first", file=FileObject.from_record(saved.to_record()))
    assert await rows.content(identity) == b"1"
    await rows.check()
