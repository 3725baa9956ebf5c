"""A bulk statement that fails leaves the transaction as it was, for whoever catches the error and commits."""

from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from fastapi_filestore import UnsupportedStatementError
from tests.rows.conftest import EVERY_KIND, Rows, pending
from tests.rows.models import Document

NOT_COUNTING = [kind for kind in EVERY_KIND if kind.startswith("postgres-async")]
"""Those whose driver does not say of how many rows each update was."""
COUNTING = [kind for kind in EVERY_KIND if kind not in NOT_COUNTING]


async def _fails(rows: Rows, statement: Any, parameters: Any, error: type[Exception]) -> None:
    """Run a statement that fails beside one that does not, and commit."""

    def catch(session: Session) -> None:
        session.add(Document(title="beside", file=pending(b"beside")))
        session.flush()
        with pytest.raises(error):
            session.execute(statement, parameters)

    async with rows.work() as work:
        await work.do(catch)
        await work.commit()


@pytest.mark.parametrize("rows", COUNTING, indirect=True)
async def test_an_update_of_rows_that_are_not_all_there_changes_none(rows: Rows) -> None:
    """SQLAlchemy misses one of the rows when the others are written already, where its driver counts them."""
    identity = await rows.add(title="a", file=pending(b"a"))
    values = [{"id": identity, "file": pending(b"new")}, {"id": 99, "file": pending(b"new")}]

    await _fails(rows, update(Document), values, StaleDataError)

    assert await rows.content(identity) == b"a"
    assert len(await rows.keys()) == 2


@pytest.mark.parametrize("rows", NOT_COUNTING, indirect=True)
async def test_an_update_of_rows_that_are_not_all_there_keeps_no_bytes_for_them(rows: Rows) -> None:
    """Where the driver counts nothing, the rows that are there are written, and bytes of those that are not go."""
    identity = await rows.add(title="a", file=pending(b"a"))
    values = [{"id": identity, "file": pending(b"new")}, {"id": 99, "file": pending(b"lost")}]

    async with rows.work() as work:
        await work.execute(update(Document), values)
        await work.commit()

    assert await rows.content(identity) == b"new"
    assert len(await rows.keys()) == 1


async def test_an_update_that_breaks_a_constraint_changes_nothing(rows: Rows) -> None:
    """The second row's title is taken, when the first one is written already."""
    first, second = [await rows.add(title=name, file=pending(name.encode())) for name in "ab"]
    values = [{"id": first, "file": pending(b"new"), "title": "c"}, {"id": second, "title": "c"}]

    await _fails(rows, update(Document), values, IntegrityError)

    assert [await rows.content(each) for each in (first, second)] == [b"a", b"b"]


async def test_an_insert_that_breaks_a_constraint_stores_nothing(rows: Rows) -> None:
    """The bytes of rows that never were go with the commit."""
    await rows.add(title="a", file=pending(b"a"))
    values = [{"title": "b", "file": pending(b"b")}, {"title": "a", "file": pending(b"again")}]

    await _fails(rows, insert(Document), values, IntegrityError)

    assert len(await rows.keys()) == 2


async def test_what_was_pending_before_a_statement_that_fails_is_written(rows: Rows) -> None:
    """Rows that are flushed for the statement are none of its own."""
    await rows.add(title="a", file=pending(b"a"))

    def catch(session: Session) -> None:
        session.add(Document(title="pending", file=pending(b"pending")))
        with pytest.raises(IntegrityError):
            session.execute(insert(Document), [{"title": "a", "file": pending(b"again")}])

    async with rows.work() as work:
        await work.do(catch)
        await work.commit()
        titles = await work.scalars(select(Document.title).order_by(Document.title))

    assert titles == ["a", "pending"]
    assert len(await rows.keys()) == 2


async def test_a_refused_change_of_keys_changes_nothing(rows: Rows) -> None:
    """A refusal that comes after the statement takes the statement back."""
    identity = await rows.add(title="a", file=pending(b"a"))

    await _fails(rows, update(Document).values(id=Document.id + 100, file=None), None, UnsupportedStatementError)

    assert await rows.content(identity) == b"a"


async def test_a_prefix_that_replaces_rows_is_refused(rows: Rows) -> None:
    """INSERT OR REPLACE is an upsert by another name, whatever the database makes of it."""
    identity = await rows.add(title="a", file=pending(b"a"))
    statement = insert(Document).prefix_with("OR REPLACE")

    await _fails(rows, statement, [{"title": "a", "file": pending(b"new")}], UnsupportedStatementError)
    async with rows.work() as work:
        with pytest.raises(UnsupportedStatementError):
            await work.execute(statement, [{"title": "a"}])

    assert await rows.content(identity) == b"a"


async def test_statements_on_the_table_are_statements_on_the_class(rows: Rows) -> None:
    """A session tracks what is written through a mapped table, with or without criteria, values or parameters."""
    first, second, _ = [await rows.add(title=name, file=pending(name.encode())) for name in "abc"]
    table: Any = Document.__table__
    async with rows.work() as work:
        await work.execute(delete(table).where(table.c.id == first))
        await work.execute(update(table).where(table.c.id == second).values(file=pending(b"new")))
        await work.execute(insert(table), [{"title": "d", "file": pending(b"d")}])
        await work.commit()
    assert await rows.content(second) == b"new"
    assert len(await rows.keys()) == 3

    async with rows.work() as work:
        await work.execute(update(table).values(file=None))
        await work.commit()
    assert await rows.keys() == set()


async def test_an_upsert_of_the_table_is_refused(rows: Rows) -> None:
    """What is refused for the class is refused for its table."""
    dialect = postgresql if rows.engine.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Document.__table__).values(title="a", file=pending())
    upsert = statement.on_conflict_do_update(index_elements=["title"], set_={"file": None})
    async with rows.work() as work:
        with pytest.raises(UnsupportedStatementError):
            await work.execute(upsert)
