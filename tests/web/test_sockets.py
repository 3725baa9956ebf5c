"""What only real sockets show: when bodies are read, what is held meanwhile, and how much memory it takes."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from httpx import AsyncClient

from tests.servers.postgres import Postgres
from tests.servers.process import LOOPBACK, served
from tests.web.sockets import FILE, FORM_END, MIB, TITLE, head, run_application, stored


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the application on SQLite keeps everything."""
    return tmp_path_factory.mktemp("sockets")


@pytest.fixture(scope="module")
def on_sqlite(folder: Path) -> Iterator[int]:
    """The application on SQLite, for all tests; its port."""
    with served(lambda: run_application(folder, f"sqlite+aiosqlite:///{folder}/web.db")) as port:
        yield port


@pytest.fixture
def on_postgres(tmp_path: Path, postgres_database: Postgres) -> Iterator[int]:
    """The application on PostgreSQL; its port."""
    with served(lambda: run_application(tmp_path, postgres_database.url("postgresql+asyncpg"))) as port:
        yield port


async def push(writer: asyncio.StreamWriter, size: int) -> int:
    """Send as much of a body as the server takes."""
    sent = 0
    try:
        while sent < size:
            writer.write(b"x" * 65536)
            await asyncio.wait_for(writer.drain(), 2)
            sent += 65536
    except (ConnectionError, TimeoutError):
        pass
    return sent


@pytest.mark.parametrize(
    ("method", "path", "content_type"),
    [
        ("POST", "/private/", "multipart/form-data; boundary=b"),
        ("PUT", "/private/1/file", "multipart/form-data; boundary=b"),
        ("PATCH", "/private/1", "application/json"),
    ],
)
async def test_a_stranger_sends_no_gigabyte(on_sqlite: int, method: str, path: str, content_type: str) -> None:
    """Dependencies run first: 401, in FastAPI's own words, with less than a megabyte of the body read."""
    before = await received(on_sqlite)
    reader, writer = await asyncio.open_connection(LOOPBACK, on_sqlite)
    writer.write(head(method, path, 1024 * MIB, content_type))
    pushing = asyncio.create_task(push(writer, 1024 * MIB))
    answer = await asyncio.wait_for(reader.readuntil(b"}"), 10)
    writer.transport.abort()
    await pushing

    assert answer.startswith(b"HTTP/1.1 401")
    assert answer.endswith(b'{"detail":"Who are you?"}')
    assert await received(on_sqlite) - before < MIB


async def received(port: int) -> int:
    """Ask the application how many bytes of bodies it has read."""
    async with AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:
        return int((await client.get("/received")).json())


async def test_a_client_that_goes_away_leaves_nothing(on_sqlite: int, folder: Path) -> None:
    """A connection that breaks in the middle of a file leaves neither row nor bytes."""
    before = stored(folder)
    _, writer = await asyncio.open_connection(LOOPBACK, on_sqlite)
    form = TITLE.replace(b"\r\nt\r\n", b"\r\ngone\r\n") + FILE
    writer.write(head("POST", "/documents/", 10 * MIB, "multipart/form-data; boundary=b") + form + b"x" * 3 * MIB)
    await writer.drain()
    writer.transport.abort()
    async with AsyncClient(base_url=f"http://{LOOPBACK}:{on_sqlite}") as client:
        await asyncio.sleep(0.5)  # the end of the request is nothing that a client could see
        listed = await client.get("/documents/")

    assert "gone" not in [row["title"] for row in listed.json()["items"]]
    assert stored(folder) == before


def open_transactions(database: Postgres) -> int:
    """Count the application's connections that are in a transaction or at work."""
    query = b"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'"
    with psycopg.connect(database.url("postgresql"), autocommit=True) as connection:
        row = connection.execute(query + b" AND pid <> pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


async def test_a_slow_upload_holds_no_connection(on_postgres: int, postgres_database: Postgres) -> None:
    """While a client dawdles, PostgreSQL sees no transaction; POST and PUT, and all of it arrives."""
    busy = 0
    async with AsyncClient(base_url=f"http://{LOOPBACK}:{on_postgres}", timeout=30) as client:

        async def dawdle(start: bytes) -> AsyncIterator[bytes]:
            nonlocal busy
            yield start
            for _ in range(5):
                await asyncio.sleep(0.1)
                yield b"x" * 100_000
                busy += await asyncio.to_thread(open_transactions, postgres_database)
            yield FORM_END

        headers = {"content-type": "multipart/form-data; boundary=b"}
        created = await client.post("/documents/", content=dawdle(TITLE + FILE), headers=headers)
        replaced = await client.put("/documents/1/file", content=dawdle(FILE), headers=headers)

    assert (created.status_code, replaced.status_code) == (201, 200)
    assert replaced.json()["file"]["size"] == 500_000
    assert busy == 0


async def test_a_slow_download_holds_no_connection(on_postgres: int, postgres_database: Postgres) -> None:
    """While a client reads slowly, PostgreSQL sees no transaction."""
    busy, got = 0, 0
    async with AsyncClient(base_url=f"http://{LOOPBACK}:{on_postgres}", timeout=30) as client:
        await client.post("/documents/", files={"file": ("a", b"x" * 20 * MIB)}, data={"title": "t"})
        async with client.stream("GET", "/documents/1/file") as response:
            async for chunk in response.aiter_bytes(4 * MIB):
                got += len(chunk)
                await asyncio.sleep(0.1)
                busy += await asyncio.to_thread(open_transactions, postgres_database)

    assert (got, busy) == (20 * MIB, 0)


async def test_a_big_file_takes_little_memory(on_sqlite: int) -> None:
    """200 MB up and down: the process never has 80 MB more than before, and the bytes are the same."""
    block, size = secrets.token_bytes(MIB), 200
    expected, found = sha256(), sha256()
    for _ in range(size):
        expected.update(block)

    async def body() -> AsyncIterator[bytes]:
        yield TITLE + FILE
        for _ in range(size):
            yield block
        yield FORM_END

    headers = {"content-type": "multipart/form-data; boundary=b"}
    async with AsyncClient(base_url=f"http://{LOOPBACK}:{on_sqlite}", timeout=100) as client:
        await client.post("/documents/", files={"file": ("small", b"x" * 9 * MIB)}, data={"title": "warm"})
        before = (await client.get("/peak")).json()
        created = await client.post("/documents/", content=body(), headers=headers)
        async with client.stream("GET", created.json()["file"]["url"]) as response:
            async for chunk in response.aiter_bytes():
                found.update(chunk)
        after = (await client.get("/peak")).json()

    assert created.json()["file"]["checksum"] == expected.hexdigest() == found.hexdigest()
    assert after - before < 80 * MIB
