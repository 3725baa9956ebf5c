"""One file in a column: its bytes and its row live and die together."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from fastapi_filestore import (
    storages,
)
from fastapi_filestore.testing import FaultyBackend
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document, Note


@pytest.mark.works_with("PostgreSQL: asyncpg, psycopg", "SQLite: aiosqlite, sqlite3")
async def test_commit_keeps_the_bytes(rows: Rows) -> None:
    """A committed row's file can be read by anyone, with size and checksum known."""
    identity = await rows.add(title="t", file=pending(b"hello"))

    assert await rows.content(identity) == b"hello"
    async with rows.work() as work:
        file = (await work.get(Document, identity)).file
    assert file is not None
    assert (file.size, len(file.checksum or ""), file.filename) == (5, 64, "a.txt")


async def test_bytes_are_complete_before_the_row_is_written(rows: Rows) -> None:
    """After a flush, and before any commit, the object is in the store."""
    async with rows.work() as work:
        document = Document(title="t", file=pending())
        await work.add(document)
        await work.flush()

        assert len(await rows.keys()) == 1


async def test_rollback_deletes_the_bytes(rows: Rows) -> None:
    """A rolled-back row leaves no object."""
    async with rows.work() as work:
        await work.add(Document(title="t", file=pending()))
        await work.flush()
        await work.rollback()

    assert await rows.keys() == set()


async def test_close_is_a_rollback(rows: Rows) -> None:
    """A session closed without a commit leaves no object."""
    async with rows.work() as work:
        await work.add(Document(title="t", file=pending()))
        await work.flush()

    assert await rows.keys() == set()


async def test_replacing_deletes_the_old_object_after_commit(rows: Rows) -> None:
    """A replaced file's object goes at the commit, not before, even under the same filename."""
    identity = await rows.add(title="t", file=pending(b"old"))
    async with rows.work() as work:
        document = await work.get(Document, identity)
        document.file = pending(b"new")
        await work.flush()

        assert len(await rows.keys()) == 2
        await work.commit()

    assert len(await rows.keys()) == 1
    assert await rows.content(identity) == b"new"


async def test_replacing_is_undone_by_rollback(rows: Rows) -> None:
    """A rolled-back replacement leaves the old object and drops the new one."""
    identity = await rows.add(title="t", file=pending(b"old"))
    async with rows.work() as work:
        document = await work.get(Document, identity)
        document.file = pending(b"new")
        await work.flush()
        await work.rollback()

    assert await rows.content(identity) == b"old"


async def test_replacing_an_expired_or_deferred_value_deletes_the_old_object(rows: Rows) -> None:
    """The old value is what the database holds, whether or not the session ever loaded it."""
    identity = await rows.add(title="t", file=pending(b"old"))
    async with rows.work() as work:
        document = await work.get(Document, identity)
        work.session.expire(document)
        document.file = pending(b"new")
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_deleting_the_row_deletes_the_object_after_commit(rows: Rows) -> None:
    """A deleted row's object goes at the commit."""
    identity = await rows.add(title="t", file=pending())
    async with rows.work() as work:
        await work.delete(await work.get(Document, identity))
        await work.flush()

        assert len(await rows.keys()) == 1
        await work.commit()

    assert await rows.keys() == set()


async def test_a_rolled_back_delete_keeps_the_object(rows: Rows) -> None:
    """A delete that is rolled back deletes nothing."""
    identity = await rows.add(title="t", file=pending(b"kept"))
    async with rows.work() as work:
        await work.delete(await work.get(Document, identity))
        await work.flush()
        await work.rollback()

    assert await rows.content(identity) == b"kept"


async def test_setting_none_deletes_the_object_and_is_sql_null(rows: Rows) -> None:
    """None is SQL NULL, and what was there goes."""
    identity = await rows.add(title="t", file=pending())
    async with rows.work() as work:
        document = await work.get(Document, identity)
        document.file = None
        await work.commit()
        found = await work.scalars(select(Document.id).where(Document.file.is_(None)))

    assert found == [identity]
    assert await rows.keys() == set()


async def test_orphans_of_a_relationship_take_their_objects_along(rows: Rows) -> None:
    """Children deleted by the delete-orphan cascade lose their objects like any other row."""
    identity = await rows.add(title="t", notes=[Note(file=pending()), Note(file=pending())])
    async with rows.work() as work:
        document = await work.get(Document, identity)
        await work.do(lambda s: document.notes.pop())
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_a_file_moved_to_another_row_lives_on(rows: Rows) -> None:
    """Deleting one row and giving its file to another in one transaction keeps the object."""
    identity = await rows.add(title="from", file=pending(b"moved"))
    async with rows.work() as work:

        def move(session: Session) -> None:
            old = session.get_one(Document, identity)
            session.add(Document(title="to", file=old.file))
            session.delete(old)

        await work.do(move)
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_two_rows_with_the_same_filename_have_two_objects(rows: Rows) -> None:
    """The same filename twice is two files, and deleting one row leaves the other's."""
    first = await rows.add(title="1", file=pending(b"one", "cv.pdf"))
    second = await rows.add(title="2", file=pending(b"two", "cv.pdf"))
    async with rows.work() as work:
        await work.delete(await work.get(Document, first))
        await work.commit()

    assert await rows.content(second) == b"two"


async def test_thirty_commits_on_one_session_keep_thirty_files(rows: Rows) -> None:
    """Quick commits on one session share nothing."""
    async with rows.work() as work:
        for number in range(30):
            document = Document(title=str(number), file=pending(str(number).encode()))
            await work.do(lambda s, document=document: s.add(document))  # type: ignore[misc]
            await work.commit()

    assert len(await rows.keys()) == 30


async def test_two_commits_store_a_file_once(rows: Rows) -> None:
    """A second commit does not upload the first one's file again."""
    storages.register_backend(faulty := FaultyBackend(rows.backend, lambda call, operation: False), replace=True)
    async with rows.work() as work:
        document = Document(title="t", file=pending())
        await work.add(document)
        await work.commit()
        document.title = "u"
        await work.commit()

    assert faulty.calls == ["put"]
