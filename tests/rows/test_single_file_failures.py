"""What a refused row, a failed upload or a savepoint leaves of files: nothing of its own, all of the rest."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fastapi_filestore import (
    FileObject,
    StorageUnavailableError,
    storages,
)
from fastapi_filestore.testing import FaultyBackend
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document


async def test_a_constraint_violation_leaves_no_object(rows: Rows) -> None:
    """A row that the database refuses leaves no object, and the session works on after rollback."""
    await rows.add(title="taken", file=pending(b"first"))
    async with rows.work() as work:
        await work.add(Document(title="taken", file=pending(b"second")))
        with pytest.raises(IntegrityError):
            await work.commit()
        await work.rollback()
        await work.add(Document(title="free", file=pending(b"third")))
        await work.commit()

    assert len(await rows.keys()) == 2


async def test_a_row_refused_once_can_be_added_again(rows: Rows) -> None:
    """Content that can be read again is stored again when the same object is committed after a rollback."""
    await rows.add(title="taken")
    document = Document(title="taken", file=pending(b"again"))
    async with rows.work() as work:
        await work.add(document)
        with pytest.raises(IntegrityError):
            await work.commit()
        await work.rollback()
        document.title = "free"
        await work.add(document)
        await work.commit()
        identity = await work.do(lambda s: document.id)

    assert await rows.content(identity) == b"again"


async def test_a_file_saved_by_hand_goes_with_a_rollback(rows: Rows) -> None:
    """A file stored before it was assigned belongs to the transaction that wrote its row."""
    file = await FileObject("rows", "a.txt", content=b"by hand").save_async()
    async with rows.work() as work:
        await work.add(Document(title="t", file=file))
        await work.flush()
        await work.rollback()

    assert await rows.keys() == set()


async def test_a_failing_upload_fails_the_flush(rows: Rows) -> None:
    """An upload that fails fails the commit, writes no row, and the session works on after rollback."""
    storages.register_backend(FaultyBackend(rows.backend, lambda call, operation: call == 1), replace=True)
    async with rows.work() as work:
        await work.add(Document(title="t", file=pending()))
        with pytest.raises(StorageUnavailableError):
            await work.commit()
        await work.rollback()
        await work.add(Document(title="u", file=pending()))
        await work.commit()
        titles = await work.scalars(select(Document.title))

    assert titles == ["u"]


async def test_a_failing_sibling_leaves_nothing_of_the_others(rows: Rows) -> None:
    """Of several uploads in one flush, one that fails takes the others with it."""
    storages.register_backend(FaultyBackend(rows.backend, lambda call, operation: call == 3), replace=True)
    async with rows.work() as work:
        await work.add_all([Document(title=str(i), file=pending()) for i in range(5)])
        with pytest.raises(StorageUnavailableError):
            await work.commit()
        await work.rollback()

    assert await rows.keys() == set()


async def test_a_savepoint_rolled_back_undoes_only_its_own(rows: Rows) -> None:
    """The get-or-create pattern: the inner row's object goes, the outer one's stays."""
    async with rows.work() as work:

        def get_or_create(session: Session) -> None:
            session.add(Document(title="outer", file=pending(b"outer")))
            session.flush()
            savepoint = session.begin_nested()
            session.add(Document(title="outer", file=pending(b"inner")))
            with pytest.raises(IntegrityError):
                session.flush()
            savepoint.rollback()

        await work.do(get_or_create)
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_a_released_savepoint_deletes_nothing_yet(rows: Rows) -> None:
    """A delete inside a released savepoint is undone with the outer transaction."""
    identity = await rows.add(title="t", file=pending(b"kept"))
    async with rows.work() as work:

        def delete_in_savepoint(session: Session) -> None:
            with session.begin_nested():
                session.delete(session.get_one(Document, identity))

        await work.do(delete_in_savepoint)
        await work.rollback()

    assert await rows.content(identity) == b"kept"


async def test_what_was_pending_before_a_savepoint_survives_its_rollback(rows: Rows) -> None:
    """A row that opening the savepoint flushed belongs to the outer transaction."""
    async with rows.work() as work:

        def savepoint(session: Session) -> None:
            session.add(Document(title="outer", file=pending()))
            session.begin_nested().rollback()

        await work.do(savepoint)
        await work.commit()

    assert len(await rows.keys()) == 1


async def test_a_failing_delete_after_commit_is_left_to_the_sweeper(rows: Rows) -> None:
    """The commit stands when the store refuses the deletion that follows it, and the ledger remembers the object."""
    identity = await rows.add(title="t", file=pending())
    storages.register_backend(FaultyBackend(rows.backend, lambda call, op: op == "delete"), replace=True)
    async with rows.work() as work:
        await work.delete(await work.get(Document, identity))
        await work.commit()

    assert len(await rows.keys()) == 1
    storages.register_backend(rows.backend, replace=True)
    swept = await rows.sweep()
    assert len(swept) == int(rows.has_ledger) == 1 - len(await rows.keys())
    await rows.backend.delete(*await rows.keys())
