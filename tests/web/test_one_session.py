"""Requests whose service works in a transaction that is under way, more of them than there are connections."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from fastapi_filestore import StorageBackend
from tests.web.authorized import LEDGERED, PLAIN, Authorized, Do, Doings, Tables, authorized, read_user

AT_ONCE = 40
"""More than the fifteen connections of an engine's default pool."""
LIMIT = 30.0
"""Seconds after which they wait for each other."""
DRIVERS = ["sqlite", "sqlite+aiosqlite", "postgresql+psycopg", "postgresql+asyncpg"]


class Run(Protocol):
    """Runs the application of a test: `async with run(does=...) as site`."""

    def __call__(self, **options: Any) -> AbstractAsyncContextManager[Authorized]:
        """Run it."""
        ...


@pytest.fixture(params=DRIVERS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database of every kind, by the driver that says of which kind sessions are."""
    driver: str = request.param
    if driver.startswith("sqlite"):
        return f"{driver}:///{tmp_path}/one.db"
    server = request.getfixturevalue("postgres_databases").empty()
    return str(server.url(driver))


@pytest.fixture(params=[PLAIN, LEDGERED], ids=["plain", "ledger"])
def tables(request: pytest.FixtureRequest) -> Tables:
    """The tables, without a ledger and with one."""
    found: Tables = request.param
    return found


@pytest.fixture
def run(backend: StorageBackend, url: str, tables: Tables) -> Run:
    """Run applications on the database."""
    return lambda **options: authorized(backend, url, tables, **options)


def note_visit(session: Session, user: type[Any]) -> None:
    """Write, so that the rest of the request is in a transaction that has SQLite's only lock for it."""
    session.execute(update(user).values(seen=user.seen + 1))


async def answer_all(run: Run, path: str, authorize: Do) -> None:
    """Send more requests than there are connections, and assert that all succeed."""
    async with run(does=Doings(authorize)) as site, asyncio.timeout(LIMIT):
        answers = await asyncio.gather(*(site.post(path) for _ in range(AT_ONCE)))

        statuses = Counter(answer.status_code for answer in answers)
        assert statuses in ({200: AT_ONCE}, {201: AT_ONCE}), next(one.text for one in answers if one.is_error)
        rows = await site.run(lambda session: session.scalar(select(func.count()).select_from(site.tables.paper)))
        assert rows == AT_ONCE * (2 if path == "/many" else 1)


WITH_LEDGER = pytest.mark.parametrize("tables", [LEDGERED], ids=["ledger"], indirect=True)
ON_TWO = pytest.mark.parametrize("url", ["sqlite+aiosqlite", "postgresql+psycopg"], indirect=True)
"""Both databases, and both kinds of sessions."""
USUAL = [
    pytest.param(url, tables, id=f"{url}-{name}")
    for number, url in enumerate(DRIVERS)
    for name, tables, is_usual in (("plain", PLAIN, number % 3 == 0), ("ledger", LEDGERED, number % 3 != 0))
    if is_usual or "EVERY_KIND" in os.environ
]
"""Each driver with or without a ledger, in turn; with EVERY_KIND, with both."""


@pytest.mark.parametrize(("url", "tables"), USUAL, indirect=True)
@pytest.mark.parametrize("authorize", [read_user, note_visit], ids=["reads", "writes"])
async def test_nobody_waits_for_himself(run: Run, authorize: Do) -> None:
    """Any number of writes in one transaction succeed, in more requests than there are connections."""
    await answer_all(run, "/many", authorize)


@WITH_LEDGER
@ON_TWO
@pytest.mark.parametrize("path", ["/papers/", "/one"])
async def test_one_write_in_a_transaction_that_wrote(run: Run, path: str) -> None:
    """The router, and a route of one's own, store a file where authorization has written."""
    await answer_all(run, path, note_visit)


FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\ncontent'
FORM_HEADERS = {"Content-Type": "multipart/form-data; boundary=b"}
JSON_HEADERS = {"Content-Type": "application/json", "Content-Length": "100"}
BODIES = {
    "post": ("POST", "/papers/", FORM, FORM_HEADERS),
    "put": ("PUT", "/papers/1/file", FORM, FORM_HEADERS),
    "put if": ("PUT", "/papers/1/file", FORM, {**FORM_HEADERS, "If-Match": "*"}),
    "patch": ("PATCH", "/papers/1", b"{", JSON_HEADERS),
    "patch if": ("PATCH", "/papers/1", b"{", {**JSON_HEADERS, "If-Match": "*"}),
    "upload": ("POST", "/one", FORM, FORM_HEADERS),
    "upload, no head yet": ("POST", "/one", FORM[:20], FORM_HEADERS),
    "uploads": ("POST", "/several", FORM, FORM_HEADERS),
    "uploads, no head yet": ("POST", "/several", FORM[:20], FORM_HEADERS),
}


async def stalled(site: Authorized, body: str, waiting: asyncio.Semaphore) -> None:
    """Send the beginning of a body and no more; each request that waits for the rest lets the semaphore grow."""
    method, path, begin, headers = BODIES[body]

    async def content() -> AsyncIterator[bytes]:
        yield begin
        waiting.release()
        await asyncio.Event().wait()

    await site.client.request(method, path, content=content(), headers=headers)


async def stall(site: Authorized, body: str, number: int) -> "list[asyncio.Task[None]]":
    """Let so many clients begin a body and stop, and return when all are waited for."""
    waiting = asyncio.Semaphore(0)
    clients = [asyncio.create_task(stalled(site, body, waiting)) for _ in range(number)]
    for _ in clients:
        await waiting.acquire()
    return clients


async def leave(clients: "list[asyncio.Task[None]]") -> None:
    """Let clients go away."""
    for client in clients:
        client.cancel()
    await asyncio.wait(clients)


@WITH_LEDGER
@ON_TWO
@pytest.mark.parametrize("body", BODIES)
async def test_a_body_holds_no_connection(run: Run, body: str) -> None:
    """While more clients than there are connections send nothing, another request is answered."""
    async with run(pool_size=2, max_overflow=0, pool_timeout=3) as site, asyncio.timeout(LIMIT):
        assert (await site.post()).status_code == 201
        clients = await stall(site, body, 6)
        answer = await site.client.get("/users")
        await leave(clients)

    assert answer.json() == [0]


@WITH_LEDGER
@ON_TWO
async def test_a_session_can_be_held(run: Run) -> None:
    """Where the application says so, a request keeps its connection while its client sends."""
    async with run(pool_size=1, max_overflow=0, pool_timeout=1, hold_session=True) as site, asyncio.timeout(LIMIT):
        clients = await stall(site, "upload", 1)
        with pytest.raises(Exception, match="QueuePool limit"):
            await site.client.get("/users")
        await leave(clients)


def see_user(session: Session, user: type[Any]) -> None:
    """Change a row, and leave it to the rest of the request to write it."""
    session.get_one(user, 1).seen += 1


ON_POSTGRES = pytest.mark.parametrize("url", ["postgresql+psycopg", "postgresql+asyncpg"], indirect=True)
LASTING: dict[str, Doings] = {
    "row security": Doings(
        lambda session, _: session.scalar(select(func.set_config("app.user", "bob", True))),
        lambda session, _: session.scalar(select(func.current_setting("app.user", True))) == "bob",
    ),
    "a locked row": Doings(
        lambda session, user: session.execute(select(user.id).with_for_update()).all(),
        lambda session, _: session.scalar(text("SELECT count(*) FROM pg_locks WHERE mode = 'RowShareLock'")) == 2,
    ),
    "an advisory lock": Doings(
        lambda session, _: session.scalar(select(func.pg_advisory_xact_lock(7))),
        lambda session, _: session.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) == 1,
    ),
}


