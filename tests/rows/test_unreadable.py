"""Rows whose file columns hold something else than files: whatever is done to them, nothing is lost."""

import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import String, Text, cast, delete, literal, select, type_coerce, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, FindingKind, UnreadableFileError, audit
from fastapi_filestore.file_object import FileState
from tests.rows.conftest import Rows, pending
from tests.rows.models import Base, Document

TABLE: Any = Base.metadata.tables["documents"]
RECORD = {"backend": "rows", "path": "ab/held", "filename": "a.txt"}
PLAIN = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(PLAIN, max_size=8) | st.just(RECORD),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["backend", "path", "filename", "size", "metadata", "x"]), inner, max_size=4),
    max_leaves=6,
)  # fmt: skip
"""JSON of any shape."""
NOW = timedelta(seconds=-10)
"""A grace that makes everything old."""


async def write(rows: Rows, identity: int, text: str) -> None:
    """Write a text into both file columns of a document behind everybody's back."""
    kind = JSONB if rows.json is JSONB else Text
    raw = type_coerce(cast(literal(text, String), kind), kind)
    async with rows.work() as work:
        statement = update(TABLE).where(TABLE.c.id == identity).values(file=raw, pages=raw)
        await work.do(lambda session: session.connection().execute(statement))
        await work.commit()


async def text_of(rows: Rows, identity: int) -> list[str]:
    """Return what both file columns of a document hold, as text."""
    query = select(cast(TABLE.c.file, Text), cast(TABLE.c.pages, Text)).where(TABLE.c.id == identity)
    async with rows.work() as work:
        return list(await work.do(lambda session: tuple(session.connection().execute(query).one())))


async def play(rows: Rows, text: str, number: int) -> None:
    """Do everything that is done to rows."""
    identity = await rows.add(title=f"one {number}")
    await write(rows, identity, text)
    before = await text_of(rows, identity)
    async with rows.work() as work:
        row = await work.get(Document, identity)
        row.title = f"two {number}"
        await work.commit()
        await work.refresh(row)
        await work.do(lambda session: (row.file, row.pages))
    assert await text_of(rows, identity) == before

    async with rows.work() as work:
        await work.execute(update(Document).where(Document.id == identity).values(title=f"3 {number}"))
        await work.commit()
    assert await text_of(rows, identity) == before
    kinds = {one.kind async for one in audit(rows.engine, Document, grace=NOW)}
    expected = {FindingKind.UNREADABLE_ROW, FindingKind.MISSING, FindingKind.UNKNOWN_BACKEND}
    assert kinds <= expected | {FindingKind.SHARED}  # both columns were given the value

    if number % 2:
        await _delete_in_session(rows, identity)
    else:
        async with rows.work() as work:
            await work.execute(delete(Document).where(Document.id == identity))
            await work.commit()
    await rows.sweep()


async def _delete_in_session(rows: Rows, identity: int) -> None:
    async with rows.work() as work:
        row = await work.get(Document, identity)
        await work.delete(row)
        await work.commit()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=SHAPES, number=st.integers(0, 10**9))
async def test_json_of_any_shape(rows: Rows, value: object, number: int) -> None:
    """Reading, changing another column, refreshing, bulk statements, audits and sweeps take JSON of any shape."""
    await play(rows, json.dumps(value), number)


@pytest.mark.parametrize("rows", ["sqlite-async", "sqlite-sync-triggers"], indirect=True)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(PLAIN, max_size=12), number=st.integers(0, 10**9))
async def test_text_that_is_no_json(rows: Rows, text: str, number: int) -> None:
    """On SQLite they take any text at all."""
    await play(rows, text, number)


async def damaged(rows: Rows, value: object = "ab/held") -> int:
    """Commit a document whose file columns hold something else, beside the object that it may mean."""
    await rows.backend.put("ab/held", b"held")
    identity = await rows.add(title="damaged")
    await write(rows, identity, json.dumps(value))
    return identity


