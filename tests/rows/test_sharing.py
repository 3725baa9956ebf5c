"""One object belongs to one row: others can't take it, and of those that share one already none takes its bytes."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, type_coerce, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, SharedFileError, StaleFileError, storages
from fastapi_filestore.testing import FaultyBackend
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document, Note

Change = Callable[[Session, int], object]

SHARED = "scans/contract.pdf"
OURS = "ab/ab" + "0" * 30
"""A path of our own form."""


def _confirmed(path: str = SHARED) -> FileObject:
    """Return a file that a client stored by itself."""
    return FileObject("rows", "contract.pdf", path=path)


async def _share(rows: Rows, count: int, record: dict[str, str], *, in_lists: bool = False) -> list[int]:
    """Write rows whose JSON says that they hold one object, as other programs do, and the object."""
    await rows.backend.put((record.get("path") or record["filename"]).strip("/"), b"shared")
    held = {"pages": [record]} if in_lists else {"file": record}
    table: Any = Document.__table__
    values = [
        {name: type_coerce(value, rows.json()) for name, value in held.items()} | {"title": str(number)}
        for number in range(count)
    ]
    async with rows.work() as work:
        for row in values:
            await work.do(lambda s, row=row: s.connection().execute(insert(table).values(row)))  # type: ignore[misc]
        await work.commit()
        return list(await work.do(lambda s: s.scalars(select(Document.id).order_by(Document.id)).all()))


RECORDS = {
    "filename": {"backend": "rows", "filename": "report.pdf"},
    "path": {"backend": "rows", "filename": "report.pdf", "path": SHARED},
    "empty path": {"backend": "rows", "filename": "a/report.pdf", "path": ""},
    "slashes": {"backend": "rows", "filename": "/reports/report.pdf"},
    "no backend": {"filename": "report.pdf"},
    "odd text": {"backend": "rows", "filename": "Größe 100% \"q\" 'x'.pdf"},
}


@pytest.mark.parametrize("count", [4, 16])
@pytest.mark.parametrize("path", [SHARED, OURS])
async def test_of_several_that_confirm_one_path_one_succeeds(rows: Rows, count: int, path: str) -> None:
    """Concurrent creates that confirm one stored object: one row has it, and the others are refused."""
    await rows.backend.put(path, b"client")

    async def create(number: int) -> int:
        async with rows.work() as work:
            row = Document(title=str(number), file=_confirmed(path))
            await work.add(row)
            await work.flush()
            await asyncio.sleep(0)
            await work.commit()
            return await work.do(lambda s: row.id)

    results = await asyncio.gather(*map(create, range(count)), return_exceptions=True)
    refused = [result for result in results if not isinstance(result, int)]

    assert len(refused) == count - 1
    assert {type(error) for error in refused} <= {SharedFileError, OperationalError}
    await rows.check()


def _delete(session: Session, identity: int) -> None:
    session.delete(session.get_one(Document, identity))


def _replace(session: Session, identity: int) -> None:
    row = session.get_one(Document, identity)
    if row.file is not None:
        row.file = None
    else:
        row.pages = []


LOSSES: dict[str, Change] = {
    "delete": _delete,
    "replace": _replace,
    "bulk delete": lambda s, identity: s.execute(delete(Document).where(Document.id == identity)),
    "bulk update": lambda s, identity: s.execute(
        update(Document).where(Document.id == identity).values(file=None, pages=None)
    ),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("kind", RECORDS)
async def test_a_row_that_shares_an_object_leaves_it_to_the_others(rows: Rows, name: str, kind: str) -> None:
    """Rows that another program made share an object: it goes with the last of them, and not before."""
    first, second, third = await _share(rows, 3, RECORDS[kind])
    for identity in (first, second):
        async with rows.work() as work:
            await work.do(lambda s, identity=identity: LOSSES[name](s, identity))  # type: ignore[misc]
            await work.commit()
        await rows.sweep()
        assert len(await rows.keys()) == 1
    assert await rows.content(third) == b"shared"
    async with rows.work() as work:
        await work.do(lambda s: LOSSES[name](s, third))
        await work.commit()

    assert await rows.keys() == set()


@pytest.mark.parametrize("name", LOSSES)
async def test_lists_that_share_an_object_leave_it_to_each_other(rows: Rows, name: str) -> None:
    """What holds for a column of one file holds for lists."""
    first, second = await _share(rows, 2, RECORDS["filename"], in_lists=True)
    async with rows.work() as work:
        await work.do(lambda s: LOSSES[name](s, first))
        await work.commit()
    await rows.sweep()
    assert len(await rows.keys()) == 1
    async with rows.work() as work:
        await work.do(lambda s: LOSSES[name](s, second))
        await work.commit()

    assert await rows.keys() == set()


async def test_all_that_share_an_object_go_at_once(rows: Rows) -> None:
    """One transaction that deletes every row that holds an object deletes it, whatever it does in between."""
    identities = await _share(rows, 3, RECORDS["path"])

    def delete_all(session: Session) -> None:
        for identity in identities[:2]:
            _delete(session, identity)
            session.flush()
        session.execute(delete(Document))

    async with rows.work() as work:
        await work.do(delete_all)
        await work.commit()

    assert await rows.keys() == set()


async def test_two_transactions_that_delete_the_last_two_leave_nothing(rows: Rows) -> None:
    """Each of two rows that share an object is deleted while the other is: the second one deletes the bytes."""
    identities = await _share(rows, 2, RECORDS["path"])

    async def remove(identity: int) -> None:
        async with rows.work() as work:
            await work.do(lambda s: _delete(s, identity))
            await work.commit()

    results = await asyncio.gather(*map(remove, identities), return_exceptions=True)
    failed = [one for one, result in zip(identities, results, strict=True) if result is not None]
    for identity in failed:  # SQLite may have been busy
        await remove(identity)

    assert await rows.keys() == set()


async def test_a_shared_object_is_in_no_third_row(rows: Rows) -> None:
    """Whatever other programs did, a row can't be given what another one holds, nor can it be confirmed again."""
    first, _ = await _share(rows, 2, RECORDS["path"])
    async with rows.work() as work:
        file = await work.do(lambda s: s.get_one(Document, first).file)
        for taken in (file, _confirmed()):
            await work.do(lambda s, taken=taken: s.add(Document(title="third", file=taken)))  # type: ignore[misc]
            with pytest.raises(SharedFileError):
                await work.commit()
            await work.rollback()


