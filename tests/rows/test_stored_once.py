"""What a client stored by a URL that writes once: a row takes it as it is, and what is deleted stays deleted."""

import time
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy import delete, text
from sqlalchemy.orm import Session

from fastapi_filestore import (
    FileObject,
    ObjectNotFoundError,
    ObstoreBackend,
    SharedFileError,
    StaleFileError,
    storages,
)
from fastapi_filestore.storage.backend import Announcement
from fastapi_filestore.storage.paths import generate_once_path, upload_end
from tests.rows.client_uploads import service_of, taken
from tests.rows.conftest import LEDGERED, Rows, pending
from tests.rows.later import swept_later
from tests.rows.models import LEDGER, Document, Note
from tests.storage.stores import MAKERS


async def stored_once(rows: Rows) -> FileObject:
    """Return a file that a client has stored by a URL that writes once, and that the ledger knows of."""
    file = FileObject("rows", "a.txt", path=generate_once_path("letters/", 60))
    await rows.backend.put(str(file.path), b"client")
    if rows.has_ledger:
        async with rows.work() as work:
            seconds = upload_end(str(file.path)) - time.time()
            await work.do(lambda session: LEDGER.expect(session.connection(), file.location, seconds=seconds))
            await work.commit()
    return file


async def claimed(rows: Rows, file: FileObject) -> int:
    """Give a file to a new row, and return its key."""
    async with service_of(rows) as (service, _):
        row = await service.create({"title": uuid4().hex, "file": file})
        identity = row.id
        await service.commit()
    return identity


async def test_a_row_takes_it_where_it_lies(rows: Rows) -> None:
    """Nothing is copied, the intent is settled with the row, and no sweep ever takes it."""
    file = await stored_once(rows)
    path = file.path
    identity = await claimed(rows, file)

    assert (file.path, file.size, file.is_stored) == (path, 6, True)
    assert await rows.intents() == set()
    if rows.has_ledger:
        assert await swept_later(rows.engine, LEDGER, hours=3) == []
    assert await rows.keys() == {path}
    assert await rows.content(identity) == b"client"


@pytest.mark.parametrize("rows", LEDGERED, indirect=True)
@pytest.mark.parametrize("way", ["delete", "replace", "bulk"])
async def test_what_is_deleted_stays_deleted(rows: Rows, way: str) -> None:
    """It goes at once, its intent stays as long as its URL can be used, and takes what comes by that with it."""
    file = await stored_once(rows)
    upload, identity = str(file.path), await claimed(rows, file)
    async with service_of(rows) as (service, work):
        if way == "delete":
            await service.delete(identity)
        elif way == "replace":
            await service.replace(identity, pending(), field="file")
        else:
            await work.execute(delete(Document).where(Document.id == identity))
        await service.commit()
    assert upload not in await rows.keys()
    await rows.backend.put(upload, b"once more")
    with pytest.raises(StaleFileError):
        await claimed(rows, FileObject("rows", "a.txt", path=upload))
    early = await swept_later(rows.engine, LEDGER, hours=0.9)
    assert upload in await rows.intents()
    late = await swept_later(rows.engine, LEDGER, hours=1.1)

    assert [intent.path for intent in (*early, *late)] == [upload]
    assert upload not in await rows.keys() | await rows.intents()


@pytest.mark.parametrize("rows", ["sqlite-async", "postgres-sync"], indirect=True)
@pytest.mark.parametrize("kind", ["seaweedfs", "azurite"])
async def test_real_urls(rows: Rows, kind: str, request: pytest.FixtureRequest) -> None:
    """A client stores once by a URL that a service signs; no row is changed by it, and nothing is left of it."""
    fs, options = MAKERS[kind](request)
    rows.backend = ObstoreBackend("rows", fs, **options)
    storages.register_backend(rows.backend, replace=True)
    file = FileObject(filename="a.txt")
    async with service_of(rows) as (service, _), AsyncClient() as client:
        signed = await service.sign_upload(file, field="file", expires_in=60, once=Announcement(size=6))
        await service.commit()
        stored = await client.put(signed.url, content=b"client", headers=dict(signed.headers))
        row = await service.create({"title": "t", "file": FileObject("rows", "a.txt", path=file.upload_path)})
        identity = row.id
        await service.commit()
        again = await client.put(signed.url, content=b"other!", headers=dict(signed.headers))
        assert (stored.is_success, again.is_success) == (True, False)
        assert await swept_later(rows.engine, LEDGER, hours=3) == []
        assert await rows.content(identity) == b"client"
        assert await rows.keys() == {file.path}
        await service.delete(identity)
        await service.commit()
        assert await rows.keys() == set()
        again = await client.put(signed.url, content=b"client", headers=dict(signed.headers))
        assert again.is_success
    await swept_later(rows.engine, LEDGER, hours=1.1)

    assert await rows.keys() == await rows.intents() == set()


