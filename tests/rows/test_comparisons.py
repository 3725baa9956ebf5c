"""Conditions on file columns: by place, as two FileObjects are compared in Python."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import ColumnElement, Update, select, type_coerce, update
from sqlalchemy.orm import Session, aliased

from fastapi_filestore import FileObject, PendingContentError, UnsupportedStatementError
from tests.rows.conftest import Rows, pending
from tests.rows.models import Base, Document


async def add(rows: Rows, **values: Any) -> int:
    """Commit a document and return its id."""
    return await rows.add(title=uuid4().hex, **values)


async def found(rows: Rows, *conditions: ColumnElement[bool]) -> set[int]:
    """Return the ids of the documents that conditions let through."""
    async with rows.work() as work:
        return set(await work.scalars(select(Document.id).where(*conditions)))


async def file_of(rows: Rows, identity: int) -> FileObject:
    """Return the file of a document."""
    async with rows.work() as work:
        row: Any = await work.get(Document, identity)
        file: FileObject = row.file
        return file


async def test_equal_and_unequal(rows: Rows) -> None:
    """A file is found by its place, whatever else its row says of it; a row without one is neither the same nor not."""
    one, two, none = await add(rows, file=pending(b"1")), await add(rows, file=pending(b"2")), await add(rows)
    file = await file_of(rows, one)
    file.filename, file.metadata = "other.txt", {"other": "metadata"}

    assert await found(rows, Document.file == file) == {one}
    assert await found(rows, file == Document.file) == {one}  # type: ignore[arg-type]  # what Python makes of it
    assert await found(rows, Document.file != file) == {two}
    assert await found(rows, ~(Document.file == file)) == {two}
    assert await found(rows, Document.file.is_distinct_from(file)) == {two, none}
    assert await found(rows, Document.file.is_not_distinct_from(file)) == {one}
    assert await found(rows, Document.file == None) == {none}  # noqa: E711 - SQL's IS NULL
    assert await found(rows, Document.file != None) == {one, two}  # noqa: E711
    assert await found(rows, Document.file.is_(None)) == {none}


async def test_one_of_several(rows: Rows) -> None:
    """`in_` takes files; among none there is nothing."""
    one, two, three = [await add(rows, file=pending(bytes([number]))) for number in range(3)]
    none = await add(rows)
    files = [await file_of(rows, identity) for identity in (one, two)]
    files.append(FileObject("elsewhere", "a.txt", path=str((await file_of(rows, three)).path)))

    assert await found(rows, Document.file.in_(files)) == {one, two}
    assert await found(rows, Document.file.in_(file for file in files[:1])) == {one}
    assert await found(rows, Document.file.not_in(files)) == {three}
    assert await found(rows, Document.file.in_([])) == set()
    assert await found(rows, Document.file.not_in([])) == {one, two, three, none}


async def test_columns_are_compared_by_place(rows: Rows) -> None:
    """Two columns hold the same file if they name the same place."""
    one, other = await add(rows, file=pending(b"1")), aliased(Document)
    await add(rows, file=pending(b"2"))
    async with rows.work() as work:
        pairs = await work.do(
            lambda session: session.execute(select(Document.id, other.id).where(Document.file == other.file)).all()
        )
        unequal = await work.do(
            lambda session: session.execute(select(Document.id, other.id).where(Document.file != other.file)).all()
        )

    assert {(left, right) for left, right in pairs if one in (left, right)} == {(one, one)}
    assert len(unequal) == 2


async def test_members(rows: Rows) -> None:
    """What JSON says of a file is compared as before."""
    one = await add(rows, file=pending(filename="b.txt"), pages=[pending(b"1"), pending(b"2")])
    await add(rows, file=pending())
    async with rows.work() as work:
        row: Any = await work.get(Document, one)
        pages = list(await work.do(lambda session: row.pages))

    assert await found(rows, Document.file["filename"].as_string() == "b.txt") == {one}
    assert await found(rows, Document.file["filename"].as_string().in_(["b.txt"])) == {one}
    assert await found(rows, Document.file["size"].as_integer() < 8) != set()
    assert await found(rows, Document.pages[1] == pages[1]) == {one}
    assert await found(rows, Document.pages[0] == pages[1]) == set()
    assert await found(rows, Document.pages[0].in_(pages)) == {one}


async def test_rows_of_advanced_alchemy(rows: Rows) -> None:
    """A row without a path is at its filename, less slashes around it; one without a backend is in its column's."""
    for value in (
        {"filename": "a.txt", "backend": "rows"},
        {"filename": "b.txt", "path": ""},
        {"filename": "c.txt"},
        {"filename": "/d.txt/", "backend": "rows"},
    ):
        identity = await add(rows)
        path = value["filename"].strip("/")  # as the store has it
        await rows.backend.put(path, b"theirs")
        raw = update(Base.metadata.tables["documents"]).values(file=type_coerce(value, rows.json))
        async with rows.work() as work:
            await work.do(partial(execute_raw, statement=raw.where(Document.id == identity)))
            await work.commit()
        file = FileObject("rows", "x", path=path)

        assert await found(rows, Document.file == file) == {identity}
        assert await found(rows, Document.file.in_([file])) == {identity}


def execute_raw(session: Session, statement: Update) -> None:
    """Execute a statement that the session takes no part in."""
    session.connection().execute(statement)


async def test_conditions_of_bulk_statements(rows: Rows) -> None:
    """An update finds its rows by a file."""
    one, two = await add(rows, file=pending(b"1")), await add(rows, file=pending(b"2"))
    file = await file_of(rows, one)
    async with rows.work() as work:
        await work.execute(update(Document).where(Document.file == file).values(file=None))
        await work.commit()

    assert await found(rows, Document.file.is_not(None)) == {two}


FILE = FileObject("rows", "a.txt", path="a")


@pytest.mark.parametrize(
    "compare",
    [
        lambda column: column == [FILE],
        lambda column: column != [FILE],
        lambda column: column == FILE,
        lambda column: column.in_([FILE]),
        lambda column: str(column == aliased(Document).pages),
        lambda column: str(column != aliased(Document).pages),
    ],
)
def test_lists_are_refused(compare: Callable[[Any], object]) -> None:
    """A column of lists is compared with nothing, and says so by its name."""
    with pytest.raises(UnsupportedStatementError, match=r"documents\.pages holds a list"):
        compare(Document.pages)


@pytest.mark.parametrize(
    "compare",
    [
        lambda column: column < FILE,
        lambda column: column.is_(FILE),
        lambda column: column == [FILE],
        lambda column: column.in_([None, FILE]),
        lambda column: column.in_(select(Document.file)),
        lambda column: column["filename"] == FILE,
    ],
)
def test_what_is_no_comparison_of_places(compare: Callable[[Any], object]) -> None:
    """Orders, lists, subqueries and members are not compared with files."""
    with pytest.raises(UnsupportedStatementError, match=r"documents\.file\b.* holds a file"):
        compare(Document.file)


def test_a_file_that_is_nowhere_yet() -> None:
    """A file has no place before it is stored."""
    with pytest.raises(PendingContentError, match="can't be compared"):
        _ = Document.file == pending()


async def test_statement_beside_rows_in_memory(rows: Rows) -> None:
    """A statement that sets a file column works while the session has rows of its table in memory."""
    identity = await add(rows, file=pending())
    async with rows.work() as work:
        row: Any = await work.get(Document, identity)
        await work.execute(update(Document).values(file=None))

        assert await work.do(lambda session: row.file) is None
        await work.commit()
