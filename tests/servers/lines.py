"""A line to a real server, which a test can cut, or have swallow everything, while the server runs on."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

from tests.servers.process import LOOPBACK

REQUEST = re.compile(rb"(DELETE|GET|HEAD|POST|PUT) ")


class Line:
    """A port that leads to another one, unless it is cut (nobody listens) or silent (what is sent gets nowhere).

    `methods` are those of the HTTP requests that have passed, each of which begins when the one before is answered.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listening: asyncio.Server | None = None
        self._open = asyncio.Event()
        self._writers = set[asyncio.StreamWriter]()
        self._tasks = set[asyncio.Task[None]]()
        self.port = 0
        self.methods = list[str]()

    async def mend(self) -> Self:
        """Let everything through."""
        self._open.set()
        if self._listening is None:
            self._listening = await asyncio.start_server(self._serve, LOOPBACK, self.port)
            self.port = self._listening.sockets[0].getsockname()[1]
        return self

    def silence(self) -> None:
        """Take connections, and let nothing through."""
        self._open.clear()

    def forget(self) -> None:
        """Let nothing more through what is connected, as a firewall that has lost its table; new connections work."""
        self._open.clear()
        self._open = asyncio.Event()
        self._open.set()

    async def cut(self) -> None:
        """End all connections, and take none."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        is_open = self._open
        await is_open.wait()
        with suppress(OSError):
            there, beyond = await asyncio.open_connection(LOOPBACK, self._target)
            self._writers.add(beyond)
            for source, sink in ((reader, beyond), (there, writer)):
                task = asyncio.create_task(self._carry(source, sink, is_open))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_open: asyncio.Event) -> None:
        with suppress(OSError):
            while chunk := await source.read(65536):
                await is_open.wait()
                if request := REQUEST.match(chunk):
                    self.methods.append(request[1].decode())
                sink.write(chunk)
                await sink.drain()
        sink.close()


@asynccontextmanager
async def line_to(target: int) -> AsyncIterator[Line]:
    """Run a line to a port of this machine, as long as the block does."""
    line = Line(target)
    try:
        yield await line.mend()
    finally:
        await line.cut()
