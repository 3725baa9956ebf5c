"""A COMMIT that raises: refused, or perhaps carried out. No row that was committed loses its bytes."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from fastapi_filestore import storages
from fastapi_filestore.testing import FaultyBackend
from tests.rows.conftest import Rows, Work, pending
from tests.rows.models import Document


class LostError(BaseException):
    """As a task's cancellation, or an interrupt, while the database's answer is on its way."""


class SlowDeletion(FaultyBackend):
    """A store whose deletions take a moment; with events of threads, for sync sessions run theirs in other loops."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.begun, self.ended = threading.Event(), threading.Event()

    async def delete(self, *paths: str) -> None:
        """Delete objects, in a while."""
        self.begun.set()
        await asyncio.sleep(0.05)
        await super().delete(*paths)
        self.ended.set()


def _break_once(rows: Rows, name: str, breaks: Callable[[Engine, Any, Callable[[Any], None]], None]) -> None:
    """Let the driver's next COMMIT or ROLLBACK break in some way."""
    engine = rows.engine.sync_engine if isinstance(rows.engine, AsyncEngine) else rows.engine
    work = getattr(engine.dialect, name)

    def broken(connection: Any) -> None:
        setattr(engine.dialect, name, work)
        breaks(engine, connection, work)

    setattr(engine.dialect, name, broken)


def _lose_answer(engine: Engine, connection: Any, work: Callable[[Any], None]) -> None:
    work(connection)
    raise LostError


def _refuse(engine: Engine, connection: Any, work: Callable[[Any], None]) -> None:
    engine.dialect.do_rollback(connection)
    raise engine.dialect.loaded_dbapi.OperationalError("no, as the test wants it")


async def _leave_in_doubt(rows: Rows, work: Work, document: Document) -> None:
    """Write a row and lose the answer to its COMMIT, which happens all the same."""
    await work.add(document)
    await work.flush()
    _break_once(rows, "do_commit", _lose_answer)
    with pytest.raises(LostError):
        await work.commit()


async def test_a_commit_whose_answer_is_lost_keeps_the_bytes(rows: Rows) -> None:
    """Cancelled during COMMIT, which happens all the same, a row keeps its file."""
    async with rows.work() as work:
        await _leave_in_doubt(rows, work, Document(title="t", file=pending(b"kept")))
        await work.rollback()

    async with rows.work() as work:
        assert await rows.content(await work.do(lambda s: s.query(Document.id).scalar())) == b"kept"


async def test_a_savepoint_that_is_left_open_hides_no_doubt(rows: Rows) -> None:
    """A block that commits with a savepoint still open, and never hears of it, keeps the file of its row."""

    def write(session: Session) -> None:
        with session.begin():
            session.add(Document(title="t", file=pending(b"kept")))
            session.flush()
            session.begin_nested()
            _break_once(rows, "do_commit", _lose_answer)

    async with rows.work() as work:
        with pytest.raises(LostError):
            await work.do(write)
        await work.rollback()
        identity = await work.do(lambda s: s.query(Document.id).scalar())

    assert await rows.content(identity) == b"kept"


async def test_a_row_whose_commit_was_in_doubt_is_added_again_with_bytes_of_its_own(rows: Rows) -> None:
    """Whoever tries again after a lost answer gets a second object, never the first row's."""
    async with rows.work() as work:
        document = Document(title="t", file=pending(b"kept"))
        await _leave_in_doubt(rows, work, document)
        await work.rollback()
        document.title, document.id = "u", None  # type: ignore[assignment]
        await work.add(document)
        await work.commit()

    assert len(await rows.keys()) == 2


async def test_a_refused_commit_leaves_no_object(rows: Rows) -> None:
    """A COMMIT that the database answers with an error is a rollback."""
    async with rows.work() as work:
        await work.add(Document(title="t", file=pending()))
        await work.flush()
        _break_once(rows, "do_commit", _refuse)
        with pytest.raises(OperationalError):
            await work.commit()
        await work.rollback()

    assert await rows.keys() == set()


async def test_a_rollback_that_is_cancelled_leaves_nothing_that_is_taken_for_stored(rows: Rows) -> None:
    """A row added again after a rollback that was cancelled as it deleted the bytes has its bytes stored again."""
    document = Document(title="t", file=pending(b"again"))
    async with rows.work() as work:
        await work.add(document)
        await work.flush()
        slow = SlowDeletion(rows.backend, lambda call, operation: False)
        storages.register_backend(slow, replace=True)
        task = asyncio.create_task(work.rollback())
        await asyncio.to_thread(slow.begun.wait)
        task.cancel()
        await asyncio.wait({task})
        await asyncio.to_thread(slow.ended.wait)
        document.title = "u"
        await work.add(document)
        await work.commit()
        identity = await work.do(lambda s: document.id)

    assert await rows.content(identity) == b"again"


async def test_an_end_cut_short_is_made_good_when_the_session_goes_on(rows: Rows) -> None:
    """A task cancelled while its connection goes back to the pool: the next transaction follows the one before."""

    def begin_again(session: Session) -> None:
        session.connection()

    async with rows.work() as work:
        identity = await rows.add(title="t", file=pending())
        await work.delete(await work.get(Document, identity))
        await work.flush()
        _break_once(rows, "do_rollback", _lose_answer)
        with pytest.raises(LostError):
            await work.commit()
        await work.do(begin_again)
        await work.rollback()

    assert await rows.keys() == set()


async def test_a_doubt_is_kept_until_it_is_honoured(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled during COMMIT and as its connection goes back, a row keeps its file, whatever comes in between."""
    give_back = Connection.close

    def be_cut_short(connection: Connection) -> None:
        give_back(connection)
        raise LostError

    async with rows.work() as work:
        await _leave_in_doubt(rows, work, Document(title="t", file=pending(b"kept")))
        monkeypatch.setattr(Connection, "close", be_cut_short)
        with pytest.raises(LostError):
            await work.rollback()
        monkeypatch.setattr(Connection, "close", give_back)
        await work.do(lambda s: s.begin())
        await work.rollback()
        identity = await work.do(lambda s: s.query(Document.id).scalar())

    assert await rows.content(identity) == b"kept"
