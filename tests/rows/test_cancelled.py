"""Units of work that are cancelled in the middle of a statement: sessions that block can't be, and are waited for."""

import asyncio
import time

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from fastapi_filestore import FileService
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document

PATIENCE = 60.0
SLOWLY = 0.3


def read_slowly(session: Session) -> None:
    """Use a session for a while."""
    session.scalars(select(Document)).all()
    time.sleep(SLOWLY)
    session.scalars(select(Document)).all()


@pytest.mark.parametrize("again", [1, 3])
async def test_a_session_is_left_in_peace(rows: Rows, again: int) -> None:
    """Who is cancelled, once or often, gets the session back when nobody uses it any more, and can roll back."""
    async with rows.work() as work:
        doing = asyncio.create_task(work.do(read_slowly))
        await asyncio.sleep(SLOWLY / 3)
        for _ in range(again):
            doing.cancel()
            await asyncio.sleep(0.01)
        await asyncio.wait({doing}, timeout=PATIENCE)
        await work.rollback()
        assert await work.scalars(select(Document)) == []


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.1])
async def test_a_unit_of_work_is_undone(rows: Rows, seconds: float) -> None:
    """A unit of work that is cancelled while it writes leaves no row and no object, and its session can be used."""

    def wait(*call: object) -> None:
        time.sleep(0.05)

    async with rows.work() as work:
        session = work.session if isinstance(work.session, Session) else work.session.sync_session
        event.listen(session, "before_flush", wait)
        service = FileService(work.session, model=Document)

        async def create() -> None:
            async with service.unit_of_work():
                for number in range(20):
                    await service.create({"title": f"{number}", "file": pending()})

        creating = asyncio.create_task(create())
        await asyncio.sleep(seconds)
        creating.cancel()
        await asyncio.wait({creating}, timeout=PATIENCE)
        assert creating.cancelled()
        event.remove(session, "before_flush", wait)
        async with service.unit_of_work():
            await service.create({"title": "after", "file": pending()})

    assert len(await rows.keys()) == 1
