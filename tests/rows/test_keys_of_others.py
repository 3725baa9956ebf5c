"""Rows of advanced-alchemy, whose filename is the object's key as it was given: where the object is, all agree."""

from datetime import timedelta
from functools import partial
from typing import Any

import obstore
import pytest
from sqlalchemy import Executable, delete, insert, select, text, type_coerce
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, FindingKind, ObjectNotFoundError, SharedFileError, audit
from fastapi_filestore.file_object.record import path_of, spellings
from fastapi_filestore.service.audit.audit import DEFAULT_GRACE
from tests.rows.conftest import Rows
from tests.rows.models import LEDGER, Base, Document

HELD = [
    "a.txt",
    "/a.txt",
    "a.txt/",
    "/a.txt/",
    "/2024/05/a.txt",
    "a b.txt",
    "a\\b.txt",
    "\\a",
    "C:\\fakepath\\a.txt",
    "é%?#",
]
"""Keys that a store takes, with a slash at either end or without."""
IMPOSSIBLE = [
    "//a.txt",
    "a.txt//",
    "a//b",
    "..",
    "../a.txt",
    "/../a.txt",
    "./a.txt",
    "a\nb",
    "/",
    "//",
    "k" * 1025,
    "é" * 600,
]
"""Keys that no store takes."""
TABLE: Any = Base.metadata.tables["documents"]
NOW = timedelta(seconds=-10)


async def execute(rows: Rows, statement: Executable) -> None:
    """Execute raw SQL, which no session sees."""
    async with rows.work() as work:
        await work.do(lambda session: session.connection().execute(statement))
        await work.commit()


async def theirs(rows: Rows, key: str, *, store: bool = True) -> int:
    """Store an object and write its row as advanced-alchemy does, and return the row's id."""
    if store:
        backend: Any = rows.backend
        await obstore.put_async(backend._driver._connection.store, key, b"theirs")  # noqa: SLF001 - as it is to others
    value = {"filename": key, "backend": "rows", "content_type": "text/plain", "size": 6, "metadata": {"n": 1}}
    raw = insert(TABLE).values(title=ascii(key[:20]), file=type_coerce(value, rows.json))
    await execute(rows, raw)
    async with rows.work() as work:
        return await work.do(lambda session: session.scalars(select(Document.id).order_by(-Document.id)).first() or 0)


async def content(rows: Rows, identity: int) -> bytes:
    """Return the bytes of a document's file."""
    return await rows.content(identity) or b""


async def findings(rows: Rows, **options: Any) -> list[tuple[str, str | None]]:
    """Return what an audit finds."""
    looked = audit(rows.engine, Document, **{"grace": NOW, **options})
    return [(one.kind.value, one.path) async for one in looked if one.kind is not FindingKind.ETAG]


def _delete(session: Session, identity: int) -> None:
    session.delete(session.get_one(Document, identity))


@pytest.mark.parametrize("key", HELD, ids=ascii)
async def test_it_is_read_and_deleted_where_it_is(rows: Rows, key: str) -> None:
    """A row is read, audited and deleted at the key that the store made of its filename."""
    identity = await theirs(rows, key)

    assert await content(rows, identity) == b"theirs"
    assert await findings(rows, verify=True, grace=NOW) == []
    async with rows.work() as work:
        await work.do(partial(_delete, identity=identity))
        await work.commit()
    assert await rows.keys() == set()


@pytest.mark.parametrize("key", HELD, ids=ascii)
@pytest.mark.parametrize("rows", ["sqlite-sync-triggers", "postgres-async-triggers"], indirect=True)
async def test_triggers_know_where_it_is(rows: Rows, key: str) -> None:
    """What raw SQL deletes is swept at the key that the store made of its filename."""
    identity = await theirs(rows, key)
    await execute(rows, delete(TABLE).where(TABLE.c.id == identity))

    assert [(one.path, one.error) for one in await rows.sweep()] == [(path_of({"filename": key}), None)]
    assert await rows.keys() == set()


@pytest.mark.parametrize("key", HELD, ids=ascii)
async def test_a_row_that_is_written_again(rows: Rows, key: str) -> None:
    """A change of its metadata leaves the file where it is, and a new file takes its place."""
    identity = await theirs(rows, key)
    async with rows.work() as work:
        row = await work.get(Document, identity)
        assert row.file is not None
        row.file.metadata["note"] = "seen"
        await work.commit()

    assert await content(rows, identity) == b"theirs"
    assert await findings(rows) == []
    async with rows.work() as work:
        row = await work.get(Document, identity)
        row.file = None
        await work.commit()
    assert await rows.keys() == set()


@pytest.mark.parametrize("key", IMPOSSIBLE, ids=lambda key: ascii(key[:20]))
async def test_what_no_store_can_hold(rows: Rows, key: str) -> None:
    """A key that no store takes has no object: reading says so, an audit, too, and deleting the row deletes nothing."""
    await rows.backend.put("a.txt", b"another's")
    identity = await theirs(rows, key, store=False)

    with pytest.raises(ObjectNotFoundError):
        await content(rows, identity)
    found = await findings(rows, grace=DEFAULT_GRACE)
    assert found == [("missing", path_of({"filename": key}))]
    async with rows.work() as work:
        await work.do(partial(_delete, identity=identity))
        await work.commit()
    await rows.sweep()
    assert await rows.keys() == {"a.txt"}
    await rows.backend.delete("a.txt")


