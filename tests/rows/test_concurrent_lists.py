"""Lists that several transactions change at once: whoever was told that it is written has it in the list."""

import asyncio
import pickle
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, defer

from fastapi_filestore import FileObject, StaleRowError
from tests.rows.conftest import Rows, Work, pending
from tests.rows.models import Document

Change = Callable[[Any, FileObject], object]


def _append_and_assign(row: Any, file: FileObject) -> None:
    row.pages.append(file)
    row.pages = [*row.pages]


CHANGES: dict[str, Change] = {
    "append": lambda row, file: row.pages.append(file),
    "insert": lambda row, file: row.pages.insert(0, file),
    "extend": lambda row, file: row.pages.extend([file]),
    "+=": lambda row, file: setattr(row, "pages", row.pages.__iadd__([file])),
    "slice": lambda row, file: row.pages.__setitem__(slice(0, 0), [file]),
    "assign": lambda row, file: setattr(row, "pages", [*row.pages, file]),
    "append, assign": _append_and_assign,
    "copy": lambda row, file: setattr(row, "pages", [*copy(row.pages), file]),
}


async def _names(rows: Rows, identity: int) -> set[str]:
    async with rows.work() as work:
        pages = (await work.get(Document, identity)).pages
    return {page.filename for page in pages or []}


@pytest.mark.parametrize("name", CHANGES)
async def test_what_is_acknowledged_is_there(rows: Rows, name: str) -> None:
    """Of eight that add a file to one list at once, those that are not refused are all in it, and no other bytes."""
    identity = await rows.add(title="t", pages=[])

    async def add(number: int) -> str:
        async with rows.work() as work:
            row = await work.get(Document, identity)
            CHANGES[name](row, pending(filename=f"{number}.txt"))
            await work.commit()
        return f"{number}.txt"

    async def insist(number: int) -> str:
        while True:
            with suppress(OperationalError):  # SQLite's, to all of eight at worst: each asks again
                return await add(number)
            await asyncio.sleep(0.01 * number)

    results = await asyncio.gather(*map(insist, range(8)), return_exceptions=True)
    acknowledged = {result for result in results if isinstance(result, str)}

    assert {type(result) for result in results} <= {str, StaleRowError}
    assert acknowledged
    assert await _names(rows, identity) == acknowledged
    assert len(await rows.keys()) == len(acknowledged)


async def _interrupted(rows: Rows, change: Callable[[Session, int], Callable[[Session], object]]) -> list[str]:
    """Read a list, let another transaction append to it, then write; return the names that are left."""
    identity = await rows.add(title="t", pages=[pending(filename="a")])
    async with rows.work(expire_on_commit=False) as slow:
        write = await slow.do(lambda s: change(s, identity))
        await slow.commit()
        async with rows.work() as quick:
            row = await quick.get(Document, identity)
            assert row.pages is not None
            row.pages.append(pending(filename="b"))
            await quick.commit()
        before = await rows.keys()
        try:
            await slow.do(write)
            await slow.commit()
        except StaleRowError:
            await slow.rollback()
            assert await rows.keys() == before
            raise
    return sorted(await _names(rows, identity))


def _merged(load: bool, cache: Callable[[Document], Document]) -> Callable[[Session, int], Callable[[Session], object]]:
    def change(session: Session, identity: int) -> Callable[[Session], object]:
        row = cache(session.get_one(Document, identity))
        session.expunge_all()

        def write(session: Session) -> object:
            merged: Any = session.merge(row, load=load)
            merged.pages = [*merged.pages, pending(filename="c")]
            return merged

        return write

    return change


def _pickled(row: Document) -> Document:
    back: Document = pickle.loads(pickle.dumps(row))
    return back


def _appended_again(session: Session, identity: int) -> Callable[[Session], object]:
    row: Any = session.get_one(Document, identity)
    row.pages.append(pending(filename="own"))
    session.commit()
    return lambda session: row.pages.append(pending(filename="c"))


def _added_from_a_pickle(session: Session, identity: int) -> Callable[[Session], object]:
    row: Any = _pickled(session.get_one(Document, identity))
    session.expunge_all()

    def write(session: Session) -> None:
        session.add(row)
        row.pages = [*row.pages, pending(filename="c")]

    return write