def _files_of(session: Session, row: Document) -> tuple[FileObject, list[FileObject]]:
    assert row.file is not None
    assert row.pages is not None
    return row.file, row.pages


async def cleared(rows: Rows) -> bool:
    """Delete the object that may have been meant, and say whether it was there."""
    was = "ab/held" in await rows.keys()
    await rows.backend.delete("ab/held")
    return was


async def test_what_the_attribute_says(rows: Rows) -> None:
    """An attribute that can't be read is a file that says so, with the row's place, and keeps the value."""
    identity = await damaged(rows)
    async with rows.work() as work:
        row = await work.get(Document, identity)
        file, pages = await work.do(partial(_files_of, row=row))
        assert file.state is pages[0].state is FileState.UNREADABLE
        assert file.unreadable is not None
        assert (file.unreadable.value, file.unreadable.place) == ("ab/held", ("documents", "file", (identity,)))
        with pytest.raises(UnreadableFileError, match=r"documents.file of the row with the key \d+ can't be read"):
            await file.get_content_async()
        await work.delete(row)
        await work.commit()

    assert await cleared(rows)


async def test_replacing_what_cannot_be_read(rows: Rows) -> None:
    """A new file takes the place of what can't be read, and nothing that it may mean is deleted."""
    identity = await damaged(rows)
    async with rows.work() as work:
        row = await work.get(Document, identity)
        row.file, row.pages = pending(b"new"), [pending(b"1")]
        await work.commit()

    assert await rows.content(identity) == b"new"
    assert await cleared(rows)


async def test_writing_what_cannot_be_read(rows: Rows) -> None:
    """It is refused in another row, and in a list with a new file, and nothing is stored."""
    identity = await damaged(rows)
    async with rows.work() as work:
        row = await work.get(Document, identity)
        unreadable = await work.do(lambda session: row.file)
        await work.add(Document(title="another", file=unreadable))
        with pytest.raises(UnreadableFileError):
            await work.commit()
        await work.rollback()
        await work.do(partial(_append, row=row))
        with pytest.raises(UnreadableFileError):
            await work.commit()
        await work.rollback()

    assert await text_of(rows, identity) == ['"ab/held"', '"ab/held"']
    assert await cleared(rows)


def _append(session: Session, row: Document) -> None:
    row.pages.append(pending())  # type: ignore[union-attr]


async def test_a_copy_of_a_row(rows: Rows) -> None:
    """Merging a detached row that can't be read changes nothing of it."""
    identity = await damaged(rows)
    async with rows.work() as work:
        row = await work.get(Document, identity)
        await work.do(lambda session: (row.file, row.pages))
    row.title = "merged"
    async with rows.work() as work:
        await work.merge(row)
        await work.commit()

    assert await text_of(rows, identity) == ['"ab/held"', '"ab/held"']
    assert await cleared(rows)


async def test_the_other_kind_of_column(rows: Rows) -> None:
    """A single column reads a list of one, a list column a lone file; what they hold goes with the row."""
    for content in (b"1", b"2"):
        await rows.backend.put(f"ab/{content.decode()}", content)
    identity = await rows.add(title="other")
    for column, value in (("file", [RECORD | {"path": "ab/1"}]), ("pages", RECORD | {"path": "ab/2"})):
        raw = update(TABLE).where(TABLE.c.id == identity).values({column: type_coerce(value, rows.json)})
        async with rows.work() as work:
            await work.do(partial(_execute, statement=raw))
            await work.commit()
    async with rows.work() as work:
        row = await work.get(Document, identity)
        file, pages = await work.do(partial(_files_of, row=row))
        assert [await one.get_content_async() for one in (file, *pages)] == [b"1", b"2"]
        await work.delete(row)
        await work.commit()

    assert await rows.keys() == set()


def _execute(session: Session, statement: Any) -> None:
    session.connection().execute(statement)
