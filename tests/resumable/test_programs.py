"""Clients that are no browsers, set up with the page's own words."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.resumable.conftest import SIZE, Film
from tests.resumable.line import Line, line_to
from tests.resumable.page import NODE, PAGE, named_blocks
from tests.resumable.server import Server
from tests.servers.azurite import find_node
from tests.servers.nginx import run_nginx
from tests.servers.process import LOOPBACK, served, unavailable

MEGABYTE = 1_000_000


def written(name: str, folder: Path, url: str) -> Path:
    """Write a block of the page into a file, for the server at a URL."""
    path, code = folder / name, named_blocks()[name]
    assert "http://127.0.0.1:8000" in code
    path.write_text(code.replace("http://127.0.0.1:8000", url), encoding="utf-8")
    return path


async def begun(*command: str | Path, folder: Path) -> Process:
    """Run a command in a folder."""
    settings = {**os.environ, "no_proxy": "*"}
    return await asyncio.create_subprocess_exec(*command, cwd=folder, env=settings, stdout=PIPE, stderr=STDOUT)


async def ended(process: Process) -> str:
    """Wait until a command has ended well, and return what it printed."""
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.works_with("tuspy")
async def test_tuspy(server: Server, line: Line, film: Film, tmp_path: Path) -> None:
    """An upload goes on where the line broke, and ends in a row."""
    if find_spec("tusclient") is None:
        unavailable("tuspy is missing: `make test` installs it, or `pip install tuspy`.")
    line.breaks_after = SIZE // 2
    await ended(await begun(sys.executable, written("send.py", tmp_path, line.url), film.path.name, folder=tmp_path))

    film.check_stored(server)
    assert line.happened.is_set()
    assert line.sent < SIZE * 1.3


@pytest.mark.works_with("curl")
async def test_curl(server: Server, line: Line, film: Film, tmp_path: Path) -> None:
    """An upload goes on where the line broke, and ends in a row."""
    line.breaks_after = SIZE // 2
    await ended(await begun("sh", written("send.sh", tmp_path, line.url), film.path.name, folder=tmp_path))

    film.check_stored(server)
    assert line.happened.is_set()
    assert line.sent < SIZE * 1.3


@pytest.mark.works_with("tus-js-client")
async def test_a_server_that_is_killed(server: Server, line: Line, film: Film, tmp_path: Path) -> None:
    """An upload by tus-js-client in Node goes on once the server is there again, after the last request that ended."""
    line.stops_after = SIZE // 2
    sending = await begun(
        find_node(), NODE / "send.mjs", film.path, f"{line.url}/documents/uploads", str(MEGABYTE), folder=NODE
    )
    await asyncio.wait_for(line.happened.wait(), 60)
    server.kill()
    line.let_go.set()
    server.start()
    upload = (await ended(sending)).strip().rpartition("/")[2]
    claim = server.client.post("/documents/", json={"title": film.path.name, "upload": upload})

    assert claim.status_code == 201
    film.check_stored(server)
    assert line.sent < SIZE * 1.3


@pytest.mark.works_with("nginx")
async def test_nginx(server: Server, film: Film, tmp_path: Path) -> None:
    """Through nginx, set up as the page says, what came before the line broke has reached the application."""
    (location,) = re.findall(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
    location = location.replace("127.0.0.1:8000", f"{LOOPBACK}:{server.port}")
    with served(lambda: run_nginx(tmp_path / "nginx", server.port, location, ready="/documents/")) as port:
        async with line_to(port) as line:
            line.breaks_after = SIZE // 2
            await ended(await begun("sh", written("send.sh", tmp_path, line.url), film.path.name, folder=tmp_path))

    film.check_stored(server)
    assert line.happened.is_set()
    assert line.sent < SIZE * 1.3
