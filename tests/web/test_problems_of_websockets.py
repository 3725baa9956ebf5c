"""Errors of the library in a WebSocket's route: the handshake is refused with a problem, an open one is closed."""

import json
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, WebSocket
from starlette.types import Message, Scope
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from fastapi_filestore.errors import FilestoreError
from fastapi_filestore.web.problems import KINDS, Problem, answer_error, problem_of
from tests.web.feeding import served
from tests.web.raised import RAISED, SECRETS


def raise_error(name: str) -> None:
    """Raise an error in a dependency."""
    raise RAISED[name]


def raise_problem(name: str) -> None:
    """Raise a problem in a dependency."""
    raise problem_of(RAISED[name])


@pytest.fixture
def app() -> FastAPI:
    """Routes that fail at each moment of a WebSocket's life."""
    handlers: dict[Any, Any] = {FilestoreError: answer_error, Problem: answer_error}
    app = FastAPI(exception_handlers=handlers)

    @app.websocket("/first/{name}")
    async def first(name: str, socket: WebSocket) -> None:
        raise RAISED[name]

    @app.websocket("/dependency/{name}")
    async def in_dependency(socket: WebSocket, failed: Annotated[None, Depends(raise_error)]) -> None: ...

    @app.websocket("/problem/{name}")
    async def in_problem(socket: WebSocket, failed: Annotated[None, Depends(raise_problem)]) -> None: ...

    @app.websocket("/accepted/{name}")
    async def accepted(name: str, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        raise RAISED[name]

    @app.websocket("/ended/{name}")
    async def ended(name: str, socket: WebSocket) -> None:
        await socket.accept()
        await socket.close(1000)
        raise RAISED[name]

    @app.websocket("/left/{name}")
    async def left(name: str, socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive()
        raise RAISED[name]

    return app


DENIAL: dict[str, Any] = {"extensions": {"websocket.http.response": {}}}
LEFT = {"type": "websocket.disconnect", "code": 1000}


async def speak(app: FastAPI, path: str, *heard: Message, extra: dict[str, Any] = DENIAL) -> list[Message]:
    """Open a WebSocket as a server does that hears some messages, and return what it is sent."""
    sent = list[Message]()
    waiting = iter([{"type": "websocket.connect"}, *heard])
    scope: Scope = {"type": "websocket", "path": path, "headers": [], "query_string": b"", "subprotocols": [], **extra}

    async def receive() -> Message:
        return next(waiting)

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


@pytest.mark.parametrize("place", ["first", "dependency", "problem"])
@pytest.mark.parametrize("name", RAISED)
async def test_a_handshake_is_refused_with_the_problem(app: FastAPI, place: str, name: str) -> None:
    """Before the WebSocket is accepted, an error is the response that a request would have."""
    start, body = await speak(app, f"/{place}/{name}")

    kind = next(one for one in KINDS.values() if one.name == name)
    problem = json.loads(body["body"])
    assert (start["type"], start["status"]) == ("websocket.http.response.start", kind.status)
    assert (b"content-type", b"application/problem+json") in start["headers"]
    assert (body["type"], problem["type"]) == ("websocket.http.response.body", f"urn:fastapi-filestore:{name}")
    assert not [secret for secret in SECRETS if secret in str(problem)]


@pytest.mark.parametrize("extra", [{}, {"extensions": {}}])
@pytest.mark.parametrize("place", ["first", "dependency", "problem"])
async def test_a_server_that_can_refuse_with_no_response(app: FastAPI, place: str, extra: dict[str, Any]) -> None:
    """Such a server is told to close, and answers 403."""
    [sent] = await speak(app, f"/{place}/row-not-found", extra=extra)

    assert (sent["type"], sent["code"]) == ("websocket.close", 1008)


@pytest.mark.parametrize(("name", "code"), [("row-not-found", 1008), ("store-unavailable", 1011)])
@pytest.mark.parametrize("extra", [{}, DENIAL])
async def test_an_open_one_is_closed(app: FastAPI, name: str, code: int, extra: dict[str, Any]) -> None:
    """Once it is accepted, an error closes it with a code and the problem's title, after what was sent."""
    accept, text, close = await speak(app, f"/accepted/{name}", extra=extra)

    assert (accept["type"], text["text"]) == ("websocket.accept", "hello")
    assert close == {"type": "websocket.close", "code": code, "reason": problem_of(RAISED[name]).title}


async def test_one_that_the_route_closed_is_left(app: FastAPI) -> None:
    """An error after the end changes nothing."""
    _, close = await speak(app, "/ended/row-not-found")

    assert close["code"] == 1000


async def test_one_that_the_client_closed_is_left(app: FastAPI) -> None:
    """An error after the client has left is told nobody."""
    assert [sent["type"] for sent in await speak(app, "/left/row-not-found", LEFT)] == ["websocket.accept"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .websockets. implementation")
@pytest.mark.parametrize("server", ["websockets", "websockets-sansio"])
@pytest.mark.parametrize("path", ["first", "dependency", "problem"])
async def test_a_handshake_with_a_server(app: FastAPI, server: str, path: str) -> None:
    """A client is refused with the status and the problem of the error, by each of uvicorn's ways."""
    with served(app, ws=server) as url, pytest.raises(InvalidStatus) as caught:
        await connect(f"{url.replace('http', 'ws')}/{path}/row-not-found")

    assert caught.value.response.status_code == 404
    assert json.loads(caught.value.response.body)["type"] == "urn:fastapi-filestore:row-not-found"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The .websockets. implementation")
@pytest.mark.parametrize("server", ["websockets", "websockets-sansio"])
async def test_an_open_one_with_a_server(app: FastAPI, server: str) -> None:
    """A client that is connected hears why it is closed."""
    with served(app, ws=server) as url:
        async with connect(f"{url.replace('http', 'ws')}/accepted/store-unavailable") as socket:
            said = await socket.recv()
            with pytest.raises(ConnectionClosed) as caught:
                await socket.recv()

    assert said == "hello"
    assert caught.value.rcvd is not None
    assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (1011, "Store unavailable")
