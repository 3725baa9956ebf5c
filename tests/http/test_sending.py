"""What only real sockets show: slow clients, clients that go, and stores that fail half-way."""

import asyncio
import secrets
import socket
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.http.served import Served, run_application
from tests.servers.process import LOOPBACK, served
from tests.servers.seaweedfs import SeaweedFS

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The application on local disk."""
    folder = tmp_path_factory.mktemp("local")
    with served(lambda: run_application(folder, (folder / "store").as_uri(), {})) as application:
        yield application


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Served]:
    """An application whose memory no other test has used."""
    with served(lambda: run_application(tmp_path, (tmp_path / "store").as_uri(), {})) as application:
        yield application


@pytest.fixture
def read_log(local: Served) -> Callable[[], str]:
    """Read what the application logs during a test."""
    before = len(local.log.read_text())
    return lambda: local.log.read_text()[before:]


@pytest.fixture
def impatient(tmp_path: Path, seaweedfs: SeaweedFS) -> Iterator[Served]:
    """The application on S3, where a whole answer of the store may last a second only."""
    options = {
        "aws_endpoint": seaweedfs.endpoint,
        "aws_access_key_id": seaweedfs.access_key,
        "aws_secret_access_key": seaweedfs.secret_key,
        "aws_region": seaweedfs.region,
        "timeout": 1,
        "client_options": {"timeout": 1},
    }
    url = f"s3://{seaweedfs.bucket}/{secrets.token_hex(8)}"
    with served(lambda: run_application(tmp_path, url, options)) as application:
        yield application


async def ask(port: int, path: str, *headers: str) -> socket.socket:
    """Send a request on a connection that takes little ahead of its reader, and return it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, (LOOPBACK, port))
    lines = (f"GET {path} HTTP/1.1", "Host: a", "Connection: close", *headers)
    await loop.sock_sendall(client, "\r\n".join([*lines, "\r\n"]).encode())
    return client


async def read_all(client: socket.socket, *, pause: float = 0) -> tuple[int, bytes]:
    """Read an answer to its end, with pauses; return the length that it promised, and its body."""
    loop, answer = asyncio.get_running_loop(), bytearray()
    while data := await loop.sock_recv(client, 256 * 1024):
        answer += data
        await asyncio.sleep(pause * len(data) / (256 * 1024))
    client.close()
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    (length,) = (line.split(b":")[1] for line in head.lower().splitlines() if line.startswith(b"content-length:"))
    return int(length), body


async def test_a_client_slower_than_any_timeout_gets_every_byte(impatient: Served) -> None:
    """A download may last several times as long as the store's answer, or its silence, may."""
    content = secrets.token_bytes(16 * MIB)
    await impatient.backend.put("k", content)
    client = await ask(impatient.port, "/whole/k")
    length, body = await read_all(client, pause=0.08)

    assert (length, sha256(body).digest()) == (len(content), sha256(content).digest())


async def test_clients_that_do_not_read_cost_little(fresh: Served) -> None:
    """Whoever stops to read holds a few pieces of the file, not the file."""
    await fresh.backend.put("k", bytes(24 * MIB))
    await read_all(await ask(fresh.port, "/whole/k"))
    before = await fresh.held()
    clients = [await ask(fresh.port, "/whole/k") for _ in range(16)]
    await asyncio.sleep(1)
    after = await fresh.held()
    for client in clients:
        client.close()

    assert after["files"] - before["files"] == 2 * len(clients)  # a file and a connection each
    assert after["peak"] - before["peak"] < len(clients) * 2 * MIB


async def test_a_client_that_goes_leaves_nothing_behind(local: Served, read_log: Callable[[], str]) -> None:
    """When the client goes half-way, the file is closed at once, and nobody is told of an error."""
    await local.backend.put("k", bytes(24 * MIB))
    await read_all(await ask(local.port, "/whole/k"))  # what the first request opens for good
    before = await local.held()
    for _ in range(5):
        client = await ask(local.port, "/whole/k")
        await asyncio.get_running_loop().sock_recv(client, 1000)
        client.close()
    async with asyncio.timeout(5):
        while (await local.held())["files"] > before["files"]:  # noqa: ASYNC110 - another process can't set an event
            await asyncio.sleep(0.05)
    log = await asyncio.to_thread(read_log)

    assert {"ERROR", "Traceback", "Exception"} & set(log.replace(":", " ").split()) == set()


@pytest.mark.parametrize("size", [1000, 8 * MIB])
async def test_a_store_that_fails_half_way_breaks_the_connection(
    local: Served, read_log: Callable[[], str], size: int
) -> None:
    """A part of a file never looks like a whole one: it is shorter than its Content-Length says."""
    content = secrets.token_bytes(size)
    await local.backend.put("k", content)
    length, body = await read_all(await ask(local.port, "/torn/k"))

    assert length == size
    assert len(body) < size
    assert content.startswith(body)
    assert "Traceback" not in await asyncio.to_thread(read_log)


@pytest.mark.parametrize("content", [None, b"", b"other"], ids=["deleted", "emptied", "replaced"])
async def test_a_file_that_goes_between_two_ranges_breaks_the_connection(
    local: Served, read_log: Callable[[], str], content: bytes | None
) -> None:
    """The ranges that were sent are right, those that can't be are missing, and the log has one line of it."""
    whole = secrets.token_bytes(24 * MIB)
    await local.backend.put("k", whole)
    ranges = f"Range: bytes=0-{16 * MIB},{18 * MIB}-{22 * MIB}"
    client = await ask(local.port, "/whole/k", ranges, "Accept-Encoding: gzip")
    await asyncio.get_running_loop().sock_recv(client, 1000)
    path = local.log.parent / "store" / "k"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    client_read = await _rest(client)
    log = await asyncio.to_thread(read_log)

    assert whole[12 * MIB : 16 * MIB] in client_read
    assert whole[18 * MIB : 19 * MIB] not in client_read
    assert log.count("fastapi_filestore.broken_off") == 1
    assert "Traceback" not in log


async def _rest(client: socket.socket) -> bytes:
    loop, rest = asyncio.get_running_loop(), bytearray()
    while data := await loop.sock_recv(client, 256 * 1024):
        rest += data
    client.close()
    return bytes(rest)
