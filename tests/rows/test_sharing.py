"""One object belongs to one row: others can't take it, and of those that share one already none takes its bytes."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from fastapi_filestore import SharedFileError
from tests.rows.conftest import Rows
from tests.rows.models import Document
from tests.rows.shares import OURS, RECORDS, SHARED, confirmed, delete_document, share

Change = Callable[[Session, int], object]


@pytest.mark.parametrize("count", [4, 16])
@pytest.mark.parametrize("path", [SHARED, OURS])
async def test_of_several_that_confirm_one_path_one_succeeds(rows: Rows, count: int, path: str) -> None:
    """Concurrent creates that confirm one stored object: one row has it, and the others are refused."""
    await rows.backend.put(path, b"client")

    async def create(number: int) -> int:
        async with rows.work() as work:
            row = Document(title=str(number), file=confirmed(path))
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


def _replace(session: Session, identity: int) -> None:
    """Replace the file of a document."""
    row = session.get_one(Document, identity)
    if row.file is not None:
        row.file = None
    else:
        row.pages = []


LOSSES: dict[str, Change] = {
    "delete": delete_document,
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
    first, second, third = await share(rows, 3, RECORDS[kind])
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
    first, second = await share(rows, 2, RECORDS["filename"], in_lists=True)
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
    identities = await share(rows, 3, RECORDS["path"])

    def delete_all(session: Session) -> None:
        for identity in identities[:2]:
            delete_document(session, identity)
            session.flush()
        session.execute(delete(Document))

    async with rows.work() as work:
        await work.do(delete_all)
        await work.commit()

    assert await rows.keys() == set()


async def test_two_transactions_that_delete_the_last_two_leave_nothing(rows: Rows) -> None:
    """Each of two rows that share an object is deleted while the other is: the second one deletes the bytes."""
    identities = await share(rows, 2, RECORDS["path"])

    async def remove(identity: int) -> None:
        async with rows.work() as work:
            await work.do(lambda s: delete_document(s, identity))
            await work.commit()

    results = await asyncio.gather(*map(remove, identities), return_exceptions=True)
    failed = [one for one, result in zip(identities, results, strict=True) if result is not None]
    for identity in failed:  # SQLite may have been busy
        await remove(identity)

    assert await rows.keys() == set()
