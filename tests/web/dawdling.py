"""Clients that begin a form."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.servers.process import LOOPBACK

FORM = "multipart/form-data; boundary=b"


@asynccontextmanager
async def begun(port: int, request: bytes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Send the beginning of a request."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.write(request)
    await writer.drain()
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
