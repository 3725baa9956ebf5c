"""Answer clients that are still sending: at once, and so that they hear it.

Who refuses a body does not read it. But a connection that is closed with bytes unread is reset, and a reset can take
the answer back from a client that has not read it yet (RFC 9112, section 9.6). To leave the reading to the server is no
better: it reads to the end of the gigabyte. So the answer goes out whole and says that the connection will close; a
client that reads while it sends stops here, and costs nothing more. From one that does not, a bounded rest is read and
thrown away before the end of the answer, which is what the server closes the connection at.
"""

from contextlib import suppress
from typing import Final

from anyio import move_on_after, sleep
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from fastapi_filestore.web.header_fields import AS_DECLARED
from fastapi_filestore.web.receiving.bodies import announced_size, has_body

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


class Exchange:
    """One request and its answer, both watched on their way, so that it can be ended well.

    An exchange within another one passes all on.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._closable = scope["http_version"].startswith("1")  # later versions end a stream without a word of ours
        headers = Headers(scope=scope)
        announced = announced_size(headers)
        self._waits = headers.get("expect", "").lower() == "100-continue"
        # A client that was never told to go on may send its body all the same, or not: nobody could tell.
        is_long = announced is None or announced > SMALL_BYTES or self._waits
        self._unread = not scope.get(_WATCHED) and is_long and has_body(scope)
        self._lingers = False
        self.has_begun = False
        """Whether some of the answer is out."""
        scope[_WATCHED] = True

    async def receive(self) -> Message:
        """Pass on what the client sends."""
        self._waits = False  # the server has told it to go on
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._unread = False
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
