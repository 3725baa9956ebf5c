"""Taking turns at writing: nobody overtakes, nobody waits for ever, and who holds a connection does not wait."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, QueuePool

from fastapi_filestore import FileService
from fastapi_filestore.service import unit
from fastapi_filestore.service.unit import taking_turn
from tests.rows.models import Document


@pytest.fixture
def sqlite() -> Iterator[Engine]:
    """An engine of a database with one writer."""
    engine = create_engine("sqlite://")
    yield engine
    engine.dispose()


async def _most_at_once(engine: Engine, blocks: int) -> int:
    inside = most = 0

    async def block() -> None:
        nonlocal inside, most
        async with taking_turn(engine):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(block() for _ in range(blocks)))
    return most


async def test_one_writes_at_a_time_on_sqlite(sqlite: Engine) -> None:
    """SQLite has one writer, so one block runs at a time."""
    assert await _most_at_once(sqlite, 4) == 1


@pytest.mark.parametrize(
    ("pool", "most"), [({"poolclass": QueuePool, "pool_size": 2}, 2), ({"poolclass": NullPool}, 4)]
)
async def test_as_many_write_as_the_pool_keeps(pool: dict[str, object], most: int) -> None:
    """As many blocks run as the pool keeps connections; one that keeps none sets no bound."""
    engine = create_engine("postgresql+psycopg://nowhere", **pool)

    assert await _most_at_once(engine, 4) == most


async def test_patience_ends(sqlite: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has waited long goes on all the same, so that turns can never lock each other out."""
    monkeypatch.setattr(unit, "PATIENCE", 0.01)
    async with taking_turn(sqlite), taking_turn(sqlite), taking_turn(sqlite):
        pass

    assert await _most_at_once(sqlite, 1) == 1


async def test_who_holds_a_connection_does_not_wait(sqlite: Engine) -> None:
    """A session in a transaction goes on at once: whoever has the turn may wait for its connection."""
    with Session(sqlite) as session:
        session.execute(text("SELECT 1"))
        async with taking_turn(sqlite), asyncio.timeout(1), FileService(session, model=Document).turn():
            pass

        assert session.in_transaction()
