"""Sweeping in the lifespan: now and then, whatever happens, until the application ends."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_filestore import Filestore, Swept
from fastapi_filestore.service.sweep import schedule
from fastapi_filestore.service.sweep.schedule import sweeping
from fastapi_filestore.storage.registry import StorageRegistry
from tests.maintenance.conftest import Site, keys
from tests.maintenance.lifespans import settings
from tests.maintenance.models import Report

EVERY = timedelta(milliseconds=40)


class Sweeps:
    """Sweeps that note when they ran, and do what a test wants."""

    def __init__(self, *outcomes: Callable[[], Swept]) -> None:
        self.outcomes, self.moments = list(outcomes), list[float]()
        self.third = asyncio.Event()

    async def __call__(self) -> AsyncIterator[Swept]:
        """Sweep once."""
        self.moments.append(asyncio.get_running_loop().time())
        if len(self.moments) >= 3:
            self.third.set()
        if self.outcomes:
            yield self.outcomes.pop(0)()


def fail() -> Swept:
    """Fail as a database does that is down."""
    raise OSError("The database is down.")


async def test_it_goes_on_after_errors(caplog: pytest.LogCaptureFixture) -> None:
    """A sweep that fails is logged, and the next one comes all the same."""
    sweeps = Sweeps(fail, fail)
    with caplog.at_level(logging.WARNING, "fastapi_filestore"):
        async with sweeping(sweeps, every=EVERY):
            await asyncio.wait_for(sweeps.third.wait(), 10)

    line = 'fastapi_filestore.sweep_failed error="OSError: The database is down."'
    assert [record.message for record in caplog.records] == [line] * 2


async def test_failing_intents_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An intent that can't be settled is a line in the log, with all that there is to know of it."""
    sweeps = Sweeps(lambda: Swept("shelf", "ab/c", 3, "It is down."), lambda: Swept("shelf", "ab/d", 1))
    with caplog.at_level(logging.WARNING, "fastapi_filestore"):
        async with sweeping(sweeps, every=EVERY):
            await asyncio.wait_for(sweeps.third.wait(), 10)

    [record] = caplog.records
    assert record.message == (
        'fastapi_filestore.intent_failed backend=shelf object=ab/c attempts=3 error="It is down."'
    )
    assert (record.__dict__["object"], record.__dict__["attempts"], record.__dict__["error"]) == (
        "ab/c",
        3,
        "It is down.",
    )


async def test_it_ends_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep that does not end by itself is cut short at last, and no task is left."""
    monkeypatch.setattr(schedule, "PATIENCE", 0.05)
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[Swept]:
        begun.set()
        await asyncio.sleep(3600)
        yield Swept("shelf", "ab/c", 1)

    before = asyncio.all_tasks()
    async with sweeping(endless, every=EVERY):
        await asyncio.wait_for(begun.wait(), 10)

    assert asyncio.all_tasks() == before


async def test_a_sweep_under_way_ends() -> None:
    """What a sweep has begun it ends, so that no connection is cut off in a statement."""
    begun, ended = asyncio.Event(), list[str]()

    async def slow() -> AsyncIterator[Swept]:
        begun.set()
        await asyncio.sleep(0.1)
        ended.append("slow")
        yield Swept("shelf", "ab/c", 1)

    async with sweeping(slow, every=EVERY):
        await asyncio.wait_for(begun.wait(), 10)

    assert ended == ["slow"]


async def test_workers_do_not_march_in_step() -> None:
    """Workers that start together sweep at different moments, after about the time that was asked for."""
    workers, every = [Sweeps() for _ in range(12)], timedelta(seconds=0.5)
    started = asyncio.get_running_loop().time()
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(sweeping(worker, every=every))
        await asyncio.sleep(2 * every.total_seconds())

    first = [worker.moments[0] - started for worker in workers]
    assert min(first) >= 0.49 * every.total_seconds()
    assert max(first) - min(first) > 0.1 * every.total_seconds()


async def settled(site: Site) -> None:
    """Wait until the ledger is empty."""
    for _ in range(500):
        if not await site.intents():
            return
        await asyncio.sleep(0.02)


async def test_the_lifespan_sweeps(site: Site, tmp_path: Path) -> None:
    """With FILESTORE_SWEEP_EVERY, what is due goes while the application runs."""

    async def get_session() -> AsyncIterator[Any]:
        yield site.session()

    files = Filestore(get_session, settings=settings(tmp_path, sweep_every=0.05), registry=StorageRegistry())
    files.service(Report)
    site.place(path := keys(1)[0])
    await site.intend(path)

    async with files.lifespan(FastAPI()):
        await settled(site)

    assert site.objects() == set()


async def test_the_lifespan_does_not_sweep_unasked(site: Site, tmp_path: Path) -> None:
    """Without the setting, sweeping is left to calls and to cron."""
    files = Filestore(site.session, settings=settings(tmp_path), registry=StorageRegistry())
    files.service(Report)
    await site.intend(*keys(1))

    async with files.lifespan(FastAPI()):
        await asyncio.sleep(0.2)
        assert len(await site.intents()) == 1

        swept = [one async for one in files.sweep()]

    assert [one.error for one in swept] == [None]


async def test_reserved_keys_are_given_back(site: Site, tmp_path: Path) -> None:
    """At the end of the lifespan no intent is left of keys that were reserved and not used."""
    files = Filestore(site.session, settings=settings(tmp_path), registry=StorageRegistry())
    async with files.lifespan(FastAPI()):
        for _ in range(4):
            await site.add()
        assert await site.intents() != set()

    assert await site.intents() == set()


async def test_a_database_that_is_gone_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What can't be given back at the end is logged; the application ends all the same."""

    async def release(*, on_own_loop: bool) -> None:
        raise OSError("The database is gone.")

    monkeypatch.setattr("fastapi_filestore.filestore.lifecycle.release_reservations", release)
    files = Filestore(settings=settings(tmp_path), registry=StorageRegistry())
    async with files.lifespan(FastAPI()):
        pass

    line = 'fastapi_filestore.release_failed error="OSError: The database is gone."'
    assert [each for each in caplog.messages if "release" in each] == [line]
