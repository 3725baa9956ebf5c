"""Share out the memory that all uploads of a process may hold together.

An upload takes a little when its first bytes come, and room for whole parts once more have come. Who wants what is not
free waits in line, and meanwhile clients that are waited for give way, whoever is furthest behind first: they give back
what was taken for them in advance, and if that is not enough, one after the other is ended. What is kept of a body
never goes on to a store, so it has the lowest rank: it waits behind all files, and is the first to be refused. So
memory is with those who send, and whoever only holds it delays nobody.
"""

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from time import monotonic
from typing import Final

from fastapi_filestore.concurrency.forks import forkable_lock
from fastapi_filestore.errors import UploadMemoryError
from fastapi_filestore.storage.share import STEP, Share, share_in_use

DEFAULT_LIMIT = 64 * 1024 * 1024
PATIENCE: Final = 10.0
"""Seconds that an upload waits for its first part's memory while nobody gets any, and no bytes reach a store; then its
client is refused."""
TIMES: Final = 6
"""It waits so many times as long if others go on meanwhile."""
GIVES_BACK_AFTER: Final = 0.05
"""Seconds behind at which a client gives back what was taken in advance: it costs it nothing but a place in line."""
ENDS_AFTER: Final = 3.0
"""Seconds behind at which a client is ended for somebody who waits: networks lose packets, and machines are busy."""
FLOWS_FOR: Final = 1.0
"""Seconds for which memory is said to flow after some became free by itself: who waits gets it soon."""
ENDS_IN_FLOW_AFTER: Final = 10.0
"""Seconds behind at which a client is ended while it flows: nobody needs its memory much, and it may only be busy."""
JAMMED_AFTER: Final = 5.0
"""Seconds in which no memory became free by itself, after which it is in a jam."""
ENDS_IN_A_JAM_AFTER: Final = 0.5
"""Seconds behind at which a client is ended then; the longer the jam, the fewer."""
KEPT_ENDS_AFTER: Final = 0.1
"""Seconds behind at which a client is ended of whose body something is kept, since that never goes on to a store."""
LOOK: Final = 0.1
"""Seconds between two looks at who is behind, while somebody waits."""

_guard = forkable_lock()
"""Held for arithmetic only, so no loop waits for it."""


Rank = tuple[bool, bool, int]
FIRST: Final[Rank] = (False, False, 0)
"""The rank of first steps, and of files whose parts are on their way already."""


@dataclass(slots=True, eq=False)
class _Turn:
    """Somebody who waits for memory, and a future that is done when it is there."""

    share: Share
    least: int
    rank: Rank
    came: Future[None] = field(default_factory=Future[None])

    def __post_init__(self) -> None:
        self.came.set_running_or_notify_cancel()  # a waiter that is cancelled must be able to tell whether it had it


