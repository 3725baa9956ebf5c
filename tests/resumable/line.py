"""A line between clients and a server, which breaks in the middle of what a client sends."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from math import inf

from tests.servers.process import LOOPBACK

CHUNK = 64 * 1024


@dataclass(slots=True)
class Line:
    """What clients send by way of `url`, counted.

    Attributes:
        sent: Bytes that clients have sent, over all connections.
        breaks_after: Bytes of one connection after which it breaks; only the first one does.
        stops_after: Bytes of all after which the connection that sends them stands still, until `let_go` breaks it.
        happened: Set when it broke or stands still.
    """

    port: int
    url: str = ""
    sent: int = 0
    breaks_after: float = inf
    stops_after: float = inf
    happened: asyncio.Event = field(default_factory=asyncio.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand on what a client and the server say to each other."""
        try:
            from_server, to_server = await asyncio.open_connection(LOOPBACK, self.port)
        except OSError:  # it is away
            writer.transport.abort()
            return
        # What was sent is at the server then, and not on its way in some buffer.
        to_server.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, CHUNK)
        to_server.transport.set_write_buffer_limits(0)
        answering, sent = asyncio.create_task(self._answer(from_server, writer)), 0
        with suppress(ConnectionError):
            while chunk := await reader.read(CHUNK):
                to_server.write(chunk)
                await to_server.drain()
                self.sent, sent = self.sent + len(chunk), sent + len(chunk)
                if sent >= self.breaks_after or self.sent >= self.stops_after:
                    await self._stop(is_over=sent >= self.breaks_after)
                    break
        answering.cancel()
        to_server.close()
        writer.transport.abort()

    async def _stop(self, *, is_over: bool) -> None:
        self.breaks_after = self.stops_after = inf
        self.happened.set()
        if not is_over:
            await self.let_go.wait()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while chunk := await reader.read(CHUNK):
                writer.write(chunk)
                await writer.drain()
            writer.close()


@asynccontextmanager
async def line_to(port: int) -> AsyncIterator[Line]:
    """Open a line to a server on a port."""
    line = Line(port)
    server = await asyncio.start_server(line.serve, LOOPBACK, 0)
    line.url = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield line
        line.let_go.set()
