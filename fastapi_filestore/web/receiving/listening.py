"""Wait for a client: for what it sends next, and not for ever.

Only the time counts in which a client is waited for: while a store is slow, or memory is short, nobody reads, and no
client is to blame. One timer watches a body, and is set again when it fires, not for each of its chunks.
"""

import asyncio
from contextlib import suppress
from math import inf
from time import monotonic
from types import TracebackType
from typing import Final, Self

from starlette.types import Message, Receive

from fastapi_filestore.errors import FilestoreError, SlowUploadError
from fastapi_filestore.intake.forms.limits import Pace
from fastapi_filestore.storage.share import Share, share_in_use

FAIR_RATE: Final = 64 * 1024
"""Bytes a second; a client that sends fewer falls behind, and has to give way when memory is short."""


class Listening:
    """Waits for the messages of one client; leave the block when none is waited for any more.

    It then gives back the memory in which some of them are kept, if there is some.
    """

    def __init__(self, pace: Pace, memory: Share | None = None) -> None:
        self._memory = memory
        if memory is not None:
            memory.sender = self
        self._silence, self._over = pace.silence or inf, pace.over if pace.least_rate else inf
        self._least = round(pace.least_rate * pace.over)
        self._since: float | None = None  # when the wait began, while there is one
        self._waited, self._came = 0.0, 0  # since the average was last taken
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._timer: asyncio.TimerHandle | None = None
        self._error: FilestoreError | None = None
        self._behind = 0.0
        self._is_ending = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._memory is not None:
            self._memory.budget.give_back(self._memory)

    async def next(self, receive: Receive) -> Message:
        """Return the client's next message.

        Raises:
            SlowUploadError: It does not come, or what came is too little.
        """
        if (share := share_in_use.get()) is not None:
            share.sender = self
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task else 0
        self._since = began = monotonic()
        if self._timer is None:
            self._set_timer(min(self._silence, self._over))
        try:
            message = await receive()
        except asyncio.CancelledError:
            self._raise_if_ended()
            raise
        finally:
            self._since = None
        if self._error is not None:  # even if something swallowed the cancellation
            self._raise_if_ended()
        waited, size = monotonic() - began, len(message.get("body", b""))
        self._waited += waited
        self._came += size
        self._behind = max(0.0, self._behind + waited - size / FAIR_RATE)
        fault = self._fault() if message.get("more_body", False) else None
        if fault is not None:
            raise fault
        return message

    @property
    def behind(self) -> float:
        """Seconds that the client is behind a fair pace, while it is waited for; 0 while it is not."""
        since = self._since  # another thread may ask
        return 0 if since is None else self._behind + monotonic() - since

    @property
    def is_ending(self) -> bool:
        """Whether an error is to be raised where the client is waited for."""
        return self._is_ending

    def end(self, error: FilestoreError) -> None:
        """Raise an error where the client is waited for, if it still is; safe to call from any thread."""
        if self._task is not None and not self._is_ending:
            self._is_ending = True
            with suppress(RuntimeError):  # its loop has ended
                self._task.get_loop().call_soon_threadsafe(self._end, error)

    def _end(self, error: FilestoreError) -> None:
        self._is_ending = self._since is not None and self._error is None
        if self._is_ending and self._task is not None:
            self._error = error
            self._task.cancel()

    def _raise_if_ended(self) -> None:
        # Who cancels the request at the same time is obeyed first: as in asyncio.timeout.
        error, self._error = self._error, None
        try:
            if error is not None and self._task is not None and self._task.uncancel() <= self._cancelling:
                raise error from None
        finally:
            del error  # a circle would keep what the upload holds until the garbage collector comes

    def _fault(self, *, waiting: float = 0.0) -> SlowUploadError | None:
        """Return what is wrong with the client's pace so far, `waiting` seconds into the present wait."""
        if waiting >= self._silence:
            return SlowUploadError(self._silence)
        if self._waited + waiting >= self._over:
            if self._came < self._least:
                return SlowUploadError(self._over, least=self._least)
            self._waited, self._came = -waiting, 0  # the next stretch of time begins now
        return None

    def _set_timer(self, seconds: float) -> None:
        if seconds < inf:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._check_pace)

    def _check_pace(self) -> None:
        self._timer = None
        if self._since is None:
            return  # the next wait is watched again
        waiting = monotonic() - self._since
        fault = self._fault(waiting=waiting)
        if fault is not None:
            self._end(fault)
        else:
            self._set_timer(min(self._silence - waiting, self._over - self._waited - waiting))
