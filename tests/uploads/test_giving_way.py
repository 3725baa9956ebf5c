"""Memory goes to those who send: who is waited for gives way to who waits."""

import asyncio

import pytest

from fastapi_filestore.errors import UploadMemoryError
from fastapi_filestore.storage.budget import ENDS_AFTER, ENDS_IN_FLOW_AFTER, MemoryBudget
from fastapi_filestore.storage.share import STEP, Share
from tests.uploads.waiting import MIB, PART, Client, holder


async def test_what_was_taken_in_advance_is_given_back() -> None:
    """Clients that pause keep what they have sent, and the rest goes to somebody else without a wait."""
    budget = MemoryBudget(10 * MIB)
    paused = [await holder(budget, behind=0.3, used=MIB) for _ in range(2)]
    async with asyncio.timeout(5), budget.share(**PART):
        assert [client.share.size for client in paused] == [MIB, MIB]

    assert not any(client.errors for client in paused)


async def test_who_goes_on_takes_it_again() -> None:
    """A client that has given something back has it again before it sends more than it kept."""
    budget = MemoryBudget(5 * MIB)
    client = await holder(budget, behind=0.3, used=MIB)
    async with budget.share(least=4 * MIB, most=4 * MIB):
        assert client.share.size == MIB
        client.behind = 0
        going_on = asyncio.create_task(client.share.count(100))
        await asyncio.sleep(0.01)
        assert not going_on.done()
    await asyncio.wait_for(going_on, 5)

    assert client.share.size == budget.held == 5 * MIB


async def test_who_is_furthest_behind_is_ended() -> None:
    """When that does not do, one client after the other is ended with a 503, and no more of them than need be."""
    budget = MemoryBudget(15 * MIB)
    clients = [await holder(budget, behind=ENDS_AFTER + more) for more in (1, 2, 0)]
    async with asyncio.timeout(5), budget.share(**PART):
        assert [len(client.errors) for client in clients] == [0, 1, 0]
        async with budget.share(**PART):
            assert [len(client.errors) for client in clients] == [1, 1, 0]

    assert isinstance(clients[0].errors[0], UploadMemoryError)


async def test_who_sends_is_not_ended() -> None:
    """As long as somebody moves, or is waited for only for a moment, whoever comes later waits, and is refused."""
    budget = MemoryBudget(10 * MIB, patience=0.2)
    clients = [await holder(budget, behind=behind) for behind in (0, ENDS_AFTER / 2)]
    later = Share(budget)
    later.sender = Client(0, later)
    with pytest.raises(UploadMemoryError):
        await later.widen(**PART)

    assert budget.held == 10 * MIB
    assert not budget.is_wanted
    assert not any(client.errors for client in clients)


async def test_in_a_jam_they_are_ended_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no memory became free by itself for a while, nobody is waited for as long as else."""
    budget = MemoryBudget(10 * MIB)
    clients = [await holder(budget, behind=ENDS_AFTER / 2) for _ in range(2)]
    monkeypatch.setattr("fastapi_filestore.storage.budget.JAMMED_AFTER", 0.1)
    await asyncio.sleep(0.1)
    async with asyncio.timeout(5), budget.share(**PART):
        assert sum(len(client.errors) for client in clients) == 1


async def test_while_memory_flows_nobody_is_ended() -> None:
    """As long as bytes reach their stores, a client that is silent for some seconds is spared, but not for ever."""
    budget = MemoryBudget(10 * MIB)
    flowing, silent = [await holder(budget, behind=behind) for behind in (0, ENDS_IN_FLOW_AFTER - 1)]
    flowing.share.let_go(0)
    waiting = asyncio.create_task(budget.take(Share(budget), 5 * MIB))
    await asyncio.sleep(0)
    assert budget.is_wanted
    assert not silent.errors
    flowing.share.let_go(0)
    silent.behind = ENDS_IN_FLOW_AFTER

    await asyncio.wait_for(waiting, 5)
    assert (len(flowing.errors), len(silent.errors)) == (0, 1)


async def test_who_holds_little_is_ended_last() -> None:
    """Those go first whose end frees something, however far behind those are who hold a first step only."""
    budget = MemoryBudget(5 * MIB + 2 * STEP)
    little = [await holder(budget, behind=ENDS_AFTER + more, size=STEP) for more in (2, 3)]
    much = await holder(budget, behind=ENDS_AFTER + 1)
    async with asyncio.timeout(5), budget.share(**PART):
        assert (len(much.errors), [len(client.errors) for client in little]) == (1, [0, 0])
        async with budget.first_step():
            assert [len(client.errors) for client in little] == [0, 1]


async def test_a_jam_is_not_blamed_on_who_holds_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow client that holds a first step only is waited for as long as else, since others jam the memory."""
    monkeypatch.setattr("fastapi_filestore.storage.budget.JAMMED_AFTER", 0.1)
    budget = MemoryBudget(5 * MIB + STEP, patience=0.3)
    slow, much = await holder(budget, behind=ENDS_AFTER * 0.9, size=STEP), await holder(budget, behind=0)
    await asyncio.sleep(0.1)
    later = Share(budget)
    later.sender = Client(0, later)
    with pytest.raises(UploadMemoryError):
        await budget.take(later, STEP, is_first=True)

    assert (slow.errors, much.errors) == ([], [])
