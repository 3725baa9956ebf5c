"""The event loop that something belongs to: from any other loop it is read by way of that one."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar, cast

from anyio import CancelScope

from fastapi_filestore.errors import BlockingCallError
from fastapi_filestore.storage.loops import Call, refuse_stopped, running_loop

T = TypeVar("T")

PATIENCE = 15.0
"""Seconds in which an event loop that runs does what it is asked to, whatever else it has to do."""
_END: Final = object()


class HomeLoop:
    """The event loop of those who made something, such as the body of a request: on no other one does it go on."""

    __slots__ = ("_loop", "_process")

    def __init__(self) -> None:
        self._loop, self._process = running_loop(), os.getpid()

    @property
    def _other(self) -> asyncio.AbstractEventLoop | None:
        """The loop if it runs, and elsewhere than the caller."""
        loop = self._loop
        if loop is None or loop is running_loop() or self._process != os.getpid():
            return None
        return loop if loop.is_running() else None

    def refuse_stopped(self, what: object) -> None:
        """Raise `BlockingCallError` if the loop stands still as long as the caller is waited for."""
        refuse_stopped(self._loop, what)

    async def run(self, work: Callable[[], Awaitable[T]], what: object) -> T:
        """Have the loop do something, and wait for it wherever this is.

        Raises:
            BlockingCallError: The loop stands still as long as the caller is waited for, or has come to its end.
        """
        loop = self._other
        if loop is None:
            return await work()
        self.refuse_stopped(what)
        return await _arrived(loop, work, what)

    def each(self, chunks: AsyncGenerator[T, None], what: object) -> AsyncGenerator[T, None]:
        """Return an iterator over what the loop yields, wherever it is read, one thing at a time."""
        return chunks if self._other is None else self._handed_over(chunks, what)

    async def _handed_over(self, chunks: AsyncGenerator[T, None], what: object) -> AsyncGenerator[T, None]:
        async def next_chunk() -> object:
            return await anext(chunks, _END)

        self.refuse_stopped(what)
        try:
            while (chunk := await self.run(next_chunk, what)) is not _END:
                yield cast("T", chunk)
        except BlockingCallError:
            raise  # nobody is there to close them
        except BaseException:
            await self.run(chunks.aclose, what)
            raise


async def _arrived(loop: asyncio.AbstractEventLoop, work: Callable[[], Awaitable[T]], what: object) -> T:
    async def begun() -> T:
        return await work()

    call = Call(begun(), loop)
    end = asyncio.wrap_future(call.end)
    try:
        while not (await asyncio.wait({end}, timeout=PATIENCE))[0]:
            await _refuse_dead(loop, what)
    except asyncio.CancelledError:
        call.cancel()
        with CancelScope(shield=True):  # what is read must stand still before it is closed
            await asyncio.wait({end}, timeout=PATIENCE)
        raise
    if end.cancelled():  # not by us: an event loop that ends cancels what it runs
        raise _gone(what)
    return end.result()


def _gone(what: object) -> BlockingCallError:
    return BlockingCallError(
        f"{what} needs an event loop that does nothing any more: it has ended, or something blocks its thread, "
        "perhaps a blocking call that waits for this. Await `file.save_async()` before the file is given to "
        "what blocks."
    )


async def _refuse_dead(loop: asyncio.AbstractEventLoop, what: object) -> None:
    """Raise `BlockingCallError` if an event loop does nothing any more, as if something blocked it, or it had ended."""
    sign: Future[Any] = Future()
    try:
        loop.call_soon_threadsafe(sign.set_result, None)
        await asyncio.wait_for(asyncio.wrap_future(sign), PATIENCE)
    except (RuntimeError, TimeoutError) as error:
        raise _gone(what) from error
