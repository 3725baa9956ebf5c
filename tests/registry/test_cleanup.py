"""Work that reaches its end whoever cancels meanwhile."""

import asyncio

import pytest
from anyio import move_on_after

from fastapi_filestore.concurrency.shielded import finish


class Work:
    """Work that takes a moment and says when it is begun and ended."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun, self.ended, self.error = asyncio.Event(), False, error

    async def run(self) -> str:
        """Take a moment."""
        self.begun.set()
        await asyncio.sleep(0.02)
        self.ended = True
        if self.error is not None:
            raise self.error
        return "done"


async def test_result() -> None:
    """Without a cancellation the result is returned."""
    assert await finish(Work().run()) == "done"


async def test_error() -> None:
    """Without a cancellation an error is raised as it is."""
    with pytest.raises(LookupError):
        await finish(Work(LookupError()).run())


@pytest.mark.parametrize("times", [1, 3])
async def test_cancelled(times: int) -> None:
    """A task that is cancelled, even repeatedly, is so after the work has ended."""
    work = Work()
    task = asyncio.create_task(finish(work.run()))
    await work.begun.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task

    assert work.ended
    assert task.cancelled()


async def test_cancelled_by_anyio() -> None:
    """A cancel scope, which cancels at every await, does not stop the work, and acts at the next await."""
    work = Work()
    with move_on_after(0.001) as scope:
        await finish(work.run())
        await asyncio.sleep(0)

    assert work.ended
    assert scope.cancelled_caught


async def test_timeout() -> None:
    """A timeout fires after the work has ended."""
    work = Work()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await finish(work.run())

    assert work.ended


async def test_cancelled_and_failing() -> None:
    """Of a cancellation and an error the cancellation is raised, and the error is its cause."""
    work = Work(LookupError("gone"))
    task = asyncio.create_task(finish(work.run()))
    await work.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task

    assert isinstance(caught.value.__cause__, LookupError)


async def test_patience() -> None:
    """Work that hangs is given up some time after the cancellation."""
    begun, hung = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        begun.set()
        await hung.wait()

    task = asyncio.create_task(finish(hang(), patience=0.01))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
