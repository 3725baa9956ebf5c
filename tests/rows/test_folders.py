"""`StoredObject(prefix=)`: the folder in which new files of a column get their paths."""

import pytest
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    FileService,
    InvalidKeyError,
    ObstoreBackend,
    audit,
    sweep,
)
from tests.rows.conftest import Work
from tests.rows.invoices import LEDGER, Base, Invoice, add, engine, in_folder, keys, pending, work

__all__ = ["engine", "work"]


async def test_a_column_has_a_folder_of_its_own(work: Work, backend: ObstoreBackend) -> None:
    """A file that a row is given gets its path in the folder of its column, and is read from there."""
    row = await add(work, scan=pending())

    assert row.scan is not None
    assert in_folder("invoices/", row.scan.path)
    assert await keys(backend) == [row.scan.path]
    assert await row.scan.get_content_async() == b"content"


async def test_a_row_chooses_the_folder(work: Work) -> None:
    """A function of the row's values chooses the folder, of lists as well."""
    row = await add(work, tenant="acme", letter=pending(), pages=[pending(b"1"), pending(b"2")])

    assert row.letter is not None
    assert row.pages is not None
    assert all(in_folder("tenants/acme/", file.path) for file in [row.letter, *row.pages])


async def test_defaults_of_columns_are_known(work: Work) -> None:
    """What the row gets as the default of a column is known before it is written."""
    row = await add(work, note=pending())

    assert row.note is not None
    assert in_folder("eu/", row.note.path)


async def test_a_row_of_the_database_chooses_by_what_it_has_there(work: Work) -> None:
    """A row whose attributes are expired is asked what the database says of it."""
    row = await add(work, tenant="acme")
    work.session.expire(row)
    await work.do(lambda session: setattr(row, "letter", pending()))
    await work.commit()

    letter = await work.do(lambda session: row.letter)
    assert letter is not None
    assert in_folder("tenants/acme/", letter.path)


@pytest.mark.parametrize("tenant", ["..", "a/../b", "../../etc", "", ".", "a//b", "/a", "a\\..\\b", "a\nb", "a" * 1000])
async def test_no_folder_leads_elsewhere(work: Work, backend: ObstoreBackend, tenant: str) -> None:
    """A value of a row can't lead a file out of its folder, whatever it is."""
    with pytest.raises(InvalidKeyError):
        await add(work, tenant=tenant, letter=pending())
    await work.rollback()

    assert await keys(backend) == []


async def test_a_value_that_is_not_known_is_named(work: Work, backend: ObstoreBackend) -> None:
    """A folder that depends on what nobody knows yet is refused, and the message names it and what to do."""
    with pytest.raises(ConfigurationError, match=r"of_tenant\) asks for 'tenant'.*defaults=\{'tenant'"):
        await add(work, letter=pending())
    await work.rollback()

    assert await keys(backend) == []


async def test_no_more_statements(work: Work) -> None:
    """Paths of one folder are reserved in blocks, as those without one are: later uploads need no transaction more."""
    for _ in range(8):
        await add(work, scan=pending())
        await work.rollback()  # SQLite has no room for another transaction beside one that has read
    reserved = await work.scalars(select(LEDGER.table.c.path))

    assert reserved
    assert all(in_folder("invoices/", path) for path in reserved)


async def test_the_sweeper_knows_them(work: Work, engine: Engine | AsyncEngine, backend: ObstoreBackend) -> None:
    """What a killed process reserved and stored in a folder is deleted by the sweeper, and what rows hold is not."""
    row = await add(work, scan=pending(), tenant="acme", letter=pending())
    lost = f"tenants/acme/ab/ab{'0' * 30}"
    await backend.put(lost, b"lost")
    await work.do(lambda session: LEDGER.reserve(session.connection(), "rows", [lost]))
    await work.execute(update(LEDGER.table).values(due_at=0))
    await work.commit()

    swept = [one.path async for one in sweep(engine, LEDGER)]

    assert lost in swept
    assert row.scan is not None
    assert row.letter is not None
    assert await keys(backend) == sorted([str(row.scan.path), str(row.letter.path)])


