"""The sweeper settles what is due, each intent once however many sweep, and nothing keeps it from the rest."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import insert, select
from sqlalchemy.schema import DropTable

from fastapi_filestore import LedgerMissingError, ObstoreBackend, StorageError, StorageUnavailableError, storages
from fastapi_filestore.orm.ledger.clock import database_time
from fastapi_filestore.orm.ledger.ledger import ABORTED, DELETION, UPLOAD
from fastapi_filestore.service import contention
from fastapi_filestore.service.sweep import sweep as sweeper
from fastapi_filestore.service.sweep.claims import FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS, LEASE_SECONDS, retry_delay
from fastapi_filestore.storage.registry import StorageRegistry
from fastapi_filestore.testing import FaultyBackend
from tests.maintenance.conftest import Site, keys
from tests.maintenance.models import LEDGER

Refusal = Callable[[tuple[str, ...]], BaseException | None]


class Recording(FaultyBackend):
    """A backend that remembers what it was told to delete, and refuses what a test wants refused."""

    def __init__(self, inner: ObstoreBackend, *, key: str = "shelf", refuse: Refusal = lambda paths: None) -> None:
        super().__init__(inner, lambda number, operation: False)
        self.name, self.refuse, self.batches = key, refuse, list[tuple[str, ...]]()

    @property
    def key(self) -> str:
        """The key that the test wants."""
        return self.name

    @property
    def deleted(self) -> Counter[str]:
        """How often each object was deleted."""
        return Counter(path for batch in self.batches for path in batch)

    async def delete(self, *paths: str) -> None:
        """Delete objects, unless the test refuses them."""
        self.batches.append(paths)
        await asyncio.sleep(0.001)
        if error := self.refuse(paths):
            raise error
        await super().delete(*paths)


def registry_of(*backends: Recording) -> StorageRegistry:
    """Return a registry of backends."""
    registry = StorageRegistry()
    for backend in backends:
        registry.register_backend(backend)
    return registry


async def delay_of(site: Site, path: str) -> float:
    """Return the seconds until an intent falls due."""
    statement = select(LEDGER.table.c.due_at - database_time()).where(LEDGER.table.c.path == path)
    [(delay,)] = await site.execute(statement)
    return float(delay)


async def test_settles_what_is_due(site: Site) -> None:
    """The objects of due intents go, then the intents; what is not due stays."""
    due, young = keys(3), f"{keys(1)[0]}-young"
    for path in (*due, young):
        site.place(path)
    await site.intend(*due)
    await site.intend(young, due_at=time.time() + 600)

    swept = await site.sweep()

    assert {one.path for one in swept} == set(due)
    assert [one.error for one in swept] == [None] * 3
    assert site.objects() == await site.intents() == {young}


async def test_a_missing_object_is_fine(site: Site) -> None:
    """An intent whose object is gone already, or never came, is settled."""
    await site.intend(*keys(2))

    swept = await site.sweep()

    assert [(one.attempts, one.error) for one in swept] == [(1, None)] * 2
    assert await site.intents() == set()


@pytest.mark.parametrize("kind", [UPLOAD, ABORTED, DELETION])
async def test_what_a_row_holds_stays(site: Site, kind: str) -> None:
    """Whatever an intent says, the rows are asked: one that came back, or that an intent was left of, has its file."""
    row = await site.add()
    values = {"backend": "shelf", "path": row.file.path, "kind": kind, "due_at": 0}
    await site.execute(insert(LEDGER.table).values(values))

    assert await site.sweep() == []

    assert site.objects() == {row.file.path}
    assert await site.intents() & {row.file.path} == set()


async def test_batches(site: Site) -> None:
    """Intents are claimed and deleted in batches, the oldest first."""
    paths, backend = keys(25), Recording(site.backend)
    for age, path in enumerate(paths):
        await site.intend(path, due_at=age)

    swept = await site.sweep(registry=registry_of(backend), batch=10)

    assert [len(batch) for batch in backend.batches] == [10, 10, 5]
    assert [one.path for one in swept[:10]] == paths[:10]


async def test_many_sweepers(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many sweep at once, each intent is taken by one of them and none is left."""
    monkeypatch.setattr(contention, "PAUSES", (0.1,) * 400)
    paths, backend = keys(300), Recording(site.backend)
    await site.intend(*paths)

    registry = registry_of(backend)
    swept = await asyncio.gather(*(site.sweep(registry=registry, batch=7) for _ in range(8)))

    assert backend.deleted == Counter(paths)
    assert Counter(one.path for each in swept for one in each) == Counter(paths)
    assert await site.intents() == set()


