"""Scripts of uploaders, put together, and the application that serves them to a browser."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from tests.servers.azurite import find_node
from tests.servers.process import LOOPBACK, unavailable

NODE = Path(__file__).parents[1] / "servers" / "node"
SCRIPTS = Path(__file__).with_name("uploaders")
BUNDLE = """
const [contents, resolveDir] = process.argv.slice(1);
const { outputFiles } = require("esbuild").buildSync({
  stdin: { contents, resolveDir }, bundle: true, write: false, format: "esm",
});
process.stdout.write(outputFiles[0].text);
"""


@cache
def bundled(library: str) -> str:
    """Return a script with all that it imports, put together once."""
    return bundle((SCRIPTS / f"{library}.js").read_text())


def bundle(script: str) -> str:
    """Put a script together with all that it imports."""
    if not (NODE / "node_modules" / "esbuild").is_dir():
        unavailable("The uploaders are missing: `make test` installs them, or `npm ci` in tests/servers/node.")
    command = [str(find_node()), "-e", BUNDLE, "--", script, str(NODE)]
    return subprocess.run(command, cwd=NODE, capture_output=True, text=True, check=True).stdout


@asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[str]:
    """Serve an application, whose life has begun, in this loop."""
    with socket.socket() as opened:
        opened.bind((LOOPBACK, 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[opened]))
        try:
            yield f"http://{LOOPBACK}:{opened.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
