"""A sweeper and live transactions: what an open one still claims is not touched, and what was taken is not written."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, IntentLostError, StorageUnavailableError, sweep
from fastapi_filestore.orm.sessions import run_in_session
from fastapi_filestore.orm.unit_of_work.transfer import store
from tests.maintenance.conftest import Site, database_url, keys, make_engine
from tests.maintenance.models import LEDGER, QUICK_LEDGER, Clip, Report

ROOT = Path(__file__).parents[2]


async def stored(site: Site) -> FileObject:
    """Return a file whose bytes are stored, and whose intent is due."""
    file = FileObject("shelf", "a.txt", content=b"content")
    await store([(file, site.access)])
    await site.let_fall_due()
    return file


async def flushed(session: Any, row: object) -> None:
    """Write a row in a transaction that stays open."""

    def write(plain: Session) -> None:
        plain.add(row)
        plain.flush()

    await run_in_session(session, write)


async def unavailable(*paths: str) -> None:
    """Fail as a store does that is down."""
    raise StorageUnavailableError("It is down.")


async def test_an_open_transaction_keeps_its_claim(site: Site) -> None:
    """An intent that an open transaction settled is not taken; after the commit its bytes are there."""
    file = await stored(site)
    async with site.service() as service:
        await flushed(service.session, row := Report(file=file))

        assert await site.sweep() == []

        await service.commit()
        identity = row.id
    assert await site.sweep() == []
    async with site.service() as service:
        assert await (await service.file(identity, field="file")).get_content_async() == b"content"


async def test_a_rolled_back_transaction_gives_its_claim_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a rollback that could not delete the bytes, the intent is as due as before, and a sweeper deletes them."""
    file = await stored(site)
    async with site.service() as service:
        await flushed(service.session, Report(file=file))
        with monkeypatch.context() as down:
            down.setattr(site.backend, "delete", unavailable)
            await service.rollback()
    assert await site.intents() == site.objects() != set()

    await site.sweep()

    assert await site.intents() == site.objects() == set()


async def test_a_lost_intent(site: Site) -> None:
    """A unit of work whose intent was taken fails, and leaves neither row nor bytes nor intent."""
    file = await stored(site)
    assert [one.path for one in await site.sweep()] == [file.path]

    async with site.service() as service:
        with pytest.raises(IntentLostError, match="min_age"):
            await flushed(service.session, Report(file=file))
        await service.rollback()

    assert await site.execute(select(Report.id)) == []
    assert site.objects() == await site.intents() == set()


async def test_a_claim_that_is_being_executed(site: Site) -> None:
    """Between a sweeper's claim and its deletion, too, a unit of work that comes late fails."""
    file = await stored(site)
    await site.execute(update(LEDGER.table).values(kind="delete", due_at=LEDGER.table.c.due_at + 300))

    async with site.service() as service:
        with pytest.raises(IntentLostError):
            await flushed(service.session, Report(file=file))
        await service.rollback()

    assert await site.execute(select(Report.id)) == []


async def test_deletions_wait_for_their_commit(site: Site) -> None:
    """A file that an open transaction deletes is not swept; after a rollback it is still there."""
    row = await site.add()
    async with site.service() as service:
        await service.delete(row.id)

        assert await site.sweep() == []

        await service.rollback()
    assert await site.intents() == set()
    assert len(site.objects()) == 1


async def slow(seconds: float) -> AsyncIterator[bytes]:
    """Yield a byte every tenth of a second."""
    for _ in range(round(seconds * 10)):
        yield b"x"
        await asyncio.sleep(0.1)


async def test_a_long_upload_renews_its_claim(site: Site) -> None:
    """An upload that takes three times its intent's age is not taken for garbage by a sweeper beside it."""

    async def sweeping() -> None:
        while not stored.is_set():
            swept.extend([one.path async for one in sweep(site.engine, QUICK_LEDGER)])
            await asyncio.sleep(0.1)

    swept, stored = list[str](), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(sweeping())
        clip = await site.add(Clip, file=FileObject(filename="clip", content=slow(3 * QUICK_LEDGER.min_age)))
        stored.set()  # and the sweeper comes to its end: a driver that is cut off in mid-air loses its connection

    assert clip.file.path not in swept
    assert site.objects() == {clip.file.path}


async def start(url: str, folder: Path) -> Process:
    """Start a sweeper in a process of its own, ready to begin."""
    command = (sys.executable, "-m", "tests.maintenance.sweeper", url, str(folder))
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize("kind", ["sqlite-sync", "postgres-sync"])
async def test_many_processes(kind: str, request: pytest.FixtureRequest, tmp_path: Path, shelf: Any) -> None:
    """Processes that sweep at once share the intents out among them, each to one."""
    url, paths = database_url(kind, request, tmp_path), keys(200)
    site = Site(make_engine(kind, request, tmp_path), shelf, tmp_path / "shelf")
    await asyncio.to_thread(LEDGER.table.create, site.plain, checkfirst=True)
    for path in paths:
        site.place(path)
    await site.intend(*paths)

    processes = await asyncio.gather(*(start(url, site.root) for _ in range(3)))
    outputs = await asyncio.gather(*(each.communicate(b"go\n") for each in processes))

    lines = [line.split() for output, _ in outputs for line in output.decode().splitlines()]
    assert Counter(path for path, _ in lines) == Counter(paths)
    assert {error for _, error in lines} == {"None"}
    assert site.objects() == await site.intents() == set()
    await asyncio.to_thread(site.plain.dispose)
