"""What killed uploads left half done: the sweep of their intents removes it, and nothing of anybody else's."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from fastapi_filestore import ObstoreBackend, StorageUnavailableError, storages
from fastapi_filestore.service.sweep import sweep as sweeper
from fastapi_filestore.storage.obstore.opening import boto_client
from tests.maintenance.conftest import Site, keys
from tests.maintenance.models import LEDGER
from tests.maintenance.unfinished import begin, bucket, make
from tests.storage.conftest import boto

__all__ = ["boto", "bucket"]
ROOT = Path(__file__).parents[2]
SITES = ["sqlite-async", "postgres-sync"]

SLOW = """
import sys, time
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from fastapi_filestore import FileObject, ObstoreBackend, storages
from tests.maintenance.models import Report

def pieces():
    for _ in range({count}):
        yield b"x" * 300_000
    print("half", flush=True)
    time.sleep(600)
    yield b"never"

storages.register_backend(ObstoreBackend("shelf", {folder!r}))
with Session(create_engine({url!r})) as session:
    session.add(Report(file=FileObject(filename="a.bin", content=pieces())))
    session.commit()
"""


async def intend(site: Site, *paths: str, kind: str = "upload") -> None:
    """Write intents that are due."""
    rows = [{"backend": "shelf", "path": path, "kind": kind, "due_at": 0} for path in paths]
    await site.execute(insert(LEDGER.table).values(rows))


def kill_half_way(script: str) -> None:
    """Run a script until it says that it is half-way, and kill it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGKILL)

    assert said == "half\n"


@pytest.mark.parametrize("site", ["sqlite-sync"], indirect=True)
@pytest.mark.parametrize("count", [1, 8])
async def test_a_process_that_is_killed(site: Site, tmp_path: Path, count: int) -> None:
    """Of an upload whose process was killed half-way nothing is left once its intent was swept."""
    script = SLOW.format(folder=str(site.root), url=f"sqlite:///{tmp_path}/site.db", count=count)
    await asyncio.to_thread(kill_half_way, script)
    await site.let_fall_due()

    assert all(one.error is None for one in await site.sweep())
    assert site.objects() == set()
    assert await site.intents() == set()


@pytest.mark.parametrize("site", SITES, indirect=True)
async def test_what_belongs_to_a_key(site: Site) -> None:
    """What is removed are the staged files of the very key, in its folder, and nothing that only looks like one."""
    for path in ("ab/c#1", "ab/c#22", "top#5"):
        site.place(path)
    others = ("ab/cc#1", "ab/c#1x", "ab/c#1#2", "ab/c#", "c#1", "ab/d/c#1", "cd/c#1")
    for path in others:
        site.place(path)
    await intend(site, "ab/c", "top", "nowhere/at-all", "ab/c#1x/below")

    assert [one.error for one in await site.sweep()] == [None] * 4
    assert site.objects() == set(others)


@pytest.mark.parametrize("site", ["sqlite-async"], indirect=True)
async def test_an_object_that_is_deleted(site: Site) -> None:
    """A deletion intent is no upload's, so nothing is looked for beside its object."""
    site.place("ab/c")
    site.place("ab/c#1")
    await site.intend("ab/c")

    assert [one.is_upload for one in await site.sweep()] == [False]
    assert site.objects() == {"ab/c#1"}


