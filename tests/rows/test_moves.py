"""Files that move from row to row, more than once in a transaction."""

import pytest
from sqlalchemy.orm import Session

from fastapi_filestore import SharedFileError
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document


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
