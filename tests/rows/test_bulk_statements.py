"""Bulk statements of the ORM keep rows and bytes in step, or are refused with the remedy."""

import re
from typing import Any

import pytest
from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    delete,
    event,
    func,
    insert,
    lambda_stmt,
    select,
    update,
)
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, SharedFileError, UnsupportedStatementError
from tests.rows.bulk import run
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document


async def _three(rows: Rows) -> list[int]:
    return [await rows.add(title=name, file=pending(name.encode(), name)) for name in "abc"]


async def test_insert_with_rows_stores_their_files(rows: Rows) -> None:
    """A bulk insert with a list of dicts stores pending files before the rows."""
    values = [{"title": name, "file": pending(name.encode(), name)} for name in "abc"]
    async with rows.work() as work:
        await run(work, insert(Document), values)
        await work.commit()

    assert len(await rows.keys()) == 3


@pytest.mark.parametrize("several", [False, True])
async def test_insert_with_values_stores_their_files(rows: Rows, several: bool) -> None:
    """A bulk insert with values() stores pending files before the rows."""
    one = {"title": "a", "file": pending()}
    values = [one, {"title": "b", "file": pending()}] if several else one
    async with rows.work() as work:
        await run(work, insert(Document).values(values))
        await work.commit()

    assert len(await rows.keys()) == 1 + several


async def test_a_rolled_back_insert_leaves_nothing(rows: Rows) -> None:
    """The files of a bulk insert go with its rollback."""
    async with rows.work() as work:
        await run(work, insert(Document), [{"title": "a", "file": pending()}])
        await work.rollback()

    assert await rows.keys() == set()


async def test_insert_can_return_rows(rows: Rows) -> None:
    """RETURNING works beside the bookkeeping."""
    async with rows.work() as work:
        ids = await work.do(
            lambda s: s.scalars(insert(Document).returning(Document.id), [{"title": "a", "file": pending()}]).all()
        )
        await work.commit()

    assert await rows.content(ids[0]) == b"content"


async def test_update_replaces_the_files_of_the_rows_it_matches(rows: Rows) -> None:
    """An update by criteria deletes what it replaces and nothing else."""
    first, second, _ = await _three(rows)
    async with rows.work() as work:
        await run(work, update(Document).where(Document.id == first).values(file=pending(b"new")))
        await work.commit()

    assert [await rows.content(first), await rows.content(second)] == [b"new", b"b"]
    assert len(await rows.keys()) == 3


async def test_update_to_none_deletes_the_files(rows: Rows) -> None:
    """Setting the column to None takes the objects of all rows that match."""
    await _three(rows)
    async with rows.work() as work:
        await run(work, update(Document).where(Document.title < "c").values(file=None))
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_update_by_primary_key_replaces_each_row(rows: Rows) -> None:
    """A bulk update by primary key replaces row by row."""
    identities = await _three(rows)
    values = [{"id": one, "file": pending(str(one).encode())} for one in identities]
    async with rows.work() as work:
        await run(work, update(Document), values)
        await work.commit()

    assert [await rows.content(one) for one in identities] == [str(one).encode() for one in identities]
    assert len(await rows.keys()) == 3


async def test_update_of_other_columns_touches_no_file(rows: Rows) -> None:
    """An update that leaves the file column alone leaves the objects alone."""
    first, *_ = await _three(rows)
    async with rows.work() as work:
        await run(work, update(Document).where(Document.id == bindparam("i")).values(title="z"), {"i": first})
        await work.commit()

    assert await rows.content(first) == b"a"


async def test_update_of_several_rows_to_one_file_is_refused(rows: Rows) -> None:
    """One file for several rows is refused at the commit and leaves everything as it was."""
    first, *_ = await _three(rows)
    async with rows.work() as work:
        await run(work, update(Document).values(file=pending(b"new")))
        with pytest.raises(SharedFileError):
            await work.commit()
        await work.rollback()

    assert await rows.content(first) == b"a"


async def test_a_rolled_back_update_changes_nothing(rows: Rows) -> None:
    """The replaced object stays and the new one goes with a rollback."""
    first, *_ = await _three(rows)
    async with rows.work() as work:
        await run(work, update(Document).where(Document.id == first).values(file=pending(b"new")))
        await work.rollback()

    assert await rows.content(first) == b"a"
    assert len(await rows.keys()) == 3


async def test_delete_takes_the_objects_of_the_rows_it_matches(rows: Rows) -> None:
    """A delete by criteria deletes the objects after the commit."""
    await _three(rows)
    async with rows.work() as work:
        await run(work, delete(Document).where(Document.title != "b"))

        assert len(await rows.keys()) == 3
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_delete_can_return_rows(rows: Rows) -> None:
    """A delete with RETURNING yields its rows and deletes their objects."""
    await _three(rows)
    async with rows.work() as work:
        titles = await work.scalars(delete(Document).returning(Document.title))
        await work.commit()

    assert set(titles) == {"a", "b", "c"}
    assert await rows.keys() == set()