@pytest.mark.parametrize("site", SITES, indirect=True)
async def test_a_sweep_that_was_cut_short(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it was an upload is not forgotten with the sweeper that claimed it, and nobody can settle it meanwhile."""
    [path] = keys(1)
    site.place(f"{path}#7")
    await intend(site, path)

    async def fail(*paths: str) -> None:
        raise StorageUnavailableError("down")

    with monkeypatch.context() as patch:
        patch.setattr(ObstoreBackend, "drop_unfinished", lambda self, *paths: fail(*paths))
        assert [one.error for one in await site.sweep()] == ["down"]
    assert await site.execute(select(LEDGER.table.c.kind)) == [("aborted",)]
    assert not await site.execute(text("SELECT 1 FROM intents WHERE kind = 'upload'"))
    await site.let_fall_due()

    assert [(one.error, one.is_upload) for one in await site.sweep()] == [(None, True)]
    assert site.objects() == set()


@pytest.mark.parametrize("site", SITES, indirect=True)
async def test_uploads_that_can_not_be_listed(
    site: Site, bucket: ObstoreBackend, boto: Any, seaweedfs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the uploads of a bucket can't be listed, objects go all the same, and the next sweep looks again."""
    upload, garbage = keys(2)
    begin(boto, seaweedfs, bucket, upload)
    for path in (upload, garbage):
        await bucket.put(path, b"x")
    await intend(site, upload)
    await intend(site, garbage, kind="delete")
    with monkeypatch.context() as patch:
        patch.setattr(boto_client, "s3_endpoint", lambda store: "http://127.0.0.1:9")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        swept = {one.path: one.error for one in await site.sweep()}

        assert swept[garbage] is None
        assert "could not list its unfinished uploads" in str(swept[upload])
    assert [one async for one in bucket.list()] == []
    assert await site.intents() == {upload}
    await site.let_fall_due()

    assert [one.error for one in await site.sweep()] == [None]
    assert [one async for one in bucket.unfinished_uploads()] == []


@pytest.mark.parametrize("site", ["sqlite-async"], indirect=True)
async def test_a_listing_that_never_ends(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads whose listing hangs keep no object from going."""
    monkeypatch.setattr(sweeper, "REMAINS_SECONDS", 0.2)
    monkeypatch.setattr(ObstoreBackend, "drop_unfinished", lambda self, *paths: asyncio.sleep(60))
    upload, garbage = keys(2)
    site.place(garbage)
    await intend(site, upload)
    await intend(site, garbage, kind="delete")

    swept = {one.path: one.error for one in await site.sweep()}

    assert swept[garbage] is None
    assert "to drop what unfinished uploads left" in str(swept[upload])
    assert (site.objects(), await site.intents()) == (set(), {upload})


@pytest.mark.parametrize("site", ["sqlite-async"], indirect=True)
async def test_links(site: Site, tmp_path: Path) -> None:
    """Nothing is removed from a folder that a link leads to."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "c#1").write_bytes(b"x")
    site.root.mkdir(exist_ok=True)
    (site.root / "ab").symlink_to(outside)
    await intend(site, "ab/c")
    await site.sweep()

    assert (outside / "c#1").exists()


@pytest.mark.parametrize("site", ["sqlite-async", "postgres-sync"], indirect=True)
async def test_in_a_bucket(site: Site, bucket: ObstoreBackend, boto: Any, seaweedfs: Any) -> None:
    """On S3 the multipart uploads of the key are aborted, and those of others are not."""
    for path in ("ab/c", "ab/c", "ab/cc", "ab/live"):
        begin(boto, seaweedfs, bucket, path)
    begin(boto, seaweedfs, make(seaweedfs, "other"), "ab/c")
    await intend(site, "ab/c", "ab/never-begun")

    assert [one.error for one in await site.sweep()] == [None, None]
    assert sorted([one.path async for one in bucket.unfinished_uploads()]) == ["ab/cc", "ab/live"]


@pytest.mark.parametrize("site", ["sqlite-async"], indirect=True)
async def test_without_boto3(site: Site, bucket: ObstoreBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the intent is settled all the same."""
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    await intend(site, "ab/c")

    assert [one.error for one in await site.sweep()] == [None]
    assert await site.intents() == set()


@pytest.mark.parametrize("site", ["sqlite-async"], indirect=True)
async def test_a_store_that_has_none(site: Site) -> None:
    """A store that drops unfinished uploads by itself is not asked."""
    memory = ObstoreBackend("shelf", "memory://")
    storages.register_backend(memory, replace=True)
    await intend(site, "ab/c")

    assert [one.error for one in await site.sweep()] == [None]
