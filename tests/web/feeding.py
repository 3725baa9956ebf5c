"""An application with a session that blocks, in a server of its own, and clients that send to it slowly."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

PATIENCE = 30.0
"""Seconds after which a request has hung."""
# A server that closes an idle connection at the moment in which a client uses it again resets the client.
QUIETLY: dict[str, Any] = {"log_config": None, "timeout_graceful_shutdown": 1, "timeout_keep_alive": int(4 * PATIENCE)}


@contextmanager
def served(app: FastAPI, **options: Any) -> Iterator[str]:
    """Serve an application in a thread, and yield its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # who comes before it has started waits
        server = uvicorn.Server(uvicorn.Config(app, **QUIETLY, **options))
        # A daemon: if its loop is blocked for ever, the test fails, and the run goes on.
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the server's loop hangs"


async def slowly(content: bytes, *, pieces: int = 4, pause: float = 0.05) -> AsyncIterator[bytes]:
    """Yield content in pieces, with pauses."""
    step = -(-len(content) // pieces)
    for start in range(0, len(content), step):
        await asyncio.sleep(pause)
        yield content[start : start + step]


async def sent(url: str, content: bytes, paths: list[str], *, pieces: int = 4) -> list[httpx.Response]:
    """Send the same content to several paths at once, slowly."""
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
        return await asyncio.gather(
            *(client.post(path, content=slowly(content, pieces=pieces), headers=TEXT) for path in paths)
        )


TEXT = {"content-type": "text/plain", "content-disposition": 'attachment; filename="a.txt"'}