async def test_a_shared_object_moves_with_its_row(rows: Rows) -> None:
    """A row that gives an object on to another, and one that keeps it, leave each other's bytes."""
    first, second = await _share(rows, 2, RECORDS["path"])

    def move(session: Session) -> None:
        row = session.get_one(Document, first)
        row.notes.append(Note(file=row.file))
        row.file = None

    async with rows.work() as work:
        await work.do(move)
        await work.commit()
        await work.do(lambda s: _delete(s, first))
        await work.commit()

    assert await rows.content(second) == b"shared"


async def test_a_file_of_ones_own_key_belongs_to_one_row(rows: Rows) -> None:
    """A path that somebody chose, whose object is missing, is still the row's that says it holds it."""
    await rows.add(title="a", file=FileObject("rows", "a", content=b"a", path="own/a"))
    await rows.backend.delete("own/a")
    with pytest.raises(SharedFileError):
        await rows.add(title="b", file=FileObject("rows", "b", content=b"b", path="own/a"))

    await rows.backend.put("own/a", b"a")


@pytest.mark.parametrize(
    "rows", ["sqlite-sync", "sqlite-async", "postgres-sync", "postgres-async", "postgres-async-triggers"], indirect=True
)
@pytest.mark.parametrize("path", [SHARED, OURS])
async def test_a_path_that_is_to_be_deleted_is_taken_by_nobody(rows: Rows, path: str) -> None:
    """A path of any form whose deletion is intended is refused, until it is done."""
    await rows.backend.put(path, b"client")
    identity = await rows.add(title="a", file=_confirmed(path))
    storages.register_backend(FaultyBackend(rows.backend, lambda n, call: call == "delete"), replace=True)
    async with rows.work() as work:
        await work.do(lambda s: _delete(s, identity))
        await work.commit()
    with pytest.raises(StaleFileError):
        await rows.add(title="b", file=_confirmed(path))
    storages.register_backend(rows.backend, replace=True)

    assert await rows.intents() == {path}


