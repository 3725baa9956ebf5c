"""Metrics: of stores, uploads, memory, problems and ledgers."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import insert

from fastapi_filestore import FileObject, StorageUnavailableError
from fastapi_filestore.orm.ledger.ledger import DELETION, UPLOAD
from fastapi_filestore.storage.budget import upload_memory
from fastapi_filestore.testing import FaultyBackend
from tests.telemetry.conftest import LEDGER, REGISTRY, Traced

FILE = {"file": ("a.txt", b"x" * 100, "text/plain")}


async def test_bytes_and_time(traced: Traced) -> None:
    """What goes in and out is counted by backend, and how long each operation took, by its outcome."""
    row = (await traced.client.post("/notes/", files=FILE)).json()["id"]
    await traced.client.get(f"/notes/{row}/file", headers={"Range": "bytes=10-19"})

    assert traced.metric("filestore.io") == {("shelf", "in"): 100, ("shelf", "out"): 10}
    assert traced.metric("filestore.store.duration") == {("shelf", "put", "ok"): 1, ("shelf", "open", "ok"): 1}


async def test_uploads_on_their_way(traced: Traced) -> None:
    """An upload is counted while its bytes come, and so is the memory that it holds."""
    seen = list[tuple[Any, Any]]()

    async def content() -> Any:
        yield b"x" * 100
        seen.append((traced.metric("filestore.uploads.active"), traced.metric("filestore.upload_memory.used")))
        yield b"y"

    with upload_memory.share_at_once(least=1, most=1000) as share:
        await FileObject(content=content(), registry=REGISTRY).save_async()
        held = share.size

    ((active, memory),) = seen
    assert active == {("shelf",): 1}
    assert memory[()] >= held > 0
    assert traced.metric("filestore.uploads.active") == {("shelf",): 0}
    assert traced.metric("filestore.upload_memory.limit") == {(): upload_memory.limit}


async def test_problems(traced: Traced) -> None:
    """Every answer that is a problem is counted by its kind, that of a router's own method included."""
    await traced.client.post("/notes/", files={"file": ("a", b"x" * 2000)})
    await traced.client.get("/notes/77")
    await traced.client.get("/notes/77")
    await traced.client.get("/filestore?sig=nonsense")
    await traced.client.get("/notes/?limit=-1")

    assert traced.metric("filestore.problems") == {
        ("upload-too-large", 413): 1,
        ("row-not-found", 404): 2,
        ("invalid-signature", 403): 1,
        ("invalid-fields", 422): 1,
    }


async def test_a_store_that_fails(traced: Traced) -> None:
    """Its time is recorded as that of a failure, and no bytes are counted."""
    inner = REGISTRY.get_backend("shelf")
    down = FaultyBackend(inner, lambda _, name: name == "put", error=lambda: StorageUnavailableError("down"))
    REGISTRY.register_backend(down, replace=True)
    await traced.client.post("/notes/", files=FILE)
    REGISTRY.register_backend(inner, replace=True)

    assert traced.metric("filestore.store.duration")["shelf", "put", "failed"] == 1
    assert traced.metric("filestore.io") == {}


async def test_the_ledger(traced: Traced) -> None:
    """What the ledgers hold is what was counted last: nobody asks the database for whoever looks.

    Paths that are reserved and nobody used yet are told apart from what waits.
    """
    assert traced.metric("filestore.intents.due") == {}
    async with traced.engine.begin() as connection:
        values = [{"backend": "nowhere", "path": f"ab/{number}", "kind": DELETION, "due_at": 0} for number in range(3)]
        unused = {"backend": "nowhere", "path": "ab/unused", "kind": UPLOAD, "due_at": 4e9}
        await connection.execute(insert(LEDGER.table), [*values, unused])
    await traced.files.backlog()
    before = [traced.metric(f"filestore.intents.{name}") for name in ("due", "waiting", "failing", "reserved")]
    oldest = traced.metric("filestore.intents.oldest")[()]
    async for _ in traced.files.sweep():
        pass
    unchanged = traced.metric("filestore.intents.due")
    await traced.files.backlog()

    assert before == [{(): 3}, {(): 0}, {(): 0}, {(): 1}]
    assert oldest > 1e9
    assert unchanged == {(): 3}
    assert traced.metric("filestore.sweep.intents") == {("failed",): 3}
    assert traced.metric("filestore.intents.failing") == {(): 3}
    assert traced.metric("filestore.intents.oldest") == {(): 0}


@pytest.mark.parametrize("options", [{"sweep_every": 0.05}])
async def test_sweeps_in_the_background_count(traced: Traced, options: Mapping[str, Any]) -> None:
    """An application that sweeps knows what its ledgers hold after each sweep."""
    counted: dict[tuple[Any, ...], Any] = {}
    for _ in range(200):
        if counted := traced.metric("filestore.intents.due"):
            break
        await asyncio.sleep(0.02)

    assert counted == {(): 0}
