"""How much memory all uploads of a process may hold together: each takes a share, the later the narrower."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from threading import Lock

DEFAULT_LIMIT = 64 * 1024 * 1024
PATIENCE = 10.0
"""Seconds that an upload waits for its turn; then it goes on with the least, since slow clients may hold the rest."""


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

    @property
    def held(self) -> int:
        """The bytes that are shared out."""
        return self._held

    @asynccontextmanager
    async def share(self, *, least: int, most: int) -> AsyncIterator[int]:
        """Hold a share of `least` to `most` bytes while the block runs."""
        share = await self._take(least, most)
        try:
            yield share
        finally:
            self._give_back(share)

    async def _take(self, least: int, most: int) -> int:
        with self._lock:
            if not self._waiting and self._fits(least):
                share = max(least, min(most, (self.limit - self._held) // 2))
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
        self._give_back(least if had_it else 0)  # whoever waits behind may fit

    def _give_back(self, share: int) -> None:
        with self._lock:
            self._held -= share
            while self._waiting and self._fits(self._waiting[0][0]):
                least, turn = self._waiting.popleft()
                self._held += least
                turn.set_result(None)

    def _fits(self, least: int) -> bool:
        # One upload always goes on, however small the budget.
        return self._held == 0 or self._held + least <= self.limit


upload_memory = MemoryBudget()
"""What all uploads of this process share: memory is the process's, whatever applications run in it."""
