"""A path that a row has, or that is to be deleted, is taken by no other row."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from fastapi_filestore import FileObject, SharedFileError, StaleFileError, storages
from fastapi_filestore.testing import FaultyBackend
from tests.rows.conftest import Rows, pending
from tests.rows.models import Document, Note
from tests.rows.shares import OURS, RECORDS, SHARED, confirmed, delete_document, share


async def test_a_shared_object_is_in_no_third_row(rows: Rows) -> None:
    """Whatever other programs did, a row can't be given what another one holds, nor can it be confirmed again."""
    first, _ = await share(rows, 2, RECORDS["path"])
    async with rows.work() as work:
        file = (await work.get(Document, first)).file
        for taken in (file, confirmed()):
            await work.do(lambda s, taken=taken: s.add(Document(title="third", file=taken)))  # type: ignore[misc]
            with pytest.raises(SharedFileError):
                await work.commit()
            await work.rollback()


async def test_a_shared_object_moves_with_its_row(rows: Rows) -> None:
    """A row that gives an object on to another, and one that keeps it, leave each other's bytes."""
    first, second = await share(rows, 2, RECORDS["path"])

    def move(session: Session) -> None:
        row = session.get_one(Document, first)
        row.notes.append(Note(file=row.file))
        row.file = None

    async with rows.work() as work:
        await work.do(move)
        await work.commit()
        await work.do(lambda s: delete_document(s, first))
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
    identity = await rows.add(title="a", file=confirmed(path))
    storages.register_backend(FaultyBackend(rows.backend, lambda n, call: call == "delete"), replace=True)
    async with rows.work() as work:
        await work.do(lambda s: delete_document(s, identity))
        await work.commit()
    with pytest.raises(StaleFileError):
        await rows.add(title="b", file=confirmed(path))
    storages.register_backend(rows.backend, replace=True)

    assert await rows.intents() == {path}


@pytest.mark.parametrize("rows", ["sqlite-sync-triggers", "postgres-async-triggers"], indirect=True)
async def test_raw_sql_that_deletes_a_row_leaves_the_object_to_others(rows: Rows) -> None:
    """An intent that a trigger wrote is not believed while a row holds the object."""
    first, second = await share(rows, 2, RECORDS["filename"])
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
    identity = await rows.add(title="0", file=confirmed())

    async def gain(number: int) -> int:
        for _ in range(10):
            try:
                return await rows.add(title=str(number), file=confirmed())
            except (SharedFileError, StaleFileError, OperationalError):
                await asyncio.sleep(0.005)
        return 0

    async def lose() -> None:
        async with rows.work() as work:
            await work.do(lambda s: delete_document(s, identity))
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
            await work.do(lambda s: delete_document(s, identity))
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
        await other.add(Document(title="b", file=confirmed()))
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
