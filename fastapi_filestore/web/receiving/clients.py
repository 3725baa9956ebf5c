"""Wait for a client, and not for ever; answer one that is still sending so that it hears the answer."""

import asyncio
from contextlib import suppress
from math import inf
from time import monotonic
from types import TracebackType
from typing import Final, Self

from anyio import move_on_after, sleep
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from fastapi_filestore.errors import FilestoreError, SlowUploadError
from fastapi_filestore.intake.forms.limits import Pace
from fastapi_filestore.storage.share import Share, share_in_use
from fastapi_filestore.web.header_fields import AS_DECLARED, announced_size, has_body

FAIR_RATE: Final = 64 * 1024
"""Bytes a second; a client that sends fewer falls behind, and has to give way when memory is short."""
PAUSE: Final = 0.25
"""Seconds before the rest is read: time for a client to see the answer and to stop."""
SILENCE: Final = 5.0
"""Seconds that a client may send nothing (nginx's lingering_timeout)."""
PATIENCE: Final = 30.0
"""Seconds that it may send (nginx's lingering_time)."""
MOST_BYTES: Final = 1024**3
"""Bytes that it may send."""
_WATCHED: Final = "fastapi_filestore.watched"
SMALL_BYTES: Final = 64 * 1024
"""A body of which a server has read most by then: it may read the rest, too, and keep the connection."""


class Listening:
    """Waits for the messages of one client; leave the block when none is waited for any more.

    Only the time counts in which a client is waited for: while a store is slow, or memory is short, nobody reads, and
    no client is to blame. One timer watches a body, and is set again when it fires, not for each of its chunks.

    At the end it gives back the memory in which some of them are kept, if there is some.
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
            self._watch_pace()
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
        """True while an error is on its way to where the client is waited for."""
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

    def _watch_pace(self) -> None:
        """End a wait that is too slow by now; look again when it can be."""
        self._timer = None
        if self._since is None:
            return  # the next wait is watched again
        waiting = monotonic() - self._since
        fault = self._fault(waiting=waiting)
        seconds = min(self._silence - waiting, self._over - self._waited - waiting)
        if fault is not None:
            self._end(fault)
        elif seconds < inf:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._watch_pace)


class Exchange:
    """One request and its answer, both watched on their way, so that it can be ended well.

    Who refuses a body does not read it. But a connection that is closed with bytes unread is reset, and a reset can
    take the answer back from a client that has not read it yet (RFC 9112, section 9.6). To leave the reading to the
    server is no better: it reads to the end of the gigabyte. So the answer goes out whole and says that the connection
    will close; a client that reads while it sends stops here, and costs nothing more. From one that does not, a bounded
    rest is read and thrown away before the end of the answer, which is what the server closes the connection at.

    An exchange within another one passes all on.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._closable = scope["http_version"].startswith("1")  # later versions end a stream without a word of ours
        self._unread = self._waits = self._lingers = False
        if not scope.get(_WATCHED) and has_body(scope):
            headers = Headers(scope=scope)
            announced = announced_size(headers)
            self._waits = headers.get("expect", "").lower() == "100-continue"
            # A client that was never told to go on may send its body all the same, or not: nobody could tell.
            self._unread = announced is None or announced > SMALL_BYTES or self._waits
        self.has_begun = False
        """Whether some of the answer is out."""
        scope[_WATCHED] = True

    async def receive(self) -> Message:
        """Pass on the request, and note its end."""
        self._waits = False  # the server has told the client to go on
        message = await self._receive()
        self._unread = self._unread and message["type"] != "http.disconnect" and message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Pass on the answer, but for its end if more of the request is to come; no browser guesses its type."""
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(raw=[*message.get("headers", ())])
            headers.update(AS_DECLARED)
            if self._unread and self._closable:
                headers.append("connection", "close")
                # Who waits for a word before sending was told to send nothing.
                self._lingers = not self._waits
            message = {**message, "headers": headers.raw}
        if message["type"] == "http.response.body" and self._lingers:
            message = {**message, "more_body": True}
        await self._send(message)

    async def finish(self) -> None:
        """Read a bounded rest of the request, then end the answer."""
        if not self._lingers:
            return
        # What something before us refuses to read needs no reading: our answer is out already.
        with move_on_after(PATIENCE), suppress(HTTPException, ExceptionGroup):
            await sleep(PAUSE)
            drained = 0
            while self._unread and drained < MOST_BYTES:
                message: Message = {}
                with move_on_after(SILENCE):
                    message = await self.receive()
                if not message:
                    break
                drained += len(message.get("body", b""))
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})
