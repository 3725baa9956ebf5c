"""A site with a WebSocket, behind a real server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from tests.servers.process import LOOPBACK, free_ports
from tests.web.site import Site


@asynccontextmanager
async def serving(site: Site) -> AsyncIterator[int]:
    """Run the site behind a real server; its port. What is under way is over at the end."""
    (port,) = free_ports(1)
    config = uvicorn.Config(site.app, host=LOOPBACK, port=port, lifespan="off", log_config=None)
    config.load()
    server = uvicorn.Server(config)  # whose serve() would take the signals of the whole process
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield port
    finally:
        await server.shutdown()
