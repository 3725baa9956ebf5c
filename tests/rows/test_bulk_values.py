"""Files in the expressions that a bulk statement sets columns to."""

from typing import Any

import pytest
from sqlalchemy import case, insert, literal, update
from sqlalchemy.orm import Session

from fastapi_filestore import UnsupportedStatementError
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document


async def test_a_file_of_unknown_type_is_refused(rows: Rows) -> None:
    """A driver would say that it does not know a FileObject; the error names the file and what to write."""
    identity = await rows.add(title="a", file=pending(b"old"))
    chosen = case((Document.id == identity, pending(b"new", "new.txt")), else_=Document.file)

    async with rows.work() as work:
        for statement in (update(Document).values(file=chosen), insert(Document).values(title="b", file=chosen)):
            with pytest.raises(UnsupportedStatementError, match=r"^(update|insert)\(Document\) has 'new.txt'.*literal"):
                await work.do(lambda s, one=statement: s.execute(one))  # type: ignore[misc]
        await work.commit()

    assert await rows.content(identity) == b"old"
    assert len(await rows.keys()) == 1


async def test_a_file_whose_type_is_told_is_stored(rows: Rows) -> None:
    """What the error says is to be written works."""
    first, second = [await rows.add(title=name, file=pending(name.encode())) for name in "ab"]

    def change(session: Session) -> None:
        new: Any = literal(pending(b"new"), Document.file.type)
        session.execute(update(Document).values(file=case((Document.id == first, new), else_=Document.file)))

    async with rows.work() as work:
        await work.do(change)
        await work.commit()

    assert [await rows.content(each) for each in (first, second)] == [b"new", b"b"]
    assert len(await rows.keys()) == 2


async def test_an_error_names_the_statement_as_it_is_written(rows: Rows) -> None:
    """SQLAlchemy has names of its own for statements on a class."""
    async with rows.work() as work:
        with pytest.raises(UnsupportedStatementError, match=r"^insert\(Document\) has a file under 'fiel'"):
            await work.execute(insert(Document), [{"title": "b", "fiel": pending()}])
