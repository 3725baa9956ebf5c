"""Clients that stop in the middle of a body, or dawdle: they are answered and leave nothing; others are not."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from httpx import AsyncClient
from starlette.requests import Request

from fastapi_filestore.errors import SlowUploadError
from fastapi_filestore.intake.forms.limits import Pace
from fastapi_filestore.web.receiving.bodies import limited_body
from fastapi_filestore.web.receiving.clients import Listening
from tests.servers.process import LOOPBACK, served
from tests.web.dawdling import FORM, begun
from tests.web.site import SIGNING_KEY
from tests.web.sockets import FILE, FORM_END, TITLE, head, run_application, stored

LIMITS = {
    "FILESTORE_UPLOAD_SILENCE": "0.5",
    "FILESTORE_UPLOAD_LEAST_RATE": "1 KiB",
    "FILESTORE_UPLOAD_RATE_SECONDS": "1",
    "FILESTORE_SIGNING_KEYS": SIGNING_KEY,
}


SEVERAL = FILE.replace(b'name="file"', b'name="files"')


class Body(NamedTuple):
    """The beginning of a body, and where it goes."""

    method: str
    path: str
    content_type: str
    start: bytes

    async def request(self, client: AsyncClient) -> bytes:
        """Return the request as far as it is sent."""
        path = (await client.get("/signed")).json() if self.path == "signed" else self.path
        length = 100_000 if self.method == "PATCH" else 2_000_000
        return head(self.method, path, length, self.content_type) + self.start


BODIES = {
    "form": Body("POST", "/documents/", FORM, TITLE + FILE + b"x" * 1000),
    "long-form": Body("POST", "/documents/", FORM, TITLE + FILE + b"x" * 700_000),
    "head-of-a-part": Body("POST", "/documents/", FORM, TITLE[:20]),
    "field": Body("POST", "/documents/", FORM, TITLE[:-5]),
    "replacement": Body("PUT", "/documents/1/file", FORM, FILE + b"x" * 1000),
    "raw-body": Body("PUT", "/documents/1/file", "image/png", b"x" * 100_000),
    "json": Body("PATCH", "/documents/1", "application/json", b'{"title": "'),
    "several": Body("POST", "/several", FORM, SEVERAL + b"x" * 10 + FORM_END[:-2] + b"\r\n" + SEVERAL),
    "signed": Body("PUT", "signed", "application/octet-stream", b"x" * 1000),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the application keeps everything."""
    return tmp_path_factory.mktemp("slow")


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    """The application with little patience; its port."""
    with served(lambda: run_application(folder, f"sqlite+aiosqlite:///{folder}/web.db", **LIMITS)) as port:
        yield port


@pytest.fixture
async def client(port: int) -> AsyncIterator[AsyncClient]:
    """A client, once there is a row."""
    async with AsyncClient(base_url=f"http://{LOOPBACK}:{port}", timeout=20) as client:
        await client.post("/documents/", files={"file": ("a", b"first")}, data={"title": "first"})
        yield client


async def answer_of(reader: asyncio.StreamReader) -> dict[str, Any]:
    """Read a problem, which comes whole although the connection lingers, and the header that says so."""
    async with asyncio.timeout(10):
        fields = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readuntil(b"}")
    assert b"connection: close" in fields.lower()
    problem: dict[str, Any] = json.loads(body)
    return problem


async def test_silence_ends_a_body(client: AsyncClient, port: int, folder: Path) -> None:
    """Whatever body a client stops in, it is told so with a 408, and nothing of it is left."""

    async def stop(body: Body) -> dict[str, Any]:
        async with begun(port, await body.request(client)) as (reader, _):
            return await answer_of(reader)

    before, bodies = stored(folder), {**BODIES, "nothing": Body("POST", "/documents/", FORM, b"")}
    answers = dict(zip(bodies, await asyncio.gather(*map(stop, bodies.values())), strict=True))

    assert {name for name, problem in answers.items() if not is_slow(problem, "0.5 seconds nothing")} == set()
    assert stored(folder) == before


async def test_a_trickle_ends_a_body(client: AsyncClient, port: int, folder: Path) -> None:
    """Whatever body a client sends by single bytes, it is told so with a 408, and nothing of it is left."""

    async def dawdle(body: Body) -> dict[str, Any]:
        async with begun(port, await body.request(client)) as (reader, writer):
            trickling = asyncio.create_task(trickle(writer))
            problem = await answer_of(reader)
            trickling.cancel()
            return problem

    before = stored(folder)
    answers = dict(zip(BODIES, await asyncio.gather(*map(dawdle, BODIES.values())), strict=True))

    assert {name for name, problem in answers.items() if not is_slow(problem, "fewer than 1,024 bytes")} == set()
    assert stored(folder) == before


