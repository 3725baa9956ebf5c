"""Requests that no client library would send, over a plain socket."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from tests.security.conftest import Server
from tests.servers.process import LOOPBACK

PATIENCE = 30.0
"""Seconds after which an answer is taken for missing, however busy the machine."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request got: the answer, and what it cost the server."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float
    memory: int

    @property
    def problem(self) -> dict[str, Any]:
        """The body as a problem detail."""
        assert self.headers["content-type"] == "application/problem+json", self.body[:500]
        problem: dict[str, Any] = json.loads(self.body)
        return problem


async def attack(
    server: Server, method: str, path: str, headers: Iterable[tuple[str, str]], body: Iterable[bytes] = ()
) -> Answer:
    """Send a request whose body comes in chunks for as long as the server takes them, and measure its answer."""
    before, start = server.peak(), monotonic()
    reader, writer = await asyncio.open_connection(LOOPBACK, server.port)
    sent = [("Host", "a"), ("Transfer-Encoding", "chunked"), *headers]
    writer.write("\r\n".join([f"{method} {path} HTTP/1.1", *map(": ".join, sent), "", ""]).encode())
    pushing = asyncio.create_task(push(writer, body))
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)).decode("latin-1").splitlines()
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-1])}
    content = await asyncio.wait_for(reader.readexactly(int(fields["content-length"])), PATIENCE)
    writer.transport.abort()
    await pushing
    return Answer(int(head[0].split()[1]), fields, content, monotonic() - start, server.peak() - before)


async def push(writer: asyncio.StreamWriter, body: Iterable[bytes]) -> None:
    """Send a chunked body as far as the server takes it."""
    try:
        for chunk in body:
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
    except ConnectionError:
        pass  # it has heard enough
