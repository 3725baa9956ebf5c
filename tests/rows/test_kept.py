"""With `keep_deleted` an object outlasts its row: a database may come back from yesterday, or a row be undeleted."""

import pytest
from sqlalchemy import delete

from fastapi_filestore.testing import assert_no_orphans
from tests.rows.cabinet import KINDS, Cabinet, path_of
from tests.rows.conftest import pending
from tests.rows.keeping import HOURS, cabinet, copy_of_rows, write_raw

__all__ = ["cabinet"]


async def test_deleted_files_stay(cabinet: Cabinet) -> None:
    """What leaves a row stays until it falls due, by the sweeper's hand alone, and an audit knows."""
    row = await cabinet.add(file=pending(b"1"), pages=[pending(b"2"), pending(b"3")])
    paths = [path_of(file) for file in (row.file, *row.pages)]
    await cabinet.do(lambda session: setattr(session.get_one(cabinet.model, 1), "pages", [pending(b"4")]))
    assert set(await cabinet.intents()) == set(paths[1:])
    await cabinet.remove(1)

    assert set(paths) < set(await cabinet.intents())
    assert set((await cabinet.intents()).values()) == {(HOURS, 0)}
    assert len(await cabinet.keys()) == 4
    assert await cabinet.sweep() == []
    await cabinet.backend.put("stray", b"stray")
    assert [finding.path for finding in await cabinet.audit()] == ["stray"]
    await cabinet.backend.delete("stray")
    async with cabinet.work() as work:
        await assert_no_orphans(work.session, cabinet.backend, cabinet.model)

    await cabinet.let_fall_due()
    assert {swept.error for swept in await cabinet.sweep()} == {None}
    assert (await cabinet.keys(), await cabinet.intents()) == (set(), {})


async def test_bulk_statements_keep_too(cabinet: Cabinet) -> None:
    """So do bulk statements of a session."""
    row = await cabinet.add(file=pending())
    await cabinet.do(lambda session: session.execute(delete(cabinet.model)))

    assert await cabinet.intents() == {path_of(row.file): (HOURS, 0)}
    assert len(await cabinet.keys()) == 1


async def test_what_was_never_committed_goes_at_once(cabinet: Cabinet) -> None:
    """Bytes of a transaction that is rolled back, or that replaces them itself, are in no row that could come back."""
    async with cabinet.work() as work:
        await work.add(cabinet.model(file=pending(b"rolled back")))
        await work.flush()
        await work.rollback()
        row = cabinet.model(file=pending(b"replaced"))
        await work.add(row)
        await work.flush()
        row.file = pending(b"stays")
        await work.commit()

    assert await cabinet.keys() == {path_of(row.file)}
    assert await cabinet.intents() == {}


async def test_a_row_that_comes_back(cabinet: Cabinet) -> None:
    """The sweeper asks the rows: one that came back, whoever wrote it, keeps its file."""
    row = await cabinet.add(file=pending(b"1"), pages=[pending(b"2")])
    await cabinet.add(file=pending(b"gone"))
    backup = await copy_of_rows(cabinet)
    await cabinet.remove(1)
    await cabinet.remove(2)
    for value in backup[:1]:
        await write_raw(cabinet, value, triggers=False)
    await cabinet.let_fall_due()

    assert len(await cabinet.sweep()) == 1
    assert await cabinet.keys() == {path_of(row.file), path_of(row.pages[0])}
    assert await cabinet.intents() == {}
    assert await (await cabinet.rows())[0].file.get_content_async() == b"1"


@pytest.mark.parametrize("cabinet", KINDS[4:], indirect=True)
async def test_raw_sql_takes_a_file_back(cabinet: Cabinet) -> None:
    """Where there are triggers, raw SQL that deletes a row keeps its file, and raw SQL that writes it again has it."""
    await cabinet.add(file=pending(b"1"), pages=[pending(b"2")])
    (backup,) = await copy_of_rows(cabinet)
    await cabinet.execute(delete(cabinet.family.table))
    assert set((await cabinet.intents()).values()) == {(HOURS, 0)}
    await write_raw(cabinet, backup, triggers=True)

    assert await cabinet.intents() == {}
    assert await (await cabinet.rows())[0].file.get_content_async() == b"1"