async def test_bulk_statements_count_their_sql(rows: Rows) -> None:
    """A delete of a hundred rows costs a handful of statements, whatever their number."""
    async with rows.work() as work:
        await run(work, insert(Document), [{"title": str(n), "file": FileObject(content=b"x")} for n in range(100)])
        await work.commit()
        with rows.statements() as statements:
            await run(work, delete(Document))
            await work.commit()

    assert await rows.keys() == set()
    # With triggers SQLite's tables are asked who else holds the files, after a look at which tables there are.
    most = 14 if not rows.has_triggers else 26 if rows.engine.dialect.name == "sqlite" else 16
    assert len(statements) <= most, statements


async def test_a_condition_that_finds_other_rows_each_time(rows: Rows) -> None:
    """The rows that a statement changes are those that were found, also where chance chooses them."""
    for number in range(20):
        await rows.add(title=str(number), file=pending(b"old"))
    one = select(Document.id).order_by(func.random()).limit(1)

    async with rows.work() as work:
        for _ in range(5):
            await work.execute(update(Document).where(Document.id.in_(one)).values(file=pending(b"new")))
            await work.execute(delete(Document).where(Document.id.in_(one)))
        await work.commit()
        left = await work.do(lambda s: len(s.scalars(select(Document)).all()))

    assert left == len(await rows.keys()) == 15


@pytest.mark.parametrize("rows", ["postgres-sync"], indirect=True)
@pytest.mark.parametrize("change", ["delete", "clear", "set"])
async def test_a_row_that_comes_between_is_left_alone(rows: Rows, change: str) -> None:
    """What somebody else commits after the rows were found is none of the statement's."""
    engine, late = rows.engine, list[int]()
    assert isinstance(engine, Engine)
    await rows.add(title="draft 1", file=pending(b"early"))

    @event.listens_for(engine, "before_cursor_execute")
    def come_between(connection: Connection, cursor: Any, statement: str, *rest: Any) -> None:
        if not late and re.match(r"(UPDATE documents SET file|DELETE FROM documents)(?!.*false)", statement):
            late.append(0)
            with Session(engine) as other:
                other.add(row := Document(title="draft 2", file=pending(b"late")))
                other.commit()
                late[0] = row.id

    drafts = Document.title.like("draft%")
    given = None if change == "clear" else pending(b"new")
    statement = (
        delete(Document).where(drafts) if change == "delete" else update(Document).where(drafts).values(file=given)
    )
    async with rows.work() as work:
        await work.execute(statement)
        await work.commit()

    assert await rows.content(late[0]) == b"late"
    assert len(await rows.keys()) == (2 if change == "set" else 1)


async def test_a_statement_whose_rows_are_read_as_rows_of_the_class(rows: Rows) -> None:
    """`select(…).from_statement(…)` and a lambda are the statement that is in them."""
    identity = await rows.add(title="a", file=pending(b"old"))
    new = select(Document).from_statement(insert(Document).values(title="b", file=pending(b"b")).returning(Document))
    changed = select(Document).from_statement(
        update(Document).where(Document.id == identity).values(file=pending(b"new")).returning(Document)
    )

    async with rows.work() as work:
        assert [row.title for row in (await work.scalars(new))] == ["b"]
        assert [row.id for row in (await work.scalars(changed))] == [identity]
        await work.execute(lambda_stmt(lambda: insert(Document).values(title="c")))
        await work.commit()
    assert await rows.content(identity) == b"new"
    assert len(await rows.keys()) == 2

    async with rows.work() as work:
        gone = select(Document).from_statement(delete(Document).returning(Document))
        assert len(await work.scalars(gone)) == 3
        await work.commit()
    assert await rows.keys() == set()


async def test_a_file_under_a_name_that_is_no_attribute_is_refused(rows: Rows) -> None:
    """SQLAlchemy passes over what rows name beside its attributes: a misspelt one would be a row without its file."""
    identity = await rows.add(title="a", file=pending(b"old"))

    async with rows.work() as work:
        for statement, row in (
            (insert(Document), {"title": "b", "fiel": pending()}),
            (insert(Document), {"title": "b", "page": [pending()]}),
            (update(Document), {"id": identity, "fiel": pending()}),
        ):
            with pytest.raises(UnsupportedStatementError, match=r"'(fiel|page)', which .* are file, pages"):
                await run(work, statement, [row])
        await work.commit()

    assert await rows.content(identity) == b"old"
    assert len(await rows.keys()) == 1


async def test_parameters_in_rows(rows: Rows) -> None:
    """A statement on the table that is run once for each of several rows of parameters."""
    first, second = [await rows.add(title=name, file=pending(name.encode())) for name in "ab"]
    table: Any = Document.__table__
    by_key = table.c.id == bindparam("key")

    async with rows.work() as work:
        values = [{"key": first, "new": "c"}, {"key": second, "new": "d"}]
        await run(work, update(table).where(by_key).values(title=bindparam("new")), values)
        await work.commit()
        assert await work.scalars(select(Document.title).order_by(Document.id)) == ["c", "d"]
        await run(work, delete(table).where(by_key), [{"key": first}, {"key": second}])
        await work.commit()

    assert await rows.keys() == set()