async def test_an_audit_finds_orphans_in_folders(
    work: Work, engine: Engine | AsyncEngine, backend: ObstoreBackend
) -> None:
    """An audit takes what no row holds for an orphan in any folder, and nothing else."""
    await add(work, scan=pending(), tenant="acme", letter=pending())
    lost = f"invoices/ab/ab{'0' * 30}"
    await backend.put(lost, b"lost")

    found = [(finding.kind, finding.path) async for finding in audit(engine, Base.metadata, grace=-60)]

    assert found == [("orphan", lost)]


async def test_a_rollback_leaves_nothing(work: Work, backend: ObstoreBackend) -> None:
    """What was stored in a folder is deleted when the transaction is rolled back."""
    await work.add(Invoice(scan=pending()))
    await work.flush()
    assert len(await keys(backend)) == 1
    await work.rollback()

    assert await keys(backend) == []


async def test_bulk_inserts_choose_by_their_values(work: Work) -> None:
    """An `insert()` chooses the folders by the values of its rows, whichever way it has them."""
    await work.execute(insert(Invoice), [{"tenant": name, "letter": pending()} for name in ("acme", "umbrella")])
    await work.execute(insert(Invoice).values(tenant="globex", letter=pending()))
    await work.commit()

    rows = await work.do(lambda session: session.execute(select(Invoice.tenant, Invoice.letter)).all())
    assert len(rows) == 3
    assert all(letter and in_folder(f"tenants/{tenant}/", letter.path) for tenant, letter in rows)


async def test_a_bulk_update_that_says_nothing_is_refused(work: Work) -> None:
    """An `update()` that does not say which tenant its rows have can't choose a folder."""
    await add(work, tenant="acme")
    with pytest.raises(ConfigurationError, match="'tenant'"):
        await work.execute(update(Invoice).where(Invoice.tenant == "acme").values(letter=pending()))
    await work.rollback()


async def test_a_service_knows_its_defaults(work: Work) -> None:
    """A file that is stored before its row is made gets the folder that the service's defaults choose."""
    service = FileService(work.session, model=Invoice, defaults={"tenant": "acme"})
    async with service.storing(pending(), field="letter") as letter:
        row = await service.create({"letter": letter})
    await service.commit()

    assert in_folder("tenants/acme/", letter.path)
    assert row.tenant == "acme"


async def test_a_service_asks_the_row_that_is_there(work: Work) -> None:
    """A file for a row that is there gets the folder of that row, and not that of who replaces it."""
    row = await add(work, tenant="acme")
    identity = row.id
    service = FileService(work.session, model=Invoice, defaults={"tenant": "admins"})
    await service.replace(identity, pending(), field="letter")
    await service.append(identity, [pending(b"1")], field="pages")
    async with service.storing(pending(), field="letter", identity=identity) as waiting:
        await service.replace(identity, waiting, field="letter")
    await service.commit()

    row = await service.get(identity)
    assert row.letter is not None
    assert row.pages is not None
    assert all(in_folder("tenants/acme/", file.path) for file in [waiting, row.letter, *row.pages])


async def test_a_promoted_upload_goes_to_the_folder(work: Work, backend: ObstoreBackend) -> None:
    """What a client stored by an upload URL is copied into the folder of the column that takes it."""
    upload = FileObject(filename="a.txt", path=f".filestore-uploads/ffffffff{'0' * 32}")
    await backend.put(str(upload.path), b"sent")
    row = await FileService(work.session, model=Invoice).create({"tenant": "acme", "letter": upload})
    await work.commit()

    assert row.letter is not None
    assert in_folder("tenants/acme/", row.letter.path)


async def test_a_copy_stays_in_the_folder(work: Work) -> None:
    """A copy lies in the folder of its original."""
    row = await add(work, scan=pending())
    assert row.scan is not None
    copied = await row.scan.copy_async()

    assert in_folder("invoices/", copied.path)
    assert copied.path != row.scan.path
    await copied.delete_async()


async def test_what_was_stored_before_stays_where_it_is(work: Work) -> None:
    """A file that is stored already, and one with a path of its own, keep their paths."""
    stored = await FileObject("rows", "a.txt", content=b"stored").save_async()
    own = FileObject(filename="b.txt", content=b"own", path="by-hand/b.txt")
    row = await add(work, scan=stored, note=own)

    assert row.scan is not None
    assert row.note is not None
    assert in_folder("", row.scan.path)
    assert row.note.path == "by-hand/b.txt"