def _put_back(session: Session, identity: int) -> Callable[[Session], object]:
    row: Any = session.get_one(Document, identity)
    pages = row.pages

    def write(session: Session) -> None:
        session.refresh(row)
        row.pages = pages

    return write


def _expired(session: Session, identity: int) -> Callable[[Session], object]:
    row: Any = session.get_one(Document, identity)
    pages = list(row.pages)

    def write(session: Session) -> None:
        session.expire(row)
        row.pages = [*pages, pending(filename="c")]

    return write


STALE = {
    "merge": _merged(True, lambda row: row),
    "merge without loading": _merged(False, lambda row: row),
    "merge of a pickle": _merged(True, _pickled),
    "pickle": _added_from_a_pickle,
    "appended again": _appended_again,
    "put back": _put_back,
    "expired": _expired,
}


@pytest.mark.parametrize("name", STALE)
async def test_a_list_that_was_read_before_is_not_written(rows: Rows, name: str) -> None:
    """Whichever way the list that was read comes to be written, what was added to it since is not taken out."""
    with pytest.raises(StaleRowError):
        await _interrupted(rows, STALE[name])


def _assigned_unread(session: Session, identity: int) -> Callable[[Session], object]:
    def write(session: Session) -> object:
        row = session.get_one(Document, identity, options=[defer(Document.pages)])
        row.pages = [pending(filename="c")]
        return row

    return write


def _in_bulk(session: Session, identity: int) -> Callable[[Session], object]:
    row = session.get_one(Document, identity)
    assert row.pages is not None
    statement = update(Document).where(Document.id == identity).values(pages=[pending(filename="c")])
    return lambda session: session.execute(statement)


@pytest.mark.parametrize("change", [_assigned_unread, _in_bulk])
async def test_a_list_that_was_never_read_is_replaced_as_a_whole(rows: Rows, change: Any) -> None:
    """Whoever says what the list is, whatever it was, replaces it."""
    assert await _interrupted(rows, change) == ["c"]
    assert len(await rows.keys()) == 1


async def test_one_file_is_the_last_writers(rows: Rows) -> None:
    """A column of one file is replaced by whoever comes last, from however old a copy."""
    identity = await rows.add(title="t", file=pending(b"0"))
    async with rows.work(expire_on_commit=False) as slow:
        row = await slow.get(Document, identity)
        await slow.commit()
        async with rows.work() as quick:
            (await quick.get(Document, identity)).file = pending(b"1")
            await quick.commit()
        row.file = pending(b"2")
        await slow.commit()

    assert await rows.content(identity) == b"2"


async def _append(work: Work, row: Document, name: str) -> None:
    def append(session: Session) -> None:
        pages: Any = row.pages
        pages.append(pending(filename=name))

    await work.do(append)


async def test_a_session_knows_what_it_wrote_itself(rows: Rows) -> None:
    """A list that was written, partly rolled back, written again and committed, again and again, is never stale."""
    async with rows.work(expire_on_commit=False) as work:
        row = Document(title="t", pages=[pending(filename="a")])
        await work.add(row)
        await work.commit()
        await _append(work, row, "b")
        await work.flush()
        await work.commit()
        await work.do(lambda s: _in_vain(s, row))
        await _append(work, row, "d")
        await work.commit()
        await _append(work, row, "e")
        await work.flush()
        await work.rollback()
        await _append(work, row, "f")
        await work.commit()
        identity = await work.do(lambda s: row.id)

    assert await _names(rows, identity) == {"a", "b", "d", "f"}


def _in_vain(session: Session, row: Document) -> None:
    pages: Any = row.pages
    savepoint = session.begin_nested()
    pages.append(pending(filename="c"))
    session.flush()
    savepoint.rollback()


async def test_a_list_put_back_after_a_rollback_is_written(rows: Rows) -> None:
    """Whoever repeats his change with the list of the transaction that failed is not refused for what it wrote."""
    identity = await rows.add(title="t", pages=[pending(filename="a")])
    async with rows.work() as work:
        row = await work.get(Document, identity)
        pages = row.pages
        await _append(work, row, "b")
        await work.flush()
        await work.rollback()
        await work.do(lambda s: setattr(row, "pages", pages))
        await work.commit()

    assert await _names(rows, identity) == {"a", "b"}