@pytest.mark.parametrize("key", [key for key in IMPOSSIBLE if "\n" not in key], ids=lambda key: ascii(key[:20]))
@pytest.mark.parametrize("rows", ["sqlite-sync-triggers", "postgres-async-triggers"], indirect=True)
async def test_triggers_that_see_what_no_store_can_hold(rows: Rows, key: str) -> None:
    """Raw SQL deletes such a row as well, and a sweep settles what it left."""
    await rows.backend.put("a.txt", b"another's")
    identity = await theirs(rows, key, store=False)
    await execute(rows, delete(TABLE).where(TABLE.c.id == identity))

    assert all(one.error is None for one in await rows.sweep())
    assert await rows.keys() == {"a.txt"}
    await rows.backend.delete("a.txt")


ODD = [
    "docs//b.txt",
    "./docs/b.txt",
    "x/../docs/b.txt",
    "//docs/b.txt",
    "docs/./b.txt//",
    "docs\\b.txt",
    "../docs/b.txt",
]
"""Keys of which some stores make `docs/b.txt`."""


@pytest.mark.parametrize("key", ODD)
async def test_an_object_is_no_orphan_whose_key_a_store_made_of_another(rows: Rows, key: str) -> None:
    """What a store lists under the key that it made of a row's is left alone as long as there is the row."""
    await rows.backend.put("docs/b.txt", b"theirs")
    identity = await theirs(rows, key, store=False)

    assert ("orphan", "docs/b.txt") not in await findings(rows)
    async with rows.work() as work:
        await work.do(partial(_delete, identity=identity))
        await work.commit()
    await rows.sweep()
    assert await rows.keys() == {"docs/b.txt"}
    assert await findings(rows) == [("orphan", "docs/b.txt")]
    await rows.backend.delete("docs/b.txt")


@pytest.mark.parametrize("in_lists", [False, True])
@pytest.mark.parametrize("key", ODD)
async def test_such_a_row_shares_the_object(rows: Rows, key: str, in_lists: bool) -> None:
    """Another row can't take the object, and one that has it leaves it to the row."""
    await rows.backend.put("docs/b.txt", b"theirs")
    value = {"filename": key, "backend": "rows"}
    held = {"pages": [value, {**value, "filename": "c.txt"}]} if in_lists else {"file": value}
    await execute(rows, insert(TABLE).values(title="theirs", **{k: type_coerce(v, rows.json) for k, v in held.items()}))
    with pytest.raises(SharedFileError):
        await rows.add(title="ours", file=FileObject("rows", path="docs/b.txt"))
    ours = type_coerce({"filename": "b.txt", "path": "docs/b.txt", "backend": "rows"}, rows.json)
    await execute(rows, insert(TABLE).values(title="ours", file=ours))
    async with rows.work() as work:
        row = await work.scalar_one(select(Document).where(Document.title == "ours"))
        await work.delete(row)
        await work.commit()
    await rows.sweep()

    assert await rows.keys() == {"docs/b.txt"}
    await execute(rows, delete(TABLE))
    await rows.backend.delete("docs/b.txt")


@pytest.mark.parametrize("rows", ["sqlite-sync", "postgres-async"], indirect=True)
async def test_a_sweeper_asks_such_rows(rows: Rows) -> None:
    """An intent of the key that a store made of a row's is not believed."""
    await rows.backend.put("docs/b.txt", b"theirs")
    await theirs(rows, "docs//b.txt", store=False)
    async with rows.work() as work:
        await work.do(lambda session: LEDGER.intend(session.connection(), [("rows", "docs/b.txt")]))
        await work.commit()

    assert await rows.sweep() == []
    assert await rows.keys() == {"docs/b.txt"}
    await execute(rows, delete(TABLE))
    await rows.backend.delete("docs/b.txt")


@pytest.mark.parametrize("rows", ["sqlite-sync", "postgres-sync"], indirect=True)
async def test_a_key_that_only_looks_like_another(rows: Rows) -> None:
    """Rows of other objects, with the same name or odd keys, are in nobody's way."""
    for key in ("other//b.txt", "docs/b.txt.bak", "docs//b%txt", "docs/B.txt", "/docs/../b.txt"):
        await theirs(rows, key, store=False)
    await rows.backend.put("docs/b.txt", b"ours")
    await rows.add(title="ours", file=FileObject("rows", path="docs/b.txt"))

    async with rows.work() as work:
        row = await work.scalar_one(select(Document).where(Document.title == "ours"))
        await work.delete(row)
        await work.commit()
    assert await rows.keys() == set()
    await execute(rows, delete(TABLE))


@pytest.mark.parametrize("key", [*HELD, *IMPOSSIBLE], ids=lambda key: ascii(key[:20]))
@pytest.mark.parametrize("rows", ["sqlite-sync-triggers", "postgres-async-triggers"], indirect=True)
async def test_sql_and_python_agree(rows: Rows, key: str) -> None:
    """The triggers' SQL makes the same key of a filename as reading the row does, and asks for it in each spelling."""
    identity = await theirs(rows, key, store=False)
    await execute(rows, text("DELETE FROM filestore_intents"))
    await execute(rows, delete(TABLE).where(TABLE.c.id == identity))

    path = path_of({"filename": key})
    too_long = rows.json is JSONB and len(path.encode()) > 1024  # as a ledger's column is, where columns have a length
    assert await rows.intents() == (set() if too_long else {path})
    assert key in spellings(path)
    await rows.sweep()
