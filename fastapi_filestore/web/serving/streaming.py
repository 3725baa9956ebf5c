"""Send what a store streams as a response: flat memory, and never a short body that looks whole."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Protocol

from anyio import CancelScope
from fastapi import Response
from starlette.background import BackgroundTask
from starlette.types import Message, Receive, Scope, Send

from fastapi_filestore.errors import StorageError
from fastapi_filestore.events import BROKEN_OFF
from fastapi_filestore.web.paths import name_request


class Body(Protocol):
    """The bytes of a response: an `ObjectStream`, or an asynchronous generator."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate the bytes."""
        ...

    def aclose(self) -> Awaitable[None]:
        """Let go of where they come from."""
        ...


class _ClientGoneError(Exception):
    """The server says that nobody listens any more."""


class StreamedResponse(Response):
    """Sends a body, whose size is known or None, one chunk after the other as the client takes them.

    When the client goes, the store's stream is closed at once. When the store fails half-way, the log has a line of it
    and the answer has no end, so that the server breaks the connection off and no client takes a part for the whole.
    """

    def __init__(self, body: Body, *, size: int | None, headers: Mapping[str, str], status_code: int = 200) -> None:
        self.stream, self.size = body, size
        self.status_code = status_code
        self.background: BackgroundTask | None = None
        self.init_headers(headers if size is None else {**headers, "Content-Length": str(size)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, as long as the client listens."""
        name_request(scope)
        life = CancelScope()

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            life.cancel()

        watching = asyncio.create_task(watch())
        try:
            with life:
                start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
                await _pass_on(send, start)
                sent = 0
                async for chunk in self.stream:
                    sent += len(chunk)
                    await _pass_on(send, {"type": "http.response.body", "body": chunk, "more_body": True})
                if self.size is not None and sent != self.size:
                    message = (
                        f"The store gave {self.size - sent:,} bytes less than it has of a file that is being sent."
                    )
                    raise StorageError(message)  # noqa: TRY301 - it ends as a store's own failure does
                await _pass_on(send, {"type": "http.response.body", "body": b"", "more_body": False})
        except _ClientGoneError:
            pass
        except StorageError as error:
            # What a store does is no place in our code, and a handler of errors could not answer any more.
            BROKEN_OFF.tell(error, status=self.status_code, size=self.size)
            return
        finally:
            watching.cancel()
            with CancelScope(shield=True):
                await asyncio.gather(watching, return_exceptions=True)
                await self.stream.aclose()
        if self.background is not None:
            await self.background()


async def _pass_on(send: Send, message: Message) -> None:
    try:
        await send(message)
    except OSError:  # how ASGI 2.4 says so; the store's own errors may be an OSError, too, and must not look like it
        raise _ClientGoneError from None
