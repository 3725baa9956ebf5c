"""Every kind of session and every life of an instance: rows and bytes agree at the end."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, defer, make_transient

from fastapi_filestore import (
    FileObject,
    SharedFileError,
    StorageUnavailableError,
    storages,
)
from fastapi_filestore.testing import FaultyBackend
from tests.rows.conftest import Rows, Work, pending
from tests.rows.models import Document, Note


async def _replace(work: Work, identity: int, content: bytes) -> None:
    def replace(session: Session) -> None:
        session.get_one(Document, identity).file = pending(content)

    await work.do(replace)


async def test_two_stale_sessions_that_replace_leave_the_last_object(rows: Rows) -> None:
    """Two sessions load a row and replace its file one after the other: the middle object goes, too."""
    identity = await rows.add(title="t", file=pending(b"0"))
    async with rows.work() as first, rows.work() as second:
        for work in (first, second):
            await work.get(Document, identity)
            await work.commit()
        await _replace(first, identity, b"1")
        await first.commit()
        await _replace(second, identity, b"2")
        await second.commit()

    assert await rows.content(identity) == b"2"
    assert len(await rows.keys()) == 1


async def test_a_stale_copy_that_is_replaced_deletes_what_the_database_holds(rows: Rows) -> None:
    """A session whose instance was never refreshed replaces, and deletes what another one put there meanwhile."""
    identity = await rows.add(title="t", file=pending(b"0"))
    async with rows.work(expire_on_commit=False) as stale:
        document = await stale.get(Document, identity)
        await stale.commit()
        async with rows.work() as other:
            await _replace(other, identity, b"1")
            await other.commit()
        document.file = pending(b"2")
        await stale.commit()

    assert len(await rows.keys()) == 1


async def test_a_stale_copy_that_is_deleted_deletes_what_the_database_holds(rows: Rows) -> None:
    """Deleting a row through a stale instance deletes the object that another session put there meanwhile."""
    identity = await rows.add(title="t", file=pending(b"0"))
    async with rows.work(expire_on_commit=False) as stale:
        document = await stale.get(Document, identity)
        await stale.commit()
        async with rows.work() as other:
            await _replace(other, identity, b"1")
            await other.commit()
        await stale.delete(document)
        await stale.commit()

    assert await rows.keys() == set()


async def test_concurrent_replacements_leave_one_object(rows: Rows) -> None:
    """Ten sessions that replace one row's file at once leave one object, whoever is last."""
    identity = await rows.add(title="t", file=pending(b"0"))

    async def replace(number: int) -> None:
        async with rows.work() as work:
            await _replace(work, identity, str(number).encode())
            await work.commit()

    await asyncio.gather(*(replace(number) for number in range(10)), return_exceptions=True)

    assert len(await rows.keys()) == 1


async def test_a_deferred_column_is_replaced_without_being_loaded(rows: Rows) -> None:
    """Replacing a file that a query deferred deletes the old object."""
    identity = await rows.add(title="t", file=pending(b"0"))

    def replace(session: Session) -> None:
        document = session.scalars(select(Document).options(defer(Document.file))).one()
        document.file = pending(b"1")

    async with rows.work() as work:
        await work.do(replace)
        await work.commit()

    assert await rows.content(identity) == b"1"
    assert len(await rows.keys()) == 1


async def test_refresh_forgets_a_pending_file(rows: Rows) -> None:
    """A file assigned and then refreshed away is never stored."""
    identity = await rows.add(title="t", file=pending(b"0"))

    def assign_and_refresh(session: Session) -> None:
        with session.no_autoflush:
            document = session.get_one(Document, identity)
            document.file = pending(b"1")
            session.refresh(document)

    async with rows.work() as work:
        await work.do(assign_and_refresh)
        await work.commit()

    assert await rows.content(identity) == b"0"


async def test_merge_replaces_like_an_assignment(rows: Rows) -> None:
    """Merging a detached document with another file replaces the object, and with the same file keeps it."""
    identity = await rows.add(title="t", file=pending(b"0"))
    async with rows.work() as work:
        detached = await work.get(Document, identity)
    async with rows.work() as work:
        await work.merge(detached)
        await work.commit()
    kept = await rows.keys()
    async with rows.work() as work:
        await work.merge(Document(id=identity, title="t", file=pending(b"1")))
        await work.commit()

    assert len(kept) == 1
    assert await rows.content(identity) == b"1"
    assert len(await rows.keys()) == 1


async def test_a_copied_row_does_not_share_the_file(rows: Rows) -> None:
    """An instance made transient and added again would share its file: refused, and the first row keeps it."""
    identity = await rows.add(title="t", file=pending(b"0"))

    def copy_row(session: Session) -> None:
        document = session.get_one(Document, identity)
        assert document.pages is None
        session.expunge(document)
        make_transient(document)
        document.id, document.title = None, "copy"  # type: ignore[assignment]
        session.add(document)

    async with rows.work() as work:
        await work.do(copy_row)
        with pytest.raises(SharedFileError):
            await work.commit()

    assert await rows.content(identity) == b"0"


async def test_an_instance_moved_to_another_session_is_stored_there(rows: Rows) -> None:
    """A pending row expunged from one session and added to another is stored once, by the second."""
    document = Document(title="t", file=pending(b"0"))
    async with rows.work() as first, rows.work() as second:
        await first.add(document)
        first.session.expunge(document)
        await second.add(document)
        await second.commit()
        await first.commit()

    assert len(await rows.keys()) == 1


async def test_a_flush_error_is_a_rollback(rows: Rows) -> None:
    """A NOT NULL violation in a flush with several files leaves none of them."""
    async with rows.work() as work:
        await work.add_all([Document(title="t", file=pending()), Note(file=pending())])
        with pytest.raises(Exception, match=r"(?i)null"):
            await work.flush()
        await work.rollback()

    assert await rows.keys() == set()


@pytest.mark.parametrize("rows", ["sqlite-async", "postgres-async", "sqlite-async-unledgered"], indirect=True)
async def test_a_cancelled_commit_leaves_nothing(rows: Rows) -> None:
    """A task cancelled while its file is on its way leaves no row and no object, and the session closes."""
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        started.set()
        yield b"x" * 100
        await asyncio.sleep(60)

    async def upload() -> None:
        async with rows.work() as work:
            await work.add(Document(title="t", file=FileObject(content=endless())))
            await work.commit()

    task = asyncio.create_task(upload())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await rows.keys() == set()


async def test_a_refused_upload_keeps_the_old_file(rows: Rows) -> None:
    """A replacement whose upload fails leaves the old file where it is, and the session usable."""
    identity = await rows.add(title="t", file=pending(b"0"))
    storages.register_backend(FaultyBackend(rows.backend, lambda call, operation: operation == "put"), replace=True)
    async with rows.work() as work:
        await _replace(work, identity, b"1")
        with pytest.raises(StorageUnavailableError):
            await work.commit()
        await work.rollback()
        storages.register_backend(rows.backend, replace=True)
        await _replace(work, identity, b"2")
        await work.commit()

    assert await rows.content(identity) == b"2"


async def test_an_upload_answered_with_an_error_leaves_nothing(rows: Rows) -> None:
    """A store that takes the bytes and then answers an error is left without them."""
    faulty = FaultyBackend(rows.backend, lambda call, operation: operation == "put", after=True)
    storages.register_backend(faulty, replace=True)
    async with rows.work() as work:
        await work.add(Document(title="t", file=pending()))
        with pytest.raises(StorageUnavailableError):
            await work.commit()

    assert await rows.keys() == set()
