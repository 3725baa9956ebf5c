"""Blocking twins and event loops: what needs the loop that a call stops is refused, and read by way of any other."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from fastapi_filestore import BlockingCallError, FileObject, StorageRegistry
from fastapi_filestore.concurrency import loops as home
from tests.loops import PATIENCE, in_loop, in_thread


async def queued(*chunks: bytes) -> AsyncIterator[bytes]:
    """Yield chunks that a task of the loop puts into a queue."""
    queue = asyncio.Queue[bytes]()

    async def fill() -> None:
        for chunk in (*chunks, b""):
            await asyncio.sleep(0.01)
            await queue.put(chunk)

    filling = asyncio.create_task(fill())
    while chunk := await queue.get():
        yield chunk
    await filling


def test_a_file_that_a_task_of_the_loop_is_saving(registry: StorageRegistry) -> None:
    """A blocking call that would wait for a task of the loop that it stops says so; the task goes on."""

    async def work() -> bytes:
        file = FileObject("memory", content=queued(b"a", b"b"), registry=registry)
        saving = asyncio.create_task(file.save_async())
        await asyncio.sleep(0)
        with pytest.raises(BlockingCallError, match="await the async twin"):
            file.save()
        return await (await saving).get_content_async()

    assert in_loop(work) == b"ab"


def test_a_source_that_a_task_of_the_loop_is_reading(registry: StorageRegistry) -> None:
    """The same holds for two files that have one iterator for their content."""

    async def work() -> bytes:
        going_on = asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            await going_on.wait()
            yield b"a"

        source = chunks()
        first, second = (FileObject("memory", content=source, registry=registry) for _ in range(2))
        saving = asyncio.create_task(first.save_async())
        await asyncio.sleep(0.1)
        with pytest.raises(BlockingCallError):
            second.save()
        going_on.set()
        return await (await saving).get_content_async()

    assert in_loop(work) == b"a"


def test_content_of_the_loop_that_is_stopped(registry: StorageRegistry) -> None:
    """Content that may need the loop is refused by a blocking call in it, unread, and can be awaited then."""

    async def work() -> bytes:
        file = FileObject("memory", content=queued(b"a", b"b"), registry=registry)
        with pytest.raises(BlockingCallError, match="save_async"):
            file.save()
        return await (await file.save_async()).get_content_async()

    assert in_loop(work) == b"ab"


def test_content_of_a_loop_that_runs(registry: StorageRegistry) -> None:
    """A thread that blocks reads content of a loop by way of that loop."""

    async def work() -> bytes:
        file = FileObject("memory", content=queued(b"a" * 100_000, b"b"), registry=registry)
        await asyncio.to_thread(file.save)
        return await file.get_content_async()

    assert in_loop(work) == b"a" * 100_000 + b"b"


def test_errors_and_ends_of_content_of_another_loop(registry: StorageRegistry) -> None:
    """An error of content crosses from loop to loop, and so does the end of who reads it."""
    closed = list[str]()

    async def failing() -> AsyncIterator[bytes]:
        yield b"a"
        raise LookupError("gone")

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0)
        finally:
            closed.append(threading.current_thread().name)

    async def work() -> None:
        for content, error in ((failing(), LookupError), (endless(), TimeoutError)):
            file = FileObject("memory", content=content, registry=registry)
            with pytest.raises(error):
                await asyncio.to_thread(asyncio.run, asyncio.wait_for(file.save_async(), 0.3))
        closed.append(threading.current_thread().name)

    in_loop(work)

    assert len(closed) == 2
    assert closed[0] == closed[1]


def test_content_of_a_loop_that_has_ended(registry: StorageRegistry) -> None:
    """Content that a loop made which has ended is read where it is stored."""

    async def work() -> FileObject:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"a"

        return FileObject("memory", content=chunks(), registry=registry)

    assert in_loop(work).save().get_content() == b"a"


@pytest.mark.parametrize("way", ["blocking", "async"])
def test_a_loop_that_ends_half_way(registry: StorageRegistry, way: str) -> None:
    """Content whose loop ends while it is read says so; it does not look as if the caller had been cancelled."""
    given, is_read = Future[FileObject](), threading.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"a"
        is_read.set()
        await asyncio.sleep(PATIENCE)

    async def give_and_end() -> None:
        given.set_result(FileObject("memory", content=chunks(), registry=registry))
        await asyncio.to_thread(is_read.wait, PATIENCE)

    threading.Thread(target=asyncio.run, args=(give_and_end(),), daemon=True).start()
    file = given.result(PATIENCE)
    with pytest.raises(BlockingCallError, match="it has ended"):
        in_thread(file.save) if way == "blocking" else in_loop(file.save_async)


def test_a_loop_that_something_blocks(registry: StorageRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that waits by a way of its own for what needs it is found out after a while."""
    monkeypatch.setattr(home, "ANSWER_TIMEOUT", 0.2)

    async def work() -> Any:
        file = FileObject("memory", content=queued(b"a"), registry=registry)
        with pytest.raises(BlockingCallError, match="does nothing any more"):
            in_thread(file.save)  # which no context tells of

    in_loop(work)


def test_a_loop_that_is_slow(registry: StorageRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content may take longer than a loop takes to answer."""
    monkeypatch.setattr(home, "ANSWER_TIMEOUT", 0.05)

    async def slow() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.5)
        yield b"a"

    async def work() -> bytes:
        file = FileObject("memory", content=slow(), registry=registry)
        return (await asyncio.to_thread(file.save)).get_content()

    assert in_loop(work) == b"a"


@pytest.mark.parametrize("way", ["blocking", "async"])
def test_content_that_waits_for_its_own_file(registry: StorageRegistry, way: str) -> None:
    """Content that stores the file which it is the content of is told so, and does not wait for itself."""

    def chunks() -> Iterator[bytes]:
        yield b"a"
        file.save()

    async def async_chunks() -> AsyncIterator[bytes]:
        yield b"a"
        await file.save_async()

    file = FileObject("memory", content=chunks() if way == "blocking" else async_chunks(), registry=registry)
    with pytest.raises(BlockingCallError, match="waits for that file"):
        in_thread(file.save)


def test_a_blocking_call_inside_content(registry: StorageRegistry) -> None:
    """Content that blocks inside a call which stops a loop is told of that loop as well."""

    async def work() -> None:
        other = FileObject("memory", content=queued(b"a"), registry=registry)

        def chunks() -> Iterator[bytes]:
            yield other.save().get_content()

        with pytest.raises(BlockingCallError):
            FileObject("memory", content=chunks(), registry=registry).save()

    in_loop(work)
