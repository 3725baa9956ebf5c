"""What a part of an upload costs: requests to the store, statements and transactions of the database, and memory."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import event

from fastapi_filestore import ObstoreBackend, StorageBackend, storages
from fastapi_filestore.storage.budget import upload_memory
from fastapi_filestore.testing import FaultyBackend
from tests.servers.lines import line_to
from tests.servers.process import LOOPBACK
from tests.servers.seaweedfs import SeaweedFS
from tests.web.resumed.conftest import Open, held, stored
from tests.web.resumed.replicas import BACKEND, Replica

MIB = 1024 * 1024
PART = 8 * MIB


@contextmanager
def noting(site: Replica) -> Iterator[list[list[str]]]:
    """Note the statements of each transaction of the block."""
    under_way, ended = dict[int, list[str]](), list[list[str]]()

    def execute(connection: Any, cursor: object, statement: str, *_: Any) -> None:
        under_way.setdefault(id(connection.connection.dbapi_connection), []).append(statement)

    def commit(connection: Any) -> None:
        ended.append(under_way.pop(id(connection.connection.dbapi_connection), []))

    event.listen(site.engine, "before_cursor_execute", execute)
    event.listen(site.engine, "commit", commit)
    try:
        yield ended
    finally:
        event.remove(site.engine, "before_cursor_execute", execute)
        event.remove(site.engine, "commit", commit)


@pytest.mark.parametrize(
    ("url", "backend"), [("postgresql+asyncpg", "seaweedfs"), ("sqlite+aiosqlite", "seaweedfs")], indirect=True
)
async def test_a_part_is_one_put_and_two_transactions(run: Open, backend: StorageBackend) -> None:
    """A part of 8 MiB is one object and two short transactions, beside those for many: reserved paths, and looks."""
    storages.unregister_backend(backend.key)
    storages.register_backend(counted := FaultyBackend(backend, lambda number, operation: False))
    async with run() as site:
        path = await site.begin(2 * PART)
        await site.patch(path, 0, bytes(PART))
        counted.calls.clear()
        with noting(site) as transactions:
            answer = await site.patch(path, PART, bytes(PART))

        assert (answer.status_code, counted.calls) == (204, ["put"])
        own = [
            statements
            for statements in transactions
            if any(statement.startswith("UPDATE filestore_uploads SET") for statement in statements)
        ]
        assert len(own) == 2
        assert sum(map(len, own)) <= 7
        assert await stored(backend) == await held(site)


@pytest.mark.parametrize(("room", "requests"), [(64, {"PUT": 1}), (4, {"POST": 2, "PUT": 2})])
async def test_a_part_is_one_request_while_memory_has_room(
    run: Open, seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch, room: int, requests: dict[str, int]
) -> None:
    """What has room as a whole is one PUT; else it is an upload in parts, which is begun and completed."""
    async with line_to(urlsplit(seaweedfs.endpoint).port or 0) as line:
        keys = {"aws_access_key_id": seaweedfs.access_key, "aws_secret_access_key": seaweedfs.secret_key}
        place = {"aws_endpoint": f"http://{LOOPBACK}:{line.port}", "aws_region": seaweedfs.region}
        storages.register_backend(ObstoreBackend(BACKEND, f"s3://{seaweedfs.bucket}/p", **keys, **place), replace=True)
        async with run() as site:
            monkeypatch.setattr(upload_memory, "limit", room * MIB)  # which the application has set
            sending = site.sending(await site.begin(2 * PART), 0, Content_Length=str(PART))
            for number in range(1, 33):
                sending.send(bytes(PART // 32), more=number < 32)

            assert await sending.end() == 204
            assert Counter(line.methods) == requests


@pytest.mark.parametrize("backend", ["seaweedfs"], indirect=True)
async def test_64_uploads_at_once_share_the_memory(run: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold no more than the budget together, and all of them arrive."""
    monkeypatch.setattr(upload_memory, "limit", 8 * MIB)
    most = 0
    async with run() as site:
        paths = [await site.begin(MIB // 2) for _ in range(64)]

        async def send(path: str) -> int:
            nonlocal most
            sending = site.sending(path, 0)
            for number in range(4):
                sending.send(bytes(MIB // 8), more=number < 3)
                await asyncio.sleep(0)
                most = max(most, upload_memory.held)
            return await sending.end()

        assert set(await asyncio.gather(*map(send, paths))) == {204}
        assert most <= 8 * MIB
        assert {await site.offset(path) for path in paths} == {MIB // 2}
    assert upload_memory.held == 0
