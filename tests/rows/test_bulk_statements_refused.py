"""Bulk statements of the ORM that would lose files are refused with the remedy."""

from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    insert,
    literal_column,
    null,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from fastapi_filestore import PendingContentError, UnsupportedStatementError
from tests.rows.bulk import run
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document


async def test_insert_from_select_is_refused(rows: Rows) -> None:
    """Copying rows with their files in SQL would share the objects: it is refused with the remedy."""
    query = insert(Document).from_select(["title", "file"], select(Document.title + "2", Document.file))
    async with rows.work() as work:
        with pytest.raises(UnsupportedStatementError, match="copy_async"):
            await run(work, query)


@pytest.mark.parametrize("given", [literal_column("file"), type_coerce(Document.file, JSON)], ids=["text", "JSON"])
async def test_insert_from_select_is_refused_whatever_it_selects(rows: Rows, given: Any) -> None:
    """It is the column it fills that counts, and not what the select says of its type; NULL is no file."""
    await rows.add(title="a", file=pending(b"kept"))
    source = select(Document.title + "2", given).select_from(Document)
    async with rows.work() as work:
        with pytest.raises(UnsupportedStatementError, match="copy_async"):
            await run(work, insert(Document).from_select(["title", "file"], source))
        await run(work, insert(Document).from_select(["title", "file"], select(Document.title + "3", null())))
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_an_insert_that_would_leave_a_file_out_is_refused(rows: Rows) -> None:
    """SQLAlchemy passes over values that the first row has not: a file among them would be in no row."""
    values = [{"title": "a"}, {"title": "b", "file": pending(b"left", "left.txt")}]
    async with rows.work() as work:
        with pytest.raises(UnsupportedStatementError, match=r"leave 'left\.txt' out"):
            await run(work, insert(Document.metadata.tables[Document.__tablename__]), values)
        await work.commit()

    assert await rows.keys() == set()


async def test_an_upsert_is_refused(rows: Rows) -> None:
    """An upsert hides what it replaces: it is refused with the remedy."""
    dialect = postgresql if rows.engine.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Document).values(title="a", file=pending())
    upsert = statement.on_conflict_do_update(index_elements=["title"], set_={"file": statement.excluded.file})
    async with rows.work() as work:
        with pytest.raises(UnsupportedStatementError, match="look the row up"):
            await run(work, upsert)


async def test_an_upsert_that_leaves_files_alone_is_one(rows: Rows) -> None:
    """A statement that neither gives nor sets a file replaces none."""
    identity = await rows.add(title="a", file=pending(b"kept"))
    dialect = postgresql if rows.engine.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Document).values(title="a")
    renaming = statement.on_conflict_do_update(index_elements=["title"], set_={"title": "b"})
    async with rows.work() as work:
        await run(work, statement.on_conflict_do_nothing())
        await run(work, renaming)
        await work.commit()
        assert (await work.get(Document, identity)).title == "b"

    assert await rows.content(identity) == b"kept"


async def test_an_upsert_that_sets_a_file_is_refused_without_one(rows: Rows) -> None:
    """To set a file column to NULL replaces a file, too."""
    await rows.add(title="a", file=pending(b"kept"))
    dialect = postgresql if rows.engine.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Document).values(title="a")
    async with rows.work() as work:
        with pytest.raises(UnsupportedStatementError, match="look the row up"):
            await run(work, statement.on_conflict_do_update(index_elements=["title"], set_={Document.file: None}))


async def test_legacy_bulk_methods_refuse_pending_files(rows: Rows) -> None:
    """Session.bulk_insert_mappings, which tells nobody, refuses a file that nobody stored."""

    def insert_mappings(session: Session) -> None:
        session.bulk_insert_mappings(Document.__mapper__, [{"title": "a", "file": pending()}])

    async with rows.work() as work:
        with pytest.raises(Exception, match="not stored yet") as caught:
            await work.do(insert_mappings)

    assert isinstance(caught.value.__cause__ or caught.value, PendingContentError)
