"""The background loop that runs coroutines for callers who have none."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fastapi_filestore.concurrency.blocking import run_blocking
from fastapi_filestore.errors import StorageError


async def _twice(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def test_result() -> None:
    """The result comes back."""
    assert run_blocking(_twice(21)) == 42


def test_error() -> None:
    """An error comes back as it is."""

    async def fail() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        run_blocking(fail())


def test_tracebacks_are_short() -> None:
    """The traceback of an error of the library names the call and none of its steps, however often it is raised."""
    error = StorageError("The store is down.")
    error.__cause__ = OSError("refused")

    async def fail(depth: int) -> None:
        if depth == 0:
            raise error
        await fail(depth - 1)

    lengths = list[int]()
    for _ in range(4):
        with pytest.raises(StorageError) as caught:
            run_blocking(fail(20))
        assert caught.value is error
        lengths.append(len(caught.traceback))

    assert isinstance(error.__cause__, OSError)
    assert lengths == [4] * 4


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_what_ends_a_program(kind: type[BaseException], depth: int) -> None:
    """What asyncio lets out of a loop, even out of an inner task, reaches the caller, and the loop lives on."""

    async def leave(depth: int) -> None:
        if depth == 0:
            raise kind
        await asyncio.create_task(leave(depth - 1))

    for _ in range(2):
        with pytest.raises(kind):
            run_blocking(leave(depth))

    assert run_blocking(_twice(21)) == 42


def test_others_go_on_when_one_ends() -> None:
    """Callers of other threads get their results though one of their neighbours raises SystemExit."""

    async def leave() -> int:
        raise SystemExit(1)

    with ThreadPoolExecutor(16) as pool:
        results = [pool.submit(run_blocking, leave() if number % 4 == 0 else _twice(number)) for number in range(64)]

    assert [result.result() for result in results if result.exception() is None] == [
        2 * number for number in range(64) if number % 4
    ]


async def test_inside_a_loop() -> None:
    """It runs on another loop than the caller's, so it works inside one."""

    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert run_blocking(loop()) is not asyncio.get_running_loop()
    assert run_blocking(loop()) is run_blocking(loop())


def test_many_threads() -> None:
    """Callers of many threads share one loop and wait for their own results only."""
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda number: run_blocking(_twice(number)), range(200)))

    assert results == [2 * number for number in range(200)]
    assert [thread.name for thread in threading.enumerate()].count("fastapi-filestore") == 1


def test_from_its_own_loop() -> None:
    """A blocking call on the library's own loop would wait for ever, so it is an error."""

    async def nested() -> int:
        return run_blocking(_twice(1))

    with pytest.raises(RuntimeError, match="await its async twin"):
        run_blocking(nested())


def test_the_loop_does_not_keep_the_process() -> None:
    """The loop's thread is a daemon: it never keeps a process from ending."""
    run_blocking(_twice(1))
    [thread] = [thread for thread in threading.enumerate() if thread.name == "fastapi-filestore"]

    assert thread.daemon
