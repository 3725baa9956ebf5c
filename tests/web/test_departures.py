"""A WebSocket's client that leaves: what it was told is kept; what failed is not."""

import asyncio
from asyncio import TaskGroup
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, WebSocket, WebSocketDisconnect, WebSocketException
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from fastapi_filestore import FileObject, FileService, Filestore
from tests.servers.process import LOOPBACK
from tests.web.conftest import Serve
from tests.web.departing import serving
from tests.web.models import Document
from tests.web.site import Site

Service = FileService[Document]


async def _receive_and_create(socket: WebSocket, service: Service) -> None:
    """Keep each message, and say so, until the client leaves."""
    while True:
        title = await socket.receive_text()
        await service.create({"title": title, "file": FileObject(content=title.encode())})
        await socket.send_text(title)


async def _in_tasks(socket: WebSocket, service: Service) -> None:
    async with TaskGroup() as group:
        group.create_task(_receive_and_create(socket, service))
        group.create_task(asyncio.sleep(0))


async def _until_it_fails(socket: WebSocket, service: Service) -> None:
    try:
        await _receive_and_create(socket, service)
    finally:
        raise ZeroDivisionError


async def _in_tasks_of_which_one_fails(socket: WebSocket, service: Service) -> None:
    async def fail() -> None:
        await left.wait()
        raise ZeroDivisionError

    async def receive() -> None:
        try:
            await _receive_and_create(socket, service)
        finally:
            left.set()
            await asyncio.sleep(0)

    left = asyncio.Event()
    async with TaskGroup() as group:
        group.create_task(receive())
        group.create_task(fail())


async def _until_it_is_cancelled(socket: WebSocket, service: Service) -> None:
    try:
        await _receive_and_create(socket, service)
    finally:
        raise asyncio.CancelledError


async def _until_it_refuses(socket: WebSocket, service: Service) -> None:
    try:
        await _receive_and_create(socket, service)
    except WebSocketDisconnect:
        raise WebSocketException(1008) from None


async def _in_blocks(socket: WebSocket, service: Service) -> None:
    """Keep messages in pairs: what belongs together has a unit of work of its own."""
    while True:
        async with service.unit_of_work():
            for _ in range(2):
                title = await socket.receive_text()
                await service.create({"title": title, "file": FileObject(content=title.encode())})
                await socket.send_text(title)


ROUTES: dict[str, Callable[[WebSocket, Service], Awaitable[None]]] = {
    route.__name__: route
    for route in (
        _receive_and_create,
        _in_tasks,
        _until_it_fails,
        _in_tasks_of_which_one_fails,
        _until_it_is_cancelled,
        _until_it_refuses,
        _in_blocks,
    )
}


@pytest.fixture(params=["sqlite+aiosqlite", "sqlite"])
async def site(request: pytest.FixtureRequest, serve: Serve, tmp_path: Path) -> AsyncIterator[Site]:
    """A site with a WebSocket, on sessions of both kinds."""

    def build(app: FastAPI, files: Filestore) -> None:
        app.state.ended = asyncio.Event()

        @app.websocket("/socket/{name}")
        async def socket(
            socket: WebSocket, name: str, service: Annotated[Service, Depends(files.service(Document))]
        ) -> None:
            await socket.accept()
            await ROUTES[name](socket, service)

    async with serve(f"{request.param}:///{tmp_path}/web.db", build=build) as site:
        yield site
        await site.check()


async def _say_goodbye(client: ClientConnection) -> None:
    await client.close()


async def _vanish(client: ClientConnection) -> None:
    client.transport.abort()


async def titles_after(site: Site, route: str, leave: Callable[[ClientConnection], Awaitable[None]]) -> int:
    """Send three messages, each acknowledged, and leave; return the rows that are left."""
    async with serving(site) as port:
        client = await connect(f"ws://{LOOPBACK}:{port}/socket/{route}")
        for title in ("one", "two", "three"):
            await client.send(title)
            assert await client.recv() == title
        await leave(client)
        await client.wait_closed()
    await site.check()
    return await site.rows()


@pytest.mark.parametrize("leave", [_say_goodbye, _vanish])
@pytest.mark.parametrize("route", ["_receive_and_create", "_in_tasks"])
async def test_leaving_is_no_failure(
    site: Site, route: str, leave: Callable[[ClientConnection], Awaitable[None]]
) -> None:
    """What was acknowledged is committed when the client leaves, with a word or without."""
    assert await titles_after(site, route, leave) == 3
    assert len(await site.keys()) == 3


@pytest.mark.parametrize(
    "route",
    ["_until_it_fails", "_in_tasks_of_which_one_fails", "_until_it_is_cancelled", "_until_it_refuses"],
)
async def test_a_failure_is_one(site: Site, route: str) -> None:
    """An error beside the departure rolls everything back, bytes included."""
    assert await titles_after(site, route, _say_goodbye) == 0
    await site.check_empty()


async def test_a_unit_of_work_within_the_route(site: Site) -> None:
    """What belongs together is kept whole: a pair that the client left in the middle of is undone."""
    assert await titles_after(site, "_in_blocks", _say_goodbye) == 2


async def test_a_server_that_stops(site: Site) -> None:
    """A server that ends the connection by itself keeps what it acknowledged."""
    async with serving(site) as port:
        client = await connect(f"ws://{LOOPBACK}:{port}/socket/_receive_and_create")
        await client.send("one")
        assert await client.recv() == "one"
    with pytest.raises(ConnectionClosed):
        await client.recv()

    assert await site.rows() == 1
