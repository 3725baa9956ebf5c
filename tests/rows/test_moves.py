"""Files that move from row to row, more than once in a transaction."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from fastapi_filestore import SharedFileError
from fastapi_filestore.orm.ledger.ledger import DELETION
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document, Note


async def test_a_file_that_moves_on_after_a_flush(rows: Rows) -> None:
    """A file moves on in a second flush, whatever a trigger thought of its first move."""
    ids = [await rows.add(title=str(number), file=pending(bytes([number]))) for number in range(3)]

    def move(session: Session) -> None:
        first, second, third = (session.get_one(Document, identity) for identity in ids)
        # The row that gains is written before the one that loses, as keys are in order.
        first.file, third.file = third.file, first.file
        session.flush()
        first.file, second.file = None, first.file

    async with rows.work() as work:
        await work.do(move)
        await work.commit()

    assert [await rows.content(identity) for identity in ids] == [None, bytes([2]), bytes([0])]


async def test_a_file_in_a_second_place_after_a_flush(rows: Rows) -> None:
    """A file that moved and is then put in a second place is refused as a shared one, for it is."""
    ids = [await rows.add(title=str(number), file=pending(bytes([number]))) for number in range(3)]

    def share(session: Session) -> None:
        first, second, third = (session.get_one(Document, identity) for identity in ids)
        first.file, third.file = third.file, first.file
        session.flush()
        second.file = first.file

    async with rows.work() as work:
        await work.do(share)
        with pytest.raises(SharedFileError):
            await work.commit()


async def test_a_new_file_that_is_read_again_and_moves(rows: Rows) -> None:
    """A file that was stored in the transaction, and read again from its row, moves to another row."""
    first = await rows.add(title="first", file=pending(b"1"))

    def move(session: Session) -> None:
        session.add(Document(title="second", file=pending(b"2")))
        session.flush()
        session.expire_all()
        one, two = session.scalars(select(Document).order_by(Document.id)).all()
        one.file, two.file = two.file, one.file

    async with rows.work() as work:
        await work.do(move)
        await work.commit()

    assert await rows.content(first) == b"2"


@pytest.mark.parametrize("rows", ["sqlite-sync-triggers", "postgres-async-triggers"], indirect=True)
async def test_a_file_that_moves_into_a_row_which_raw_sql_deletes(rows: Rows) -> None:
    """With triggers, a file that moved goes with its new row, deleted by raw SQL in the same transaction."""
    first, second = await rows.add(title="first", file=pending(b"1")), await rows.add(title="second")

    def move(session: Session) -> None:
        one, two = session.get_one(Document, first), session.get_one(Document, second)
        one.file, two.file = None, one.file
        session.flush()
        session.execute(text("DELETE FROM documents WHERE id = :id"), {"id": second})

    async with rows.work() as work:
        await work.do(move)
        await work.commit()

    assert await rows.keys() == await rows.intents(DELETION)


@pytest.mark.parametrize("rows", ["sqlite-sync-triggers", "postgres-async-triggers"], indirect=True)
@pytest.mark.parametrize("into_note", [True, False])
async def test_a_file_that_raw_sql_moved_moves_on_to_another_class(rows: Rows, into_note: bool) -> None:
    """What a trigger noted when raw SQL took a file out of a row is no reason to refuse its next row."""
    first, second = await rows.add(title="first", file=pending(b"1")), await rows.add(title="second")
    table = "documents" if into_note else "notes"

    def move(session: Session) -> None:
        note = Note(document_id=first)
        session.add(note)
        session.flush()
        target = second if into_note else note.id
        session.execute(
            text(f"UPDATE {table} SET file = (SELECT file FROM documents WHERE id = {first}) WHERE id = {target}")
        )
        session.execute(text(f"UPDATE documents SET file = NULL WHERE id = {first}"))
        session.expire_all()
        two = session.get_one(Document, second)
        note.file, two.file = two.file, note.file

    async with rows.work() as work:
        await work.do(move)
        await work.commit()

    assert len(await rows.keys()) == 1
