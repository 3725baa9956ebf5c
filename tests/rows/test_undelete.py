"""A row may take a deleted file back, as long as its object is kept."""

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from fastapi_filestore import (
    FileObject,
    SharedFileError,
    StaleFileError,
)
from tests.rows.cabinet import Cabinet, path_of
from tests.rows.conftest import pending
from tests.rows.keeping import HOURS, cabinet, copy_of_rows, write_raw

__all__ = ["cabinet"]


async def test_undelete(cabinet: Cabinet) -> None:
    """A row may take a deleted file back, as it was or by its place; when that row goes, it is kept anew."""
    row = await cabinet.add(file=pending(b"1"), pages=[pending(b"2")])
    file, page = row.file, row.pages[0]
    await cabinet.remove(1)
    await cabinet.execute(update(cabinet.family.ledger.table).values(due_at=0))

    again = await cabinet.add(file=file, pages=[FileObject("rows", "b.txt", path=path_of(page))])
    assert await cabinet.intents() == {}
    assert [await each.get_content_async() for each in (again.file, *again.pages)] == [b"1", b"2"]
    await cabinet.let_fall_due()
    assert await cabinet.sweep() == []
    await cabinet.remove(again.id)
    assert set((await cabinet.intents()).values()) == {(HOURS, 0)}
    assert len(await cabinet.keys()) == 2


async def test_an_undelete_that_is_undone(cabinet: Cabinet) -> None:
    """A file that is taken back and lost again, by a rollback, a savepoint or a second change, is kept as before."""
    row = await cabinet.add(file=pending(b"1"))
    file = row.file
    await cabinet.remove(1)
    kept = {path_of(file): (HOURS, 0)}
    async with cabinet.work() as work:
        await work.add(cabinet.model(file=file))
        await work.flush()
        await work.rollback()
    assert await cabinet.intents() == kept

    def in_a_savepoint(session: Session) -> None:
        savepoint = session.begin_nested()
        session.add(cabinet.model(file=file))
        session.flush()
        savepoint.rollback()

    await cabinet.do(in_a_savepoint)
    assert await cabinet.intents() == kept

    def and_lose_it(session: Session) -> None:
        row = cabinet.model(file=file)
        session.add(row)
        session.flush()
        row.file = None

    await cabinet.do(and_lose_it)
    assert await cabinet.intents() == kept
    assert len(await cabinet.keys()) == 1


async def test_what_a_sweeper_claimed_is_gone(cabinet: Cabinet) -> None:
    """A file whose deletion has begun can't be taken back."""
    row = await cabinet.add(file=pending(b"1"))
    await cabinet.remove(1)
    await cabinet.execute(update(cabinet.family.ledger.table).values(attempts=1))

    with pytest.raises(StaleFileError):
        await cabinet.add(file=row.file)
    assert await cabinet.rows() == []


async def test_one_file_taken_back_twice(cabinet: Cabinet) -> None:
    """One row may have it."""
    row = await cabinet.add(file=pending(b"1"))
    await cabinet.remove(1)
    await cabinet.add(file=FileObject("rows", "a.txt", path=path_of(row.file)))

    with pytest.raises(SharedFileError):
        await cabinet.add(file=FileObject("rows", "b.txt", path=path_of(row.file)))
    assert len(await cabinet.rows()) == 1
    assert len(await cabinet.keys()) == 1


async def test_a_file_of_a_row_that_came_back_moves(cabinet: Cabinet) -> None:
    """A file that a row holds although its deletion is intended moves to another row, and is kept with that."""
    row = await cabinet.add(file=pending(b"1"))
    (backup,) = await copy_of_rows(cabinet)
    await cabinet.remove(1)
    await write_raw(cabinet, backup, triggers=False)

    def move(session: Session) -> None:
        old = session.get_one(cabinet.model, 1)
        session.add(cabinet.model(id=2, file=old.file))
        old.file = None

    await cabinet.do(move)
    await cabinet.let_fall_due()
    await cabinet.sweep()
    assert await cabinet.keys() == {path_of(row.file)}
    assert await cabinet.intents() == {}