@pytest.mark.parametrize("rows", ["sqlite-sync-triggers", "postgres-async-triggers"], indirect=True)
async def test_raw_sql_that_deletes_a_row_leaves_the_object_to_others(rows: Rows) -> None:
    """An intent that a trigger wrote is not believed while a row holds the object."""
    first, second = await _share(rows, 2, RECORDS["filename"])
    async with rows.work() as work:
        await work.execute(text("DELETE FROM documents WHERE id = :id"), {"id": first})
        await work.commit()
    await rows.sweep()

    assert await rows.content(second) == b"shared"
    assert await rows.intents() == set()


@pytest.mark.parametrize(
    "rows", ["sqlite-sync", "sqlite-async", "postgres-sync", "postgres-async", "postgres-async-triggers"], indirect=True
)
async def test_a_loss_beside_a_gain(rows: Rows) -> None:
    """While one row lets a path go, another tries to take it, again and again: no row is left without its bytes."""
    await rows.backend.put(SHARED, b"client")
    identity = await rows.add(title="0", file=_confirmed())

    async def gain(number: int) -> int:
        for _ in range(10):
            try:
                return await rows.add(title=str(number), file=_confirmed())
            except (SharedFileError, StaleFileError, OperationalError):
                await asyncio.sleep(0.005)
        return 0

    async def lose() -> None:
        async with rows.work() as work:
            await work.do(lambda s: _delete(s, identity))
            await work.commit()

    await asyncio.gather(*map(gain, range(1, 5)), lose(), return_exceptions=True)

    await rows.check()


@pytest.mark.parametrize("rows", ["sqlite-sync", "postgres-sync"], indirect=True)
async def test_a_plain_upload_asks_nobody(rows: Rows) -> None:
    """A file whose path its transaction generated costs no question, and neither does the end of one."""
    identity = await rows.add(title="a", file=pending(), pages=[pending()])
    with rows.statements() as statements:
        await rows.add(title="b", file=pending())
        async with rows.work() as work:
            await work.do(lambda s: _delete(s, identity))
            await work.commit()

    assert not [one for one in statements if "advisory" in one or "count(" in one]


@pytest.mark.parametrize("rows", ["postgres-sync", "postgres-async", "postgres-async-triggers"], indirect=True)
@pytest.mark.parametrize("end", ["commit", "rollback", "savepoint"])
async def test_a_key_that_another_row_took_meanwhile(rows: Rows, end: str) -> None:
    """What a transaction stored at a key of its own stays when it is undone, if another row has confirmed it."""
    async with rows.work() as work, rows.work() as other:
        if end == "savepoint":
            await work.do(lambda session: session.begin_nested())
        file = FileObject("rows", "a.txt", content=b"content", path=SHARED)
        await work.add(Document(title="a", file=file))
        await work.flush()
        await other.add(Document(title="b", file=_confirmed()))
        await other.commit()
        if end == "commit":
            with pytest.raises(SharedFileError):
                await work.commit()
        elif end == "savepoint":
            await work.do(lambda session: session.get_nested_transaction().rollback())  # type: ignore[union-attr]
            await work.commit()
        await work.rollback()

    assert await rows.keys() == {SHARED}


async def test_a_key_of_ones_own_that_is_rolled_back(rows: Rows) -> None:
    """It goes, and can be used again at once, in a savepoint, too."""
    async with rows.work() as work:
        for inner in (True, False):
            if inner:
                await work.do(lambda session: session.begin_nested())
            file = FileObject("rows", "a.txt", content=b"content", path=SHARED)
            await work.do(lambda session, file=file: session.add(Document(title="a", file=file)))  # type: ignore[misc]
            await work.flush()
            await (work.do(lambda s: s.get_nested_transaction().rollback()) if inner else work.rollback())  # type: ignore[union-attr]
            assert await rows.keys() == set()
        assert await rows.intents() == set()
        identity = await rows.add(title="b", file=FileObject("rows", "a.txt", content=b"again", path=SHARED))

    assert await rows.content(identity) == b"again"
