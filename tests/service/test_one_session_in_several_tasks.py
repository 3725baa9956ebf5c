"""Several tasks of one event loop that use one session that blocks."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import sleep

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.orm.sessions import run_in_session
from fastapi_filestore.storage.content import read_content
from tests.loops import in_loop


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A session that any thread may use."""
    engine = create_engine(f"sqlite:///{tmp_path}/x.db", connect_args={"check_same_thread": False})
    with Session(engine) as session:
        yield session
    engine.dispose()


async def test_calls_wait_for_each_other(session: Session) -> None:
    """Calls of several tasks are done one after another, those that fail or are cancelled included."""
    using, together = threading.Lock(), list[int]()

    def work(session: Session, number: int) -> int:
        if not using.acquire(blocking=False):
            together.append(number)
            return number
        try:
            sleep(0.02)
            session.execute(text("no statement" if number == 3 else "SELECT 1"))
        except Exception:
            session.rollback()
            raise
        finally:
            using.release()
        return number

    tasks = [asyncio.create_task(run_in_session(session, work, number)) for number in range(8)]
    await asyncio.sleep(0.01)
    tasks[0].cancel()
    tasks[5].cancel()
    ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)

    assert [end for end in ends if isinstance(end, int)] == [1, 2, 4, 6, 7]
    assert together == []


def test_work_that_waits_for_a_call_of_its_own(session: Session) -> None:
    """Content that is read in a session's thread, and asks that session from its event loop, is not waited for."""

    async def content() -> AsyncIterator[bytes]:
        yield await run_in_session(session, lambda _: b"asked")

    async def work() -> bytes:
        reader = read_content(content())

        async def read() -> bytes:
            return b"".join([chunk async for chunk in reader.chunks()])

        return await run_in_session(session, lambda _: run_blocking(read()))

    assert in_loop(work) == b"asked"