@ON_POSTGRES
@WITH_LEDGER
@pytest.mark.parametrize("does", LASTING.values(), ids=LASTING.keys())
async def test_what_authorization_did_outlasts_the_body(run: Run, does: Doings) -> None:
    """A setting or a lock of the transaction is there when the upload is stored."""
    async with run(does=does) as site:
        answer = await site.post("/one")

    assert answer.json() is True


@WITH_LEDGER
@ON_TWO
@pytest.mark.parametrize("path", ["/one", "/papers/"])
async def test_what_is_not_written_yet_outlasts_the_body(run: Run, path: str) -> None:
    """A change that authorization made to a row is committed with the upload."""
    async with run(does=Doings(see_user)) as site:
        answer = await site.post(path)

        assert answer.is_success, answer.text
        assert (await site.client.get("/users")).json() == [1]


@WITH_LEDGER
@ON_TWO
@pytest.mark.parametrize("path", ["/papers/7", "/papers/7/file"])
async def test_a_row_is_looked_for_before_its_body(run: Run, path: str) -> None:
    """Nothing is read of what is sent to a row that is not there."""
    read: list[bytes] = []

    async def content() -> AsyncIterator[bytes]:
        read.append(b"{")
        yield b"{"

    async with run() as site:
        method = "PUT" if path.endswith("file") else "PATCH"
        answer = await site.client.request(method, path, content=content(), headers=JSON_HEADERS)

    assert answer.status_code == 404
    assert read == []
