"""The response that streams, on servers that speak other versions of ASGI than uvicorn does."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import pytest
from starlette.background import BackgroundTask

from fastapi_filestore import StorageUnavailableError
from fastapi_filestore.web.serving.streaming import StreamedResponse

SCOPE = {"type": "http", "method": "GET"}


class Source:
    """Yields chunks, and remembers whether it was closed."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self.chunks, self.closed, self.yielded = chunks, False, 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._iterate()

    async def _iterate(self) -> AsyncGenerator[bytes, None]:
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            self.yielded += 1
            yield chunk

    async def aclose(self) -> None:
        """Remember it."""
        self.closed = True


async def never() -> Any:
    """Wait for a client that stays."""
    await asyncio.Event().wait()


async def test_a_whole_body_ends() -> None:
    """All chunks are sent, then the end, then background tasks run."""
    sent: list[Any] = []
    ran: list[int] = []

    async def send(message: Any) -> None:
        sent.append(message)

    source = Source(b"ab", b"c")
    response = StreamedResponse(source, size=3, headers={"X": "y"})
    response.background = BackgroundTask(ran.append, 1)
    await response(SCOPE, never, send)

    assert sent[0]["headers"] == [(b"x", b"y"), (b"content-length", b"3")]
    assert [(each["body"], each["more_body"]) for each in sent[1:]] == [(b"ab", True), (b"c", True), (b"", False)]
    assert (source.closed, ran) == (True, [1])


@pytest.mark.parametrize("error", [OSError, ConnectionResetError])
async def test_a_server_that_says_that_the_client_has_gone(error: type[OSError]) -> None:
    """An OSError of `send`, as ASGI 2.4 has it, ends the response quietly."""

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            raise error

    source = Source(b"ab", b"c")
    await StreamedResponse(source, size=3, headers={})(SCOPE, never, send)

    assert (source.closed, source.yielded) == (True, 1)


async def test_a_disconnect_that_is_received() -> None:
    """A disconnect, as older servers tell it, ends the response quietly, though `send` waits for ever."""
    started = asyncio.Event()

    async def receive() -> Any:
        await started.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            started.set()
            await never()

    source = Source(b"ab", b"c")
    async with asyncio.timeout(5):
        await StreamedResponse(source, size=3, headers={})(SCOPE, receive, send)

    assert source.closed


@pytest.mark.parametrize("end", [(), (StorageUnavailableError("gone"),)])
async def test_a_body_that_ends_early_has_no_end(end: tuple[Exception, ...], caplog: pytest.LogCaptureFixture) -> None:
    """Bytes that are missing, and an error of the store, are a line in the log: the server never hears of an end."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    source, ran = Source(b"ab", *end), list[int]()
    response = StreamedResponse(source, size=3, headers={})
    response.background = BackgroundTask(ran.append, 1)
    await response(SCOPE, never, send)
    (record,) = caplog.records

    assert (source.closed, ran) == (True, [])
    assert all(message.get("more_body", True) for message in sent)
    assert record.levelname == "ERROR"
    assert record.message.startswith("fastapi_filestore.broken_off status=200 size=3 error=")
    assert "Traceback" not in caplog.text


async def test_a_body_that_fails_by_itself_is_an_error() -> None:
    """What is no error of the store is a fault of the code, and goes on to the server."""

    async def send(message: Any) -> None:
        pass

    with pytest.raises(ZeroDivisionError):
        await StreamedResponse(Source(b"ab", ZeroDivisionError()), size=3, headers={})(SCOPE, never, send)
