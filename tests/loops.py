"""Threads and event loops beside that of a test; a call that hangs there fails."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


PATIENCE = 30.0
"""Seconds after which a call has hung."""


def in_thread(work: Callable[[], T], *, patience: float = PATIENCE) -> T:
    """Run a function in a thread; fail if it hangs, and leave it behind."""
    end = Future[T]()

    def run() -> None:
        try:
            end.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised below
            end.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return end.result(patience)


def in_loop(work: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine on an event loop of a thread of its own; fail if it hangs."""
    return in_thread(lambda: asyncio.run(_awaited(work)))


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()
