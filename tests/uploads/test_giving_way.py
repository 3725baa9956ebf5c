"""Memory goes to those who send: who is waited for gives way to who waits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.requests import Request

from fastapi_filestore.errors import FilestoreError, UploadMemoryError
from fastapi_filestore.intake.forms.limits import FormLimits, Pace
from fastapi_filestore.intake.forms.multipart import FormReader
from fastapi_filestore.storage.budget import ENDS_AFTER, ENDS_IN_FLOW_AFTER, MemoryBudget, upload_memory
from fastapi_filestore.storage.share import STEP, Share
from fastapi_filestore.web.receiving.bodies import json_body

MIB = 1024 * 1024
PART = {"least": 5 * MIB, "most": 5 * MIB}
PATIENT = {"timeout": 5}


@dataclass
class Client:
    """A client that is so many seconds behind; what it holds is given back when it is ended."""

    behind: float
    share: Share
    errors: list[FilestoreError] = field(default_factory=list[FilestoreError])

    @property
    def is_ending(self) -> bool:
        """Whether it was ended."""
        return bool(self.errors)

    def end(self, error: FilestoreError) -> None:
        """Note an error, and give everything back a little later, as an upload does that is aborted."""
        self.errors.append(error)
        asyncio.get_running_loop().call_later(0.01, self.share.budget.give_back, self.share)


async def holder(budget: MemoryBudget, *, behind: float, used: int = 5 * MIB, size: int = 5 * MIB) -> Client:
    """Return a client that holds memory, for a part if nothing else is said."""
    share = Share(budget)
    await budget.take(share, size)
    share.used = used
    share.sender = client = Client(behind, share)
    return client


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


async def test_somebody_always_goes_on() -> None:
    """When all who hold memory wait for more, the first of them has it, and then the next one."""
    budget, order = MemoryBudget(4 * MIB), list[int]()

    async def upload(number: int) -> None:
        async with budget.share(least=MIB, most=MIB) as share:
            await asyncio.sleep(0.01)
            await share.widen(least=5 * MIB, most=5 * MIB)
            order.append(number)
            assert budget.held <= 9 * MIB
            await asyncio.sleep(0.01)

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(upload(number))

    assert sorted(order) == list(range(12))
    assert budget.held == 0


async def test_first_steps_keep_nobody_from_going_on() -> None:
    """Where a budget is full of first steps, uploads go on one after the other, and no client is refused."""
    budget, done = MemoryBudget(4 * STEP, patience=1), list[int]()

    async def upload(number: int) -> None:
        async with budget.first_step() as share:
            share.sender = Client(0, share)
            await asyncio.sleep(0.01)
            await share.widen(**PART)
            assert budget.held <= 5 * MIB + 4 * STEP
            await asyncio.sleep(0.01)
            await share.give_way()
            done.append(number)

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(upload(number))

    assert sorted(done) == list(range(12))
    assert budget.held == 0


async def test_who_waits_is_patient_while_bytes_reach_a_store() -> None:
    """An upload is not refused as long as another one's bytes reach their store, though nobody's turn comes."""
    budget = MemoryBudget(5 * MIB, patience=1)
    first, later = await holder(budget, behind=0), Share(budget)
    later.sender = Client(0, later)
    waiting = asyncio.create_task(later.widen(**PART))
    for _ in range(25):
        await asyncio.sleep(0.05)
        first.share.let_go(1)
    assert not waiting.done()
    budget.give_back(first.share)

    await asyncio.wait_for(waiting, 5)
    assert later.size == 5 * MIB


async def test_a_first_step_is_before_all_who_wait() -> None:
    """A small upload does not stand in line behind the parts of big ones."""
    budget = MemoryBudget(6 * MIB)
    async with budget.share(**PART):
        big = asyncio.create_task(budget.take(Share(budget), 5 * MIB))
        await asyncio.sleep(0.01)
        async with asyncio.timeout(5), budget.first_step() as share:
            assert share.size == STEP
        big.cancel()
        await asyncio.wait({big})

    assert not budget.is_wanted


async def keeper(budget: MemoryBudget, size: int, *, behind: float = 0) -> Client:
    """Return a client of whose body so much is kept."""
    share = budget.kept()
    await share.keep(size)
    share.sender = client = Client(behind, share)
    return client


async def test_who_waits_to_keep_more_is_refused_first() -> None:
    """For a file, the one who holds most of those who wait to keep more is refused, and no file is ended."""
    budget = MemoryBudget(10 * MIB)
    file = await holder(budget, behind=0)
    kept = [await keeper(budget, size) for size in (2 * MIB, 3 * MIB)]
    more = [asyncio.create_task(keep_more(client)) for client in kept]
    await asyncio.sleep(0.01)
    file.behind = 2 * ENDS_AFTER
    async with asyncio.timeout(5), budget.first_step():
        await asyncio.wait(more)  # there is room for the other one then

    assert [type(task.exception()) for task in more] == [type(None), UploadMemoryError]
    assert not file.errors


async def test_what_is_kept_comes_last() -> None:
    """Whoever waits to keep more, however much it holds already, goes on after the files that came later."""
    budget, order = MemoryBudget(10 * MIB, patience=5), list[str]()
    kept = await keeper(budget, MIB)
    kept.share.size -= MIB  # nothing is freed by refusing it
    first, later = await holder(budget, behind=0), Share(budget)

    async def go_on(name: str, wait: Awaitable[None]) -> None:
        await wait
        order.append(name)

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(go_on("kept", kept.share.budget.take(kept.share, 5 * MIB)))
        await asyncio.sleep(0.01)
        group.create_task(go_on("file", budget.take(later, 5 * MIB)))
        await asyncio.sleep(0.01)
        budget.give_back(first.share)
        await asyncio.sleep(0.01)
        assert order == ["file"]
        budget.give_back(later)

    assert order == ["file", "kept"]


async def test_what_is_kept_passes_the_limit_once() -> None:
    """Where all who hold memory wait to keep more, one of them goes on to its end, and then the next."""
    budget, most, done = MemoryBudget(8 * MIB, patience=5), 4 * MIB, list[int]()

    async def send(number: int) -> None:
        share = budget.kept()
        for size in range(STEP, most + 1, STEP):
            await share.keep(size)
            assert budget.held <= budget.limit + most
            await asyncio.sleep(0)
        budget.give_back(share)
        done.append(number)

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(send(number))

    assert sorted(done) == list(range(12))
    assert budget.held == 0


async def test_who_is_kept_and_stops_is_ended_sooner() -> None:
    """A client that stops in what is kept is ended for somebody else before one that stops in a file."""
    budget = MemoryBudget(10 * MIB)
    file, kept = await holder(budget, behind=ENDS_AFTER + 1), await keeper(budget, 5 * MIB, behind=ENDS_AFTER / 2)
    async with asyncio.timeout(5), budget.share(**PART):
        assert (len(file.errors), len(kept.errors)) == (0, 1)


async def keep_more(client: Client) -> None:
    """Keep more, and hold nothing if that fails, as a request does."""
    try:
        await client.share.keep(client.share.size + STEP)
    except UploadMemoryError:
        client.share.budget.give_back(client.share)
        raise


# -- what is kept of a body -----------------------------------------------------------------------------------------


async def test_json_counts() -> None:
    """A body that is kept whole is in the same budget as it comes, and no longer than that."""
    held = list[int]()

    async def receive() -> dict[str, Any]:
        held.append(upload_memory.held)
        return {"type": "http.request", "body": b"1" * 100_000, "more_body": len(held) < 4}

    headers = [(b"transfer-encoding", b"chunked"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "PATCH", "path": "/", "http_version": "1.1", "headers": headers}
    body = await json_body(Request(scope, receive), MIB, pace=Pace())

    assert (len(body), held) == (400_000, [0, STEP, 2 * STEP, 3 * STEP])
    assert upload_memory.held == 0


async def test_fields_count() -> None:
    """Long fields are in the same budget as they come, and once more where they are kept as text."""
    budget = MemoryBudget()
    memory, held = budget.kept(), list[int]()

    async def form() -> AsyncIterator[bytes]:
        for number in range(5):
            yield f'--b\r\nContent-Disposition: form-data; name="{number}"\r\n\r\n'.encode() + b"x" * 50_000 + b"\r\n"
            held.append(budget.held)
        yield b"--b--\r\n"

    limits = FormLimits(file_size=1, fields=5, field_size=50_000)
    reader = FormReader(form(), content_type="multipart/form-data; boundary=b", limits=limits, memory=memory)
    assert await reader.next_file() is None

    assert held == [0, STEP, 2 * STEP, 2 * STEP, 2 * STEP]
    budget.give_back(memory)
    assert budget.held == 0