async def test_the_databases_clock(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose clock is wrong sweeps nothing too early."""
    await site.intend(*keys(1), due_at=time.time() + 600)
    monkeypatch.setattr(time, "time", lambda real=time.time: real() + 10 * 24 * 3600)

    assert await site.sweep() == []


async def test_a_failing_intent_waits_longer_each_time(site: Site) -> None:
    """What can't be deleted is reported with its attempts, and tried again after a delay that doubles."""
    backend = Recording(site.backend, refuse=lambda paths: StorageError("Nobody may delete it."))
    [path] = keys(1)
    await site.intend(path)

    delays = []
    for attempt in (1, 2, 3):
        await site.let_fall_due()
        [swept] = await site.sweep(registry=registry_of(backend))
        assert (swept.attempts, swept.error) == (attempt, "Nobody may delete it.")
        delays.append(await delay_of(site, path))

    assert delays == pytest.approx([FIRST_RETRY_SECONDS * factor for factor in (1, 2, 4)], abs=10)


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 30), (2, 60), (5, 480), (12, 61_440), (13, LAST_RETRY_SECONDS), (10**6, 86_400)]
)
def test_the_delay(attempts: int, seconds: float) -> None:
    """The delay doubles up to a day, and no number of attempts overflows it."""
    assert retry_delay(attempts) == seconds


async def test_one_that_fails_keeps_no_other(site: Site) -> None:
    """Of a batch with one object that can't be deleted, all others are."""
    paths = keys(10)
    bad = paths[4]
    await site.intend(*paths)

    backend = Recording(site.backend, refuse=lambda asked: StorageError("No.") if bad in asked else None)
    swept = await site.sweep(registry=registry_of(backend))

    assert [one.path for one in swept if one.error] == [bad]
    assert await site.intents() == {bad}


async def test_a_dead_backend_keeps_no_other(site: Site) -> None:
    """A backend that can't be reached is asked once in a sweep, and the objects of others go meanwhile."""
    dead = Recording(site.backend, key="dead", refuse=lambda paths: StorageUnavailableError("It is down."))
    alive, lost, paths = Recording(site.backend), keys(30), keys(30)
    await site.intend(*lost, backend="dead")
    await site.intend(*paths)

    swept = await site.sweep(registry=registry_of(dead, alive), batch=10)

    assert len(dead.batches) == 1
    assert {one.path for one in swept if one.error is None} == set(paths)
    assert await site.intents() == set(lost)


async def test_a_hanging_backend_keeps_no_other(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that never answers fails in time for its claims."""
    monkeypatch.setattr(sweeper, "DELETION_SECONDS", 0.3)
    hanging = Recording(site.backend, key="hanging")
    monkeypatch.setattr(hanging, "delete", lambda *paths: asyncio.sleep(60))
    await site.intend(*keys(2), backend="hanging")
    await site.intend(*(paths := keys(2)))

    swept = await site.sweep(registry=registry_of(hanging, Recording(site.backend)))

    assert {one.path for one in swept if one.error is None} == set(paths)
    assert [one.error for one in swept if one.error] == ["Backend 'hanging' took more than 0 s."] * 2


async def test_an_unknown_backend(site: Site) -> None:
    """An intent of a backend that nobody registered is a finding, and stays for the day it is registered."""
    await site.intend(*(paths := keys(3)), backend="nowhere")

    swept = await site.sweep()

    assert all("No backend 'nowhere' is registered" in (one.error or "") for one in swept)
    assert await site.intents() == set(paths)


async def test_a_dead_sweepers_claim(site: Site) -> None:
    """What a sweeper claimed before it died is nobody's until its lease ends, and somebody's then."""
    await site.intend(*(paths := keys(2)))
    backend = Recording(site.backend, refuse=lambda paths: asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await site.sweep(registry=registry_of(backend))

    assert await site.sweep() == []
    assert await delay_of(site, paths[0]) == pytest.approx(LEASE_SECONDS, abs=10)

    await site.let_fall_due()

    assert [(one.path, one.attempts) for one in await site.sweep()] == [(path, 2) for path in paths]


async def test_the_default_registry(site: Site) -> None:
    """Without a registry, backends are those of the process."""
    site.place(path := keys(1)[0])
    await site.intend(path)

    [swept] = await site.sweep()

    assert swept.backend in storages
    assert site.objects() == set()


async def test_a_ledger_that_nobody_created(site: Site) -> None:
    """Without the ledger's table a sweep says what to create."""
    await site.execute(DropTable(LEDGER.table))

    with pytest.raises(LedgerMissingError, match="create_all or an Alembic migration"):
        await site.sweep()