@pytest.mark.parametrize("rows", [kind for kind in LEDGERED if kind.endswith("triggers")], indirect=True)
async def test_a_sweep_does_the_same(rows: Rows) -> None:
    """What raw SQL deletes where triggers see it goes with the next sweep, and once more when its URL is over."""
    file = await stored_once(rows)
    upload, identity = str(file.path), await claimed(rows, file)
    async with rows.work() as work:
        await work.execute(text("DELETE FROM documents WHERE id = :id"), {"id": identity})
        await work.commit()
    first = await swept_later(rows.engine, LEDGER, hours=0.1)
    gone = await rows.keys()
    await rows.backend.put(upload, b"once more")
    second = await swept_later(rows.engine, LEDGER, hours=1.1)

    assert [intent.path for intent in (*first, *second)] == [upload, upload]
    assert gone == await rows.keys() == await rows.intents() == set()


async def test_a_rollback_leaves_it(rows: Rows) -> None:
    """The client need not store it again: its intent is back, and the same file, or another one, can be given."""
    file = await stored_once(rows)
    before = await rows.intents()
    async with service_of(rows) as (service, _):
        await service.create({"title": "t", "file": file})
        await service.rollback()
        assert await rows.keys() == {file.path}
        assert await rows.intents() == before
        await service.create({"title": "t", "file": FileObject("rows", "a.txt", path=file.path)})
        await service.commit()

    assert await rows.keys() == {file.path} == {each.path for each in await taken(rows)}
    assert await rows.intents() == set()


async def test_a_block_that_fails(rows: Rows) -> None:
    """What `storing` has judged, and no row has taken, is there still."""
    file = await stored_once(rows)
    async with service_of(rows) as (service, _):
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the block is what fails
            async with service.storing(file, field="file") as stored:
                assert stored.size == 6
                raise ZeroDivisionError
    await claimed(rows, file)

    assert await rows.keys() == {file.path}


async def test_a_row_that_changes_its_mind(rows: Rows) -> None:
    """Taken and given up in one transaction, it is gone like one whose row was deleted."""
    file = await stored_once(rows)
    async with service_of(rows) as (service, _):
        row = await service.create({"title": "t", "file": file})
        await service.update(row.id, {"file": None})
        await service.commit()

    if rows.has_ledger:
        assert await rows.keys() == set()
        assert await rows.intents() == {file.path}
    else:  # as with whatever has a path of its own, nobody knows whose it is
        await rows.backend.delete(str(file.path))


async def test_two_rows(rows: Rows) -> None:
    """One file belongs to one row, however many ask for it."""
    first = await stored_once(rows)
    second = FileObject("rows", "b.txt", path=first.path)
    await claimed(rows, first)
    with pytest.raises(SharedFileError):
        await claimed(rows, second)

    assert await rows.keys() == {first.path}


async def test_it_moves(rows: Rows) -> None:
    """As an upload's it becomes a row's, whose deletion it follows."""
    file = await stored_once(rows)
    identity = await claimed(rows, file)

    def move(session: Session) -> None:
        document = session.get_one(Document, identity)
        document.notes.append(Note(file=document.file))
        document.file = None
        session.flush()

    async with rows.work() as work:
        await work.do(move)
        await work.commit()
    assert await rows.keys() == {file.path}
    assert await rows.intents() == set()
    async with service_of(rows) as (service, _):
        await service.delete(identity)
        await service.commit()

    assert await rows.keys() == set()
    assert await rows.intents() == ({file.path} if rows.has_ledger else set())


@pytest.mark.parametrize("rows", LEDGERED, indirect=True)
async def test_one_that_nobody_takes(rows: Rows) -> None:
    """It may be taken until an hour after its URL's end, and goes then."""
    file = await stored_once(rows)
    assert await swept_later(rows.engine, LEDGER, hours=0.9) == []
    (gone,) = await swept_later(rows.engine, LEDGER, hours=1.1)

    assert (gone.path, gone.is_upload) == (file.path, True)
    assert await rows.keys() == await rows.intents() == set()
    with pytest.raises(ObjectNotFoundError):
        await claimed(rows, file)


@pytest.mark.parametrize("rows", [kind for kind in LEDGERED if kind.startswith("postgres")], indirect=True)
async def test_a_snapshot_that_does_not_see_the_intent(rows: Rows) -> None:
    """On PostgreSQL a transaction may be older than the intent, which goes when the row is committed."""
    engine: Any = rows.engine
    snapshots = Rows(engine.execution_options(isolation_level="REPEATABLE READ"), rows.backend)
    async with snapshots.work() as work:
        await work.execute(text("SELECT count(*) FROM documents"))
        file = await (await stored_once(rows)).confirm_async()
        await work.add(Document(title="t", file=file))
        await work.commit()

    assert await rows.intents() == set()
    assert [each.path for each in await taken(rows)] == [file.path]
