"""The memory that uploads share: narrower when there are more, in turn when there is none left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from fastapi_filestore import FilestoreSettings, ObstoreBackend
from fastapi_filestore.filestore import Filestore
from fastapi_filestore.storage.budget import MemoryBudget, upload_memory
from fastapi_filestore.storage.obstore.moving.parts import plan_parts
from fastapi_filestore.storage.registry import StorageRegistry

MIB = 1024 * 1024
S3 = {"least": 5 * MIB, "most": 16 * MIB}


async def test_more_uploads_get_narrower_shares() -> None:
    """The first have all they want, the later ones less, and together they stay under the limit."""
    budget = MemoryBudget(64 * MIB)
    async with AsyncExitStack() as stack:
        shares = [await stack.enter_async_context(budget.share(**S3)) for _ in range(5)]

        assert [share.size // MIB for share in shares] == [16, 16, 16, 8, 5]
        assert budget.held == sum(share.size for share in shares) <= budget.limit
    assert budget.held == 0


async def test_who_finds_nothing_left_waits_for_its_turn() -> None:
    """Waiters go on in the order in which they came, and never above the limit."""
    budget, order, held = MemoryBudget(10 * MIB), list[int](), list[int]()

    async def upload(number: int) -> None:
        async with budget.share(**S3):
            order.append(number)
            held.append(budget.held)
            await asyncio.sleep(0.001)

    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(upload(number))

    assert order == list(range(20))
    assert max(held) <= 10 * MIB
    assert budget.held == 0


async def test_nobody_waits_for_a_slow_client_for_ever() -> None:
    """Patience has an end: then what the application stores goes on with the least, above the limit."""
    budget = MemoryBudget(5 * MIB, patience=0.05)
    async with budget.share(**S3), budget.share(**S3) as second:
        assert second.size == 5 * MIB
        assert budget.held == 10 * MIB

    assert budget.held == 0


async def test_who_gives_way_goes_on_after_the_others() -> None:
    """A share that is given way is the next one's, and comes back in its turn."""
    budget, order = MemoryBudget(5 * MIB), list[str]()

    async def other() -> None:
        async with budget.share(**S3):
            order.append("other")

    async with budget.share(**S3) as share:
        await share.give_way()  # to nobody
        waiting = asyncio.create_task(other())
        await asyncio.sleep(0.01)
        await share.give_way()
        order.append("first again")
    await waiting

    assert order == ["other", "first again"]
    assert budget.held == 0


async def test_who_needs_little_never_waits() -> None:
    """A share at once is narrow where there is nothing left."""
    budget = MemoryBudget(5 * MIB)
    async with budget.share(**S3):
        with budget.share_at_once(least=1, most=MIB) as share:
            assert share.size == 1

    assert budget.held == 0


async def test_one_upload_goes_on_however_small_the_budget() -> None:
    """A budget below what a store needs makes uploads go one by one, and none fail."""
    budget = MemoryBudget(1)
    async with budget.share(**S3) as share:
        assert share.size == 5 * MIB


@pytest.mark.parametrize("after_its_turn", [False, True])
async def test_a_cancelled_waiter_gives_way(after_its_turn: bool) -> None:
    """Whoever is cancelled while it waits keeps nothing, and who waits behind it is not forgotten."""
    budget = MemoryBudget(5 * MIB)

    async def wait() -> int:
        async with budget.share(**S3) as share:
            return share.size

    async with budget.share(**S3):
        first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
        await asyncio.sleep(0.01)
        if not after_its_turn:
            first.cancel()
            await asyncio.sleep(0)
    first.cancel()

    assert await asyncio.wait_for(second, 1) == 5 * MIB
    assert budget.held == 0


@pytest.mark.parametrize(
    ("kind", "memory", "size", "concurrency"),
    [("s3", 10, 5, 2), ("s3", 9, 5, 1), ("s3", 1, 5, 1), ("az", 9, 5, 1), ("az", 3, 3, 1), ("az", 0, 1, 1)],
)
def test_a_plan_fits_its_share(kind: str, memory: int, size: int, concurrency: int) -> None:
    """Fewer parts first, then smaller ones, never under what the store takes."""
    plan = plan_parts(kind, size=None, use_multipart=None, chunk_size=None, max_concurrency=None)  # type: ignore[arg-type]
    narrow = plan.within(memory * MIB)

    assert (narrow.size // MIB, narrow.concurrency) == (size, concurrency)


def test_what_was_asked_for_is_not_narrowed() -> None:
    """A caller's own part size stays, and so do parts that a huge file needs."""
    asked = plan_parts("s3", size=None, use_multipart=None, chunk_size=20 * MIB, max_concurrency=3)
    huge = plan_parts("s3", size=200_000 * MIB, use_multipart=None, chunk_size=None, max_concurrency=None)

    assert asked.least == 60 * MIB
    assert huge.within(1).size >= 20 * MIB


async def test_the_setting_is_the_processes_limit() -> None:
    """FILESTORE_UPLOAD_MEMORY holds from the start of an application."""
    before = upload_memory.limit
    settings = FilestoreSettings(_env_file=None, upload_memory=7 * MIB)
    registry = StorageRegistry()
    registry.register_backend(ObstoreBackend(key="a", fs="memory://"))
    try:
        async with Filestore(settings=settings, registry=registry).backends():
            assert upload_memory.limit == 7 * MIB
    finally:
        upload_memory.limit = before


async def test_uploads_of_a_process_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty uploads at once stay under the limit together, all are stored whole, and nothing is held afterwards."""
    monkeypatch.setattr(upload_memory, "limit", 4 * MIB)
    backend, body, held = ObstoreBackend(key="a", fs="memory://"), b"x" * MIB, list[int]()

    async def content() -> AsyncIterator[bytes]:
        for _ in range(3):
            held.append(upload_memory.held)
            yield body

    stored = await asyncio.gather(*(backend.put(f"k{n}", content()) for n in range(20)))

    assert {info.size for info in stored} == {3 * MIB}
    assert 0 < max(held) <= 4 * MIB
    assert upload_memory.held == 0
