"""What others who listen do after the check before a COMMIT is checked, too."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, type_coerce, update
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, SharedFileError
from tests.rows.conftest import Rows, pending
from tests.rows.listening import listening
from tests.rows.models import Document

SHARED = "scans/contract.pdf"


def fill_all(session: Session, files: list[FileObject]) -> None:
    """Give all rows one picture."""
    session.execute(update(Document).values(file=pending(b"default")))


def take_from_another(session: Session, files: list[FileObject]) -> None:
    """Give a row the path of another's file."""
    copy = FileObject("rows", "copy.txt", path=files[0].path)
    session.execute(update(Document).where(Document.title == "b").values(file=copy))


def insert_second(session: Session, files: list[FileObject]) -> None:
    """Make a new row with the path of another's file."""
    copy = FileObject("rows", "copy.txt", path=files[0].path)
    session.execute(insert(Document).values(title="c", file=copy))


@pytest.mark.parametrize("share", [fill_all, take_from_another, insert_second])
@pytest.mark.parametrize("moment", ["before_commit", "after_flush"])
async def test_a_bulk_statement_that_shares_a_file_at_the_commit_is_refused(
    rows: Rows, share: Callable[[Session, list[FileObject]], None], moment: str
) -> None:
    """A listener's bulk statement is held to one row a file as well as its changes through the session are."""
    first, second = [await rows.add(title=name, file=pending(name.encode())) for name in "ab"]

    async with rows.work() as work:
        files = [(await work.do(lambda s, one=one: s.get_one(Document, one))).file for one in (first, second)]  # type: ignore[misc]
        done: list[str] = []

        def listen(session: Session, *_: object) -> None:
            if not done:
                done.append(moment)
                share(session, files)

        session = work.plain_session
        with listening(session, moment, listen):
            (await work.get(Document, first)).title = "changed"
            with pytest.raises(SharedFileError):
                await work.commit()
        await work.rollback()

    assert [await rows.content(each) for each in (first, second)] == [b"a", b"b"]
    assert len(await rows.keys()) == 2


async def test_a_bulk_statement_that_is_refused_at_the_commit_changes_nothing(rows: Rows) -> None:
    """A listener that catches the refusal lets the rest be committed."""
    first, second = [await rows.add(title=name, file=pending(name.encode())) for name in "ab"]

    def share(session: Session) -> None:
        with pytest.raises(SharedFileError):
            fill_all(session, [])

    async with rows.work() as work:
        session = work.plain_session
        with listening(session, "before_commit", share):
            (await work.get(Document, first)).file = pending(b"new")
            await work.commit()

    assert [await rows.content(each) for each in (first, second)] == [b"new", b"b"]
    assert len(await rows.keys()) == 2


async def test_a_bulk_statement_before_the_commit_replaces_files(rows: Rows) -> None:
    """What a listener may change it changes."""
    first, second = [await rows.add(title=name, file=pending(name.encode())) for name in "ab"]

    def fill(session: Session) -> None:
        session.execute(update(Document).where(Document.title == "b").values(file=pending(b"default")))

    async with rows.work() as work:
        session = work.plain_session
        with listening(session, "before_commit", fill):
            (await work.get(Document, first)).file = pending(b"new")
            await work.commit()

    assert [await rows.content(each) for each in (first, second)] == [b"new", b"default"]
    assert len(await rows.keys()) == 2


async def test_a_savepoint_before_the_commit_spares_what_others_hold(rows: Rows) -> None:
    """A listener that takes a shared file out of one row, in a savepoint of its own, leaves it to the other row."""
    await rows.backend.put(SHARED, b"shared")
    record: Any = type_coerce({"backend": "rows", "filename": "contract.pdf", "path": SHARED}, rows.json())
    table: Any = Document.__table__
    async with rows.work() as work:
        values = [{"title": name, "file": record} for name in "ab"]
        await work.do(lambda s: [s.connection().execute(insert(table).values(row)) for row in values])
        await work.commit()

        def clear(session: Session) -> None:
            if session.get_nested_transaction() is None:
                with session.begin_nested():
                    session.execute(update(Document).where(Document.title == "b").values(file=None))

        session = work.plain_session
        with listening(session, "before_commit", clear):
            await work.add(Document(title="c", file=pending(b"c")))
            await work.commit()

    assert await rows.content(1) == b"shared"
