"""Somebody always goes on: whose turn it is when all wait for memory, or wait to keep more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from starlette.requests import Request

from fastapi_filestore.errors import UploadMemoryError
from fastapi_filestore.intake.forms.limits import FormLimits, Pace
from fastapi_filestore.intake.forms.multipart import FormReader
from fastapi_filestore.storage.budget import ENDS_AFTER, MemoryBudget, upload_memory
from fastapi_filestore.storage.share import STEP, Share
from fastapi_filestore.web.receiving.bodies import json_body
from tests.uploads.waiting import MIB, PART, Client, holder


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