def is_slow(problem: dict[str, Any], said: str) -> bool:
    """Tell whether a problem is that of a slow body, and says this."""
    is_one = (problem["status"], problem["type"]) == (408, "urn:fastapi-filestore:slow-upload")
    return is_one and said in problem["detail"]


async def trickle(writer: asyncio.StreamWriter) -> None:
    """Send a byte from time to time."""
    while True:
        writer.write(b"a")
        await asyncio.sleep(0.1)


async def test_a_slow_client_within_the_limits_arrives(client: AsyncClient) -> None:
    """Who pauses for less than the silence, and sends more than the least rate, is as welcome as ever."""

    async def body() -> AsyncIterator[bytes]:
        yield TITLE.replace(b"\r\nt\r\n", b"\r\nslow\r\n") + FILE
        for _ in range(10):
            await asyncio.sleep(0.2)
            yield b"x" * 500
        yield FORM_END

    created = await client.post("/documents/", content=body(), headers={"content-type": FORM})

    assert (created.status_code, created.json()["file"]["size"]) == (201, 5000)


class Sender:
    """A client that sends as it is told: pauses in seconds, and bytes."""

    def __init__(self, *script: float | bytes) -> None:
        self.script = list(script)

    async def receive(self) -> dict[str, Any]:
        """Return the next bytes, after the pauses before them."""
        step = self.script.pop(0)
        if not isinstance(step, bytes):
            await asyncio.sleep(step)
            return await self.receive()
        return {"type": "http.request", "body": step, "more_body": bool(self.script)}


def body_of(sender: Sender, pace: Pace) -> Any:
    """Return a client's body."""
    scope = {"type": "http", "method": "POST", "path": "/", "http_version": "1.1"}
    headers = [(b"transfer-encoding", b"chunked")]
    return limited_body(Request({**scope, "headers": headers}, sender.receive), 10**6, pace=pace)


async def test_time_in_which_nobody_reads_does_not_count() -> None:
    """A store may take longer for each chunk than a client may be silent for."""
    sender, got = Sender(b"a", 0.01, b"b", 0.01, b"c"), list[bytes]()
    async for chunk in body_of(sender, Pace(silence=0.1, least_rate=20, over=0.1)):
        got.append(chunk)
        await asyncio.sleep(0.25)

    assert got == [b"a", b"b", b"c"]


async def test_limits_can_be_switched_off() -> None:
    """0 is no limit, each by itself; the other one holds."""
    assert [chunk async for chunk in body_of(Sender(0.2, b"a"), Pace(silence=0, least_rate=0, over=0.05))] == [b"a"]
    with pytest.raises(SlowUploadError, match="fewer than 50 bytes"):
        await anext(body_of(Sender(5.0, b"a"), Pace(silence=0, least_rate=1000, over=0.05)))
    with pytest.raises(SlowUploadError, match="nothing"):
        await anext(body_of(Sender(5.0, b"a"), Pace(silence=0.05, least_rate=0)))


async def test_a_rate_is_an_average_over_each_stretch_of_time() -> None:
    """A burst pays for the stretch that it came in, not for all that follow."""
    sender = Sender(b"x" * 1000, *(0.05, b"x") * 100)
    began, body = monotonic(), body_of(sender, Pace(silence=0, least_rate=1000, over=0.3))
    with pytest.raises(SlowUploadError):
        [_ async for _ in body]

    assert 0.5 < monotonic() - began < 4


async def test_who_is_cancelled_hears_of_nothing_else() -> None:
    """A request that is cancelled while its client is too slow is cancelled, and counts as such."""
    with Listening(Pace(silence=0.05)) as listening:
        task = asyncio.create_task(listening.next(Sender(5.0, b"a").receive))
        await asyncio.sleep(0)
        listening.end(SlowUploadError(1))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})

    assert task.cancelled()


async def test_who_catches_the_error_is_not_cancelled() -> None:
    """The task that read a slow body goes on as any other does after an error."""
    with pytest.raises(SlowUploadError):
        await anext(body_of(Sender(5.0, b"a"), Pace(silence=0.05)))
    task = asyncio.current_task()
    await asyncio.sleep(0)

    assert task is not None
    assert task.cancelling() == 0


async def test_one_timer_watches_a_body() -> None:
    """A timer is set once for a body, not for each of its chunks, and is cancelled at the end."""
    loop, timers = asyncio.get_running_loop(), list[asyncio.TimerHandle]()

    def call_later(*arguments: Any) -> asyncio.TimerHandle:
        timers.append(loop.call_at(loop.time() + arguments[0], *arguments[1:]))
        return timers[-1]

    with patch.object(loop, "call_later", call_later):
        assert [chunk async for chunk in body_of(Sender(b"a", b"b"), Pace(silence=30))] == [b"a", b"b"]

    assert [timer.cancelled() for timer in timers] == [True]