class MemoryBudget:
    """Bytes that are shared out, first come, first served; good on any number of event loops and threads.

    A share is at most half of what is free, so that there is something for the next. When everybody who holds more than
    a first step waits for more, the first in line has it, beyond the limit: so somebody always goes on.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT, *, patience: float = PATIENCE) -> None:
        """Share out `limit` bytes; `patience` is in seconds."""
        self.limit = limit
        self._patience = patience
        self._held = 0
        self._moved = self._flowed = 0.0  # when somebody who waited was let in; when memory became free by itself
        self._shares = set[Share]()
        self._waiting = deque[_Turn]()

    @property
    def held(self) -> int:
        """The bytes that are shared out."""
        return self._held

    @property
    def is_wanted(self) -> bool:
        """Tell whether somebody waits for a share."""
        return bool(self._waiting)

    @asynccontextmanager
    async def share(self, *, least: int, most: int) -> AsyncIterator[Share]:
        """Hold a share of `least` to `most` bytes while the block runs; `UploadMemoryError` if it is not to be had."""
        with self._using(Share(self)) as share:
            await self.take(share, least, most)
            yield share

    @asynccontextmanager
    async def first_step(self) -> AsyncIterator[Share]:
        """Hold a little while the block runs, before all who wait for more; the share is to be widened."""
        with self._using(Share(self)) as share:
            await self.take(share, STEP, is_first=True)
            yield share

    @contextmanager
    def share_at_once(self, *, least: int, most: int) -> Iterator[Share]:
        """Hold a share without waiting, of `least` bytes if there is nothing left: for those who need little."""
        with self._using(Share(self)) as share:
            with _guard:
                self._grant(share, self._portion(least, most))
            yield share

    def kept(self) -> Share:
        """Return a share of nothing, to be widened, and given back by whoever asks."""
        return Share(self, is_kept=True)

    @contextmanager
    def _using(self, share: Share) -> Iterator[Share]:
        use = share_in_use.set(share)
        try:
            yield share
        finally:
            self.give_back(share)
            share_in_use.reset(use)

    async def take(
        self, share: Share, least: int, most: int = 0, *, patience: float | None = None, is_first: bool = False
    ) -> None:
        """Let a share have `least` to `most` bytes more.

        Raises:
            UploadMemoryError: They were not free within `patience` seconds, and a client sends what they are for; or
                they are to be kept, and others need what the share holds.
        """
        is_first = is_first or share.size > STEP  # who holds much can give it back soon
        # Of what is kept, who has most goes on first: they would pass the limit together if each went on for a step.
        rank = share.is_kept, not is_first, -share.size if share.is_kept else 0
        with _guard:
            goes_ahead = not self._waiting or rank < self._waiting[0].rank or rank == FIRST
            if goes_ahead and self._fits(share, least):
                self._grant(share, self._portion(least, most))
                if share.size > STEP:
                    self.flowed()
                return
            turn = _Turn(share, least, rank)
            share.is_waiting = True
            self._waiting.insert(sum(waiting.rank <= rank for waiting in self._waiting), turn)
            self._make_room()
        await self._wait(turn, self._patience if patience is None else patience)

    async def _wait(self, turn: _Turn, patience: float) -> None:
        """Wait for memory; refuse a client for whom none came, and let go on what the application itself stores."""
        came, began = asyncio.wrap_future(turn.came), monotonic()
        try:
            while not turn.came.done():
                end = min(began + TIMES * patience, max(began, self._moved, self._flowed) + patience)
                if (left := end - monotonic()) <= 0:
                    break
                await asyncio.wait({came}, timeout=min(left, LOOK))
                with _guard:
                    self._make_room()
        except BaseException:
            with _guard:
                if not turn.came.done():  # else it has what it waited for, and gives it back as everything
                    self._waiting.remove(turn)
                    turn.share.is_waiting = False
                self._make_room()  # whoever waits behind may fit
            raise
        with _guard:
            if turn.share.is_refused:
                raise UploadMemoryError  # not as the future's: a circle would keep what the upload holds
            if turn.came.done():
                return
            self._waiting.remove(turn)
            if turn.share.sender is None:
                self._grant(turn.share, turn.least)
                return
            turn.share.is_waiting = False
            self._make_room()
        raise UploadMemoryError

    def give_back(self, share: Share) -> None:
        """Hold nothing of a share any longer, and let those go on who have waited for it."""
        with _guard:
            self._held -= share.size
            if share.size > STEP and not share.is_ending:
                self.flowed()
            share.size = 0
            self._shares.discard(share)
            if self._waiting:
                self._make_room()

    def flowed(self) -> None:
        """Note that bytes have reached their store: whoever holds memory lets go of it by itself."""
        self._flowed = monotonic()

    # -- with the lock held ----------------------------------------------------------------------------

    def _grant(self, share: Share, size: int) -> None:
        self._held += size
        self._shares.add(share)
        share.grant(size)

    def _portion(self, least: int, most: int) -> int:
        return max(least, min(most, (self.limit - self._held) // 2))

    def _fits(self, share: Share, least: int) -> bool:
        if self._held + least <= self.limit:
            return True
        # One upload always goes on, however small the budget; first steps don't keep it from that, nor are they one.
        small = STEP if least > STEP else 0
        holders = [other for other in self._shares if other is not share and other.size > small]
        return not holders or (share.size > small and all(other.is_waiting for other in holders))

    def _make_room(self) -> None:
        """Let go on who fits; if somebody still waits, have those give way who are behind."""
        self._let_in()
        if not self._waiting:
            return
        missing = self._held + self._waiting[0].least - self.limit
        missing -= sum(share.size for share in self._shares if share.is_ending)
        behind = sorted(((share.behind, share) for share in self._shares), key=itemgetter(0), reverse=True)
        for seconds, share in behind:
            if missing <= 0 or seconds < GIVES_BACK_AFTER:
                break
            freed = share.give_back_unused()
            self._held -= freed
            missing -= freed
        if not self._waiting[0].share.is_kept:
            # A file waits: those who wait for more to keep are refused, who has most first.
            kept = [turn for turn in self._waiting if turn.share.is_kept and turn.share.size]
            for turn in sorted(kept, key=lambda turn: turn.share.size, reverse=True):
                if missing <= 0:
                    break
                self._waiting.remove(turn)
                turn.share.is_waiting, turn.share.is_refused = False, True
                turn.came.set_result(None)
                missing -= turn.share.size
        # First those whose end frees something: one who holds little is seldom what others wait for.
        for seconds, share in sorted(behind, key=lambda entry: (not entry[1].is_kept, entry[1].size <= STEP)):
            if missing > 0 and seconds >= self._ends_after(share):
                missing -= share.end()
        self._let_in()

    def _ends_after(self, share: Share) -> float:
        if share.is_kept:
            return KEPT_ENDS_AFTER
        dry = monotonic() - self._flowed
        if dry < FLOWS_FOR:
            return ENDS_IN_FLOW_AFTER
        jam = dry / JAMMED_AFTER
        return ENDS_AFTER if jam < 1 or share.size <= STEP else ENDS_IN_A_JAM_AFTER / jam

    def _let_in(self) -> None:
        """Let go on who may: the first in line, or a file beyond the limit where only first steps are held."""
        while True:
            for turn in self._waiting:
                if turn.share.is_kept and turn is not self._waiting[0]:
                    return
                if self._fits(turn.share, turn.least):
                    break
                if turn.least > STEP:
                    return
            else:
                return
            self._waiting.remove(turn)
            self._grant(turn.share, turn.least)
            turn.came.set_result(None)
            self._moved = monotonic()


upload_memory = MemoryBudget()
"""What all uploads of this process share: memory is the process's, whatever applications run in it."""


if sys.platform != "win32":
    # Nothing in a forked process gives back what its parent held.
    os.register_at_fork(after_in_child=lambda: upload_memory.__init__(upload_memory.limit))  # type: ignore[misc]
