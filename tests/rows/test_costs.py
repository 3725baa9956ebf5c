"""What crash safety costs, counted: SQL statements, commits and store calls of each kind of work."""

import gc
from asyncio import Event, get_running_loop, timeout
from collections.abc import Iterator
from dataclasses import dataclass
from weakref import finalize, ref

import pytest
from sqlalchemy import Engine, delete, event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from fastapi_filestore import storages
from fastapi_filestore.orm.sessions import plain_session, run_in_session
from fastapi_filestore.testing import FaultyBackend
from tests.rows.conftest import Rows, Work, pending
from tests.rows.models import Document

LEDGERED = pytest.mark.parametrize("rows", ["sqlite-async", "postgres-sync"], indirect=True)


@dataclass
class Cost:
    """What a piece of work took."""

    statements: int
    commits: int
    store_calls: list[str]


class Meter:
    """Counts what an engine and a backend are asked for."""

    def __init__(self, rows: Rows) -> None:
        self.engine: Engine = rows.engine.sync_engine if isinstance(rows.engine, AsyncEngine) else rows.engine
        self.backend = FaultyBackend(rows.backend, lambda call, operation: False)
        storages.register_backend(self.backend, replace=True)
        self.statements: list[str] = []
        self.commits = 0
        event.listen(self.engine, "before_cursor_execute", self._statement)
        event.listen(self.engine, "commit", self._commit)

    def _statement(self, *call: object) -> None:
        self.statements.append(str(call[2]))

    def _commit(self, connection: object) -> None:
        self.commits += 1

    def read(self, *, beside: str = "BEGIN") -> Cost:
        """Return what was counted since the last reading, beside some statements (only SQLite shows BEGIN)."""
        counted = [one for one in self.statements if not one.startswith(("BEGIN", beside))]
        cost = Cost(len(counted), self.commits, list(self.backend.calls))
        self.statements.clear()
        self.backend.calls.clear()
        self.commits = 0
        return cost


async def _create(work: Work, title: str) -> Document:
    document = Document(title=title, file=pending())
    await work.add(document)
    await work.commit()
    return document


async def _creations(rows: Rows, meter: Meter, count: int) -> list[Cost]:
    costs = []
    for number in range(count):
        async with rows.work() as work:
            await _create(work, str(number))
        costs.append(meter.read())
    return costs


@LEDGERED
async def test_a_create_costs_one_commit(rows: Rows) -> None:
    """With keys reserved ahead, a create is one upload, two statements (the row, its intent) and one commit."""
    meter = Meter(rows)
    costs = await _creations(rows, meter, 100)

    assert costs[-1] == Cost(2, 1, ["put"])
    reservations = sum(cost.commits for cost in costs) - 100
    assert reservations <= 8


@LEDGERED
async def test_a_replace_costs_one_commit_and_one_to_clean_up(rows: Rows) -> None:
    """A replace reads the old file under a lock, and forgets its deletion intent once the object is gone."""
    meter = Meter(rows)
    await _creations(rows, meter, 10)
    async with rows.work() as work:
        document = await work.get(Document, 1)
        await work.commit()
        meter.read()
        document.file = pending(b"new")
        await work.commit()
    cost = meter.read()

    assert cost.store_calls == ["put", "delete"]
    assert cost.commits == 2
    assert cost.statements <= 8


@LEDGERED
async def test_a_delete_costs_one_commit_and_one_to_clean_up(rows: Rows) -> None:
    """A delete reads the file under a lock, intends its deletion, and forgets the intent once it is done."""
    meter = Meter(rows)
    await _creations(rows, meter, 2)
    async with rows.work() as work:
        document = await work.get(Document, 1)
        await work.commit()
        meter.read()
        await work.delete(document)
        await work.commit()
    cost = meter.read()

    assert cost.store_calls == ["delete"]
    assert cost.commits == 2
    assert cost.statements <= 8


@LEDGERED
async def test_a_hundred_rows_cost_no_more_statements_than_a_few(rows: Rows) -> None:
    """A flush of a hundred files and a bulk delete of them take a number of statements that does not grow."""
    meter = Meter(rows)
    async with rows.work() as work:
        await work.add_all([Document(title=str(number), file=pending()) for number in range(100)])
        await work.commit()
        created = meter.read(beside="INSERT INTO documents")  # SQLAlchemy decides how many it needs
        await work.execute(delete(Document))
        await work.commit()
        deleted = meter.read()

    assert (created.store_calls, created.commits) == (["put"] * 100, 2)
    assert created.statements <= 3
    assert (deleted.store_calls, deleted.commits) == (["delete"], 2)
    assert deleted.statements <= 12  # in a savepoint, since it may fail


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@LEDGERED
@pytest.mark.usefixtures("uncollected")
async def test_a_session_is_freed_without_the_collector(rows: Rows) -> None:
    """A session that wrote a file is freed with the last that holds it: no collector has to look for it."""
    freed = Event()
    async with rows.work() as work:
        await _create(work, "t")
        finalize(plain_session(work.session), get_running_loop().call_soon_threadsafe, freed.set)
    del work

    async with timeout(5):  # the thread that worked for it may hold it a moment longer than the work
        await freed.wait()


@LEDGERED
async def test_a_connection_is_freed_with_its_transaction(rows: Rows) -> None:
    """What a transaction has sent is forgotten with its connection: a process that runs for long does not grow."""
    async with rows.work() as work:
        connection = ref(await run_in_session(work.session, Session.connection))
        await _create(work, "t")
    del work
    gc.collect()

    assert connection() is None
