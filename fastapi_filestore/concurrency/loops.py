"""Keep to the event loop that something belongs to, and make calls from one loop to another."""

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, cast

from anyio import CancelScope, from_thread

from fastapi_filestore.errors import BlockingCallError

T = TypeVar("T")

SAVE_FIRST: Final = "`await file.save_async()` before the file is given to what blocks"
"""The remedy for a file whose content needs a loop that stands still."""


@dataclass(slots=True, eq=False)
class _Stop:
    """Note a blocking call in the thread of an event loop, which stands still meanwhile."""

    loop: asyncio.AbstractEventLoop
    is_over: bool = False


_stops: ContextVar[tuple[_Stop, ...]] = ContextVar("fastapi_filestore_stops", default=())
"""The blocking calls that wait for what runs in this context, on whichever loop or thread."""


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, if there is one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def late_call() -> BlockingCallError:
    """Return the error of a call when the interpreter ends: what waits for a thread then waits for ever."""
    return BlockingCallError(
        "The interpreter is ending, and runs no thread any more: store, read and delete files before, in a function "
        "that `atexit` calls at the latest."
    )


@contextmanager
def stopping_loop() -> Iterator[None]:
    """Note that the block keeps this thread's event loop, if there is one, from running."""
    loop = running_loop()
    if loop is None:
        yield
        return
    stop, outer = _Stop(loop), _stops.get()
    _stops.set((*outer, stop))
    try:
        yield
    finally:
        stop.is_over = True  # tasks that outlive the call have inherited this
        _stops.set(outer)


def refuse_stopped(loop: asyncio.AbstractEventLoop | None, what: object, remedy: str = SAVE_FIRST) -> None:
    """Raise `BlockingCallError` if what needs a loop is itself waited for by a blocking call in that loop's thread."""
    for stop in _stops.get():
        if stop.loop is loop and not stop.is_over:
            raise BlockingCallError(
                f"{what} needs the event loop that this blocking call has stopped, and would never come: await the "
                f"async twin instead, such as {remedy}."
            )


class Call(Generic[T]):
    """A coroutine on its way through a loop of another thread, whose end can be waited for anywhere."""

    def __init__(self, work: Coroutine[object, object, T], loop: asyncio.AbstractEventLoop) -> None:
        self._work, self._loop = work, loop
        self._task: asyncio.Future[T] | None = None
        self.end = Future[T]()

        def begin() -> None:
            self._task = asyncio.ensure_future(work)
            self._task.add_done_callback(end)

        def end(task: "asyncio.Future[T]") -> None:
            if task.cancelled():
                self.end.cancel()
                self.end.set_running_or_notify_cancel()  # for those who wait for it
            elif error := task.exception():
                self.end.set_exception(error)
            else:
                self.end.set_result(task.result())

        loop.call_soon_threadsafe(begin)

    def cancel(self) -> None:
        """Ask it to end; it is at its end only when it says so."""

        def cancel() -> None:
            if self._task is not None:
                self._task.cancel()

        self._loop.call_soon_threadsafe(cancel)

    def abandon(self) -> None:
        """Let go of work whose loop does nothing any more: it neither begins nor goes on if that ever runs again."""
        with suppress(RuntimeError):  # it is closed
            self.cancel()
            return
        if self._task is None:
            self._work.close()


ANSWER_TIMEOUT = 15.0
"""Seconds in which an event loop that runs does what it is asked to, whatever else it has to do."""
STANDSTILL = 5.0
"""Seconds in which an event loop that does not run may be started again by those who have stopped it."""
_END: Final = object()


class HomeLoop:
    """The event loop of those who made something, such as the body of a request: on no other one does it go on.

    What is made in a thread that an event loop has lent, as for a `def` endpoint, belongs to that loop.
    """

    __slots__ = ("_loop", "_process", "_remedy")

    def __init__(self, *, remedy: str = SAVE_FIRST) -> None:
        """Note the event loop; `remedy` says what to do where it can't be had."""
        self._process, self._remedy = os.getpid(), remedy
        self._loop = running_loop()
        if self._loop is None:
            with suppress(RuntimeError):  # no event loop knows of this thread
                self._loop = from_thread.run_sync(asyncio.get_running_loop)

    @property
    def is_known(self) -> bool:
        """Tell whether there was an event loop, and this process has it: a forked one has none of its parent's."""
        return self._loop is not None and self._process == os.getpid()

    @property
    def is_running(self) -> bool:
        """Tell whether the loop runs, here or elsewhere."""
        return self._loop is not None and self.is_known and self._loop.is_running()

    @property
    def elsewhere(self) -> asyncio.AbstractEventLoop | None:
        """The loop, if it runs in another thread than the caller's."""
        loop = self._loop
        return None if loop is running_loop() or not self.is_running else loop

    def refuse_stopped(self, what: object) -> None:
        """Raise `BlockingCallError` if the loop stands still as long as the caller is waited for."""
        refuse_stopped(self._loop, what, self._remedy)

    def gone(self, what: object) -> BlockingCallError:
        """Return the error of those who need the loop when it does nothing any more."""
        return BlockingCallError(
            f"{what} needs an event loop that does nothing any more: it has ended, or something blocks its thread, "
            f"perhaps a blocking call that waits for this. To mend it: {self._remedy}."
        )

    async def run(self, work: Callable[[], Awaitable[T]], what: object) -> T:
        """Have the loop do something, and wait for it wherever this is.

        Raises:
            BlockingCallError: The loop stands still as long as the caller is waited for, or has come to its end.
        """
        loop = self.elsewhere
        if loop is None:
            return await work()
        self.refuse_stopped(what)

        async def begin() -> T:
            return await work()

        call = Call(begin(), loop)
        end = asyncio.wrap_future(call.end)
        try:
            while not (await asyncio.wait({end}, timeout=ANSWER_TIMEOUT))[0]:
                if await is_dead(loop):
                    call.abandon()
                    raise self.gone(what)
        except asyncio.CancelledError:
            call.cancel()
            with CancelScope(shield=True):  # what is read must stand still before it is closed
                await asyncio.wait({end}, timeout=ANSWER_TIMEOUT)
            raise
        if end.cancelled():  # not by us: an event loop that ends cancels what it runs
            raise self.gone(what)
        return end.result()

    def each(self, chunks: AsyncGenerator[T, None], what: object) -> AsyncGenerator[T, None]:
        """Return an iterator over what the loop yields, wherever it is read, one thing at a time."""

        async def next_chunk() -> object:
            return await anext(chunks, _END)

        async def hand_over() -> AsyncGenerator[T, None]:
            self.refuse_stopped(what)
            try:
                while (chunk := await self.run(next_chunk, what)) is not _END:
                    yield cast("T", chunk)
            except BlockingCallError:
                raise  # nobody is there to close them
            except BaseException:
                await self.run(chunks.aclose, what)
                raise

        return chunks if self.elsewhere is None else hand_over()


async def is_dead(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether an event loop does nothing any more: it has ended or was stopped, or something blocks its thread."""
    sign = Future[None]()

    def give_sign() -> None:
        if sign.set_running_or_notify_cancel():  # nobody waits any more for a loop that was taken for dead
            sign.set_result(None)

    try:
        loop.call_soon_threadsafe(give_sign)
        await asyncio.wait_for(asyncio.wrap_future(sign), ANSWER_TIMEOUT if loop.is_running() else STANDSTILL)
    except (RuntimeError, TimeoutError):
        return True
    return False
