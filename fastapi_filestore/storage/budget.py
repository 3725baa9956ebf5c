"""How much memory all uploads of a process may hold together: each takes a share, the later the narrower."""

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from threading import Lock

DEFAULT_LIMIT = 64 * 1024 * 1024
PATIENCE = 10.0
"""Seconds that an upload waits for its turn; then it goes on with the least, since slow clients may hold the rest."""


class Share:
    """What an upload holds of a budget.

    Attributes:
        size: In bytes.
    """

    def __init__(self, budget: "MemoryBudget", size: int) -> None:
        self.size = size
        self._budget = budget

    async def give_way(self) -> None:
        """Let those who wait go first, if there are any; whoever calls this must hold nothing meanwhile."""
        if self._budget.is_wanted:
            size, self.size = self.size, 0
            self._budget.give_back(size)
            self.size = await self._budget.take(size, size)


class MemoryBudget:
    """Bytes that are shared out, first come, first served; good on any number of event loops and threads.

    A share is at most half of what is free, so that there is something for the next; when the least that an upload
    can do with is not free, it waits its turn.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT, *, patience: float = PATIENCE) -> None:
        """Share out `limit` bytes; `patience` is in seconds."""
        self.limit = limit
        self._patience = patience
        self._held = 0
        self._lock = Lock()  # held for arithmetic only, so no loop waits for it
        self._waiting: deque[tuple[int, Future[None]]] = deque()

    def forget_parent(self) -> None:
        """Share out all of it again in a process that was forked, in which nothing gives back what its parent held."""
        self._held, self._lock = 0, Lock()
        self._waiting.clear()

    @property
    def held(self) -> int:
        """The bytes that are shared out."""
        return self._held

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for a share."""
        return bool(self._waiting)

    @asynccontextmanager
    async def share(self, *, least: int, most: int) -> AsyncIterator[Share]:
        """Hold a share of `least` to `most` bytes while the block runs."""
        share = Share(self, await self.take(least, most))
        try:
            yield share
        finally:
            self.give_back(share.size)

    @contextmanager
    def share_at_once(self, *, least: int, most: int) -> Iterator[Share]:
        """Hold a share without waiting, of `least` bytes if there is nothing left: for those who need little."""
        with self._lock:
            share = Share(self, self._portion(least, most))
            self._held += share.size
        try:
            yield share
        finally:
            self.give_back(share.size)

    async def take(self, least: int, most: int) -> int:
        """Hold so many bytes from now on, and return how many."""
        with self._lock:
            if not self._waiting and self._fits(least):
                share = self._portion(least, most)
                self._held += share
                return share
            turn = Future[None]()
            turn.set_running_or_notify_cancel()  # a waiter that is cancelled must be able to tell whether it had it
            self._waiting.append((least, turn))
        await self._wait(least, turn)
        return least

    async def _wait(self, least: int, turn: Future[None]) -> None:
        try:
            await asyncio.wait({asyncio.wrap_future(turn)}, timeout=self._patience)
        except BaseException:
            self._leave(least, turn)
            raise
        with self._lock:
            if not turn.done():
                self._waiting.remove((least, turn))
                self._held += least

    def _leave(self, least: int, turn: Future[None]) -> None:
        with self._lock:
            had_it = turn.done()
            if not had_it:
                self._waiting.remove((least, turn))
        self.give_back(least if had_it else 0)  # whoever waits behind may fit

    def give_back(self, share: int) -> None:
        """Hold bytes no longer, and let those go on who have waited for them."""
        with self._lock:
            self._held -= share
            while self._waiting and self._fits(self._waiting[0][0]):
                least, turn = self._waiting.popleft()
                self._held += least
                turn.set_result(None)

    def _portion(self, least: int, most: int) -> int:
        return max(least, min(most, (self.limit - self._held) // 2))

    def _fits(self, least: int) -> bool:
        # One upload always goes on, however small the budget.
        return self._held == 0 or self._held + least <= self.limit


upload_memory = MemoryBudget()
"""What all uploads of this process share: memory is the process's, whatever applications run in it."""
if sys.platform != "win32":
    os.register_at_fork(after_in_child=upload_memory.forget_parent)
