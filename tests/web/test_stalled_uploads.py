"""Many clients that stop in the middle of a file of an S3 store: they delay nobody, and hold no more than they may."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from httpx import AsyncClient

from tests.servers.process import LOOPBACK, served
from tests.servers.seaweedfs import SeaweedFS
from tests.web.dawdling import FORM, begun
from tests.web.sockets import FILE, FORM_END, MIB, TITLE, head, run_application

SETTING = "FILESTORE_BACKENDS__WEB__"
STALLED = 24
MEMORY = 16 * MIB
PART = 5 * MIB


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, seaweedfs: SeaweedFS) -> Iterator[int]:
    """The application with little memory for uploads; its port."""
    folder: Path = tmp_path_factory.mktemp("stalled")
    settings = {
        f"{SETTING}URL": f"s3://{seaweedfs.bucket}/stalled",
        f"{SETTING}AWS_ENDPOINT": seaweedfs.endpoint,
        f"{SETTING}AWS_ACCESS_KEY_ID": seaweedfs.access_key,
        f"{SETTING}AWS_SECRET_ACCESS_KEY": seaweedfs.secret_key,
        f"{SETTING}AWS_REGION": seaweedfs.region,
        "FILESTORE_UPLOAD_MEMORY": str(MEMORY),
    }
    with served(lambda: run_application(folder, f"sqlite+aiosqlite:///{folder}/web.db", **settings)) as port:
        yield port


@pytest.fixture
async def client(port: int) -> AsyncIterator[AsyncClient]:
    """A client."""
    async with AsyncClient(base_url=f"http://{LOOPBACK}:{port}", timeout=25) as client:
        yield client


@pytest.mark.parametrize("sent", [70_000, 4_000_000, 7_000_000])
async def test_stalled_clients_delay_nobody(client: AsyncClient, port: int, sent: int) -> None:
    """Long before their silence is at its end, a small file and a big one arrive; who had to give way is told so."""
    async with AsyncExitStack() as stack:
        start = TITLE.replace(b"\r\nt\r\n", b"\r\nstalled\r\n") + FILE
        request = head("POST", "/documents/", 20 * MIB, FORM) + start + b"x" * sent
        stalled = await asyncio.gather(*(stack.enter_async_context(begun(port, request)) for _ in range(STALLED)))
        await asyncio.sleep(0.5)
        for size in (10_000, 100_000, 1_000_000, 12 * MIB):
            created = await client.post(
                "/documents/", content=TITLE.replace(b"t\r\n", f"{sent} {size}\r\n".encode()) + FILE + b"x" * size
                + FORM_END, headers={"content-type": FORM},
            )  # fmt: skip
            assert created.status_code == 201, created.text
        answers = await asyncio.gather(*(first_line(reader) for reader, _ in stalled))

    assert set(answers) <= {"", "HTTP/1.1 503 Service Unavailable"}
    assert answers.count("") * (sent % PART) <= MEMORY  # whole parts are in the store


async def first_line(reader: asyncio.StreamReader) -> str:
    """Return the first line of an answer, if there is one."""
    with suppress(TimeoutError):
        return (await asyncio.wait_for(reader.readline(), 0.5)).decode().strip()
    return ""
