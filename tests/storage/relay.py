"""A loopback relay before a real server: it counts requests, and can be slow or silent."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

REQUEST_LINE = re.compile(rb"^(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.DOTALL | re.MULTILINE)


@dataclass
class Relay:
    """What went through: method and path of each request, and its headers.

    Clear `talks` to silence it; with `cut` it breaks every connection after so many bytes of answers; while it
    `is_away` it passes nothing on, and breaks every connection that is used.
    Each 64 KiB of a request take `pause` seconds. `closed` is set when a connection has ended.
    """

    endpoint: str = ""
    talks: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    cut: int | None = None
    pause: float = 0
    is_away: bool = False
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, look: bool) -> None:
        """Copy what comes to where it goes, until either end closes."""
        passed = 0
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if look:
                    self._note(data)
                    if self.pause:
                        await asyncio.sleep(self.pause)
                await self.talks.wait()
                if self.is_away:
                    writer.transport.abort()
                    return
                writer.write(data)
                await writer.drain()
                passed += len(data)
                if not look and self.cut is not None and passed > self.cut:
                    writer.transport.abort()

    def _note(self, data: bytes) -> None:
        for method, path, headers in REQUEST_LINE.findall(data):
            self.requests.append(f"{method.decode()} {path.decode()}")
            self.headers.append(headers.decode())


@asynccontextmanager
async def relayed(endpoint: str) -> AsyncIterator[Relay]:
    """Relay to an endpoint for as long as the block runs."""
    relay, target = Relay(), urlsplit(endpoint)
    relay.talks.set()
    connections: set[asyncio.Task[None]] = set()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(target.hostname, target.port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(relay.pass_on(reader, back, look=True))
                group.create_task(relay.pass_on(there, writer, look=False))
        finally:
            relay.closed.set()
            for each in (writer, back):
                each.close()
                with suppress(ConnectionError):
                    await each.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(connect(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    relay.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield relay
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
