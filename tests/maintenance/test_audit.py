"""What an audit finds, in rows and stores of every kind, and what it puts right when told to."""

from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from fastapi_filestore import (
    FileObject,
    FindingKind,
    ObstoreBackend,
    RowIdentity,
    audit,
    storages,
)
from tests.maintenance.conftest import Site, briefly, keys, pending, write, write_json
from tests.maintenance.models import LEDGER, Photo, PlainBase, Report, Scan


async def test_nothing_to_find(site: Site) -> None:
    """Rows and objects that agree yield nothing: files, lists, empty columns, and rows with two keys."""
    await site.add(pages=[pending(), pending()])
    await site.add(file=None)
    await site.add(Scan, owner="me", number=1)

    assert await site.audit(verify=True, grace=timedelta(0)) == []


async def test_an_orphan(site: Site) -> None:
    """An object that no row holds is found once it is old, and stays where it is."""
    await site.add()
    site.place("ab/old")
    site.place("ab/young", age=timedelta(hours=1))

    [finding] = await site.audit()

    assert (finding.kind, finding.backend, finding.path) == (FindingKind.ORPHAN, "shelf", "ab/old")
    assert (finding.row, finding.fixed) == (None, False)
    assert {"ab/old", "ab/young"} < site.objects()


async def test_a_shared_object(site: Site) -> None:
    """An object that rows share is found once, with the rows; a file that is twice in one list is in one place."""
    first, second, third = [await site.add(file=None) for _ in range(3)]
    site.place("ab/shared")
    record = {"backend": "shelf", "filename": "ab/shared"}
    await write(site, first.id, file=record)
    await write(site, second.id, pages=[record, record])
    site.place("ab/twice")
    await write(site, third.id, pages=[{"backend": "shelf", "filename": "t", "path": "ab/twice"}] * 2)

    [finding] = await site.audit(fix=["orphan"])

    assert (finding.kind, finding.path) == (FindingKind.SHARED, "ab/shared")
    assert finding.row is not None
    assert finding.detail.startswith("2 places hold it: ")
    assert all(str(row.id) in finding.detail for row in (first, second))
    assert [found async for found in audit(site.engine, Report, after=finding.cursor)] == []


async def test_orphans_are_deleted_on_demand(site: Site) -> None:
    """With `fix`, orphans go, and nothing else does."""
    row = await site.add(pages=[pending()])
    for path in ("ab/old", "cd/old"):
        site.place(path)
    site.place("ab/young", age=timedelta(hours=1))

    findings = await site.audit(fix=["orphan"])

    assert briefly(findings) == [("orphan", "ab/old", True), ("orphan", "cd/old", True)]
    assert site.objects() == {row.file.path, row.pages[0].path, "ab/young"}


async def test_a_copy_whose_row_is_not_committed_yet(site: Site) -> None:
    """A copy of an old file is young, and stays until its row is committed."""
    row = await site.add()
    site.place(row.file.path, b"content")
    twin = await row.file.copy_async()
    await site.audit(fix=["orphan"])

    assert site.objects() == {row.file.path, twin.path}


async def test_what_the_ledger_knows_is_no_orphan(site: Site) -> None:
    """An object with an intent, to be uploaded or deleted, is the sweeper's."""
    upload, deletion = keys(2)
    for path in (upload, deletion):
        site.place(path)
    await site.intend(deletion)
    await site.execute(insert(LEDGER.table).values(backend="shelf", path=upload, kind="upload", due_at=10**10))

    assert await site.audit(fix=["orphan"]) == []
    assert site.objects() == {upload, deletion}


async def test_every_table_of_the_metadata_holds_its_files(site: Site) -> None:
    """A file of a model that the audit was not given is no orphan."""
    scan = await site.add(Scan, owner="me", number=1)

    assert [one async for one in audit(site.engine, Report, grace=timedelta(0), fix=["orphan"])] == []
    assert site.objects() == {scan.file.path}


async def test_a_missing_object(site: Site) -> None:
    """A row whose object is gone is found with its table, column and primary key, in single columns and lists."""
    row = await site.add(pages=[pending(), pending()])
    scan = await site.add(Scan, owner="me", number=7)
    for file in (row.file, row.pages[1], scan.file):
        (site.root / file.path).unlink()

    findings = {finding.path: finding for finding in await site.audit()}

    assert {finding.kind for finding in findings.values()} == {FindingKind.MISSING}
    assert {path: finding.row for path, finding in findings.items()} == {
        row.file.path: RowIdentity("reports", "file", (row.id,)),
        row.pages[1].path: RowIdentity("reports", "pages", (row.id,)),
        scan.file.path: RowIdentity("scans", "file", ("me", 7)),
    }


async def test_another_size(site: Site) -> None:
    """An object of another size than the row says is found, without a byte of it being read."""
    row = await site.add()
    (site.root / row.file.path).write_bytes(b"longer content")

    [finding] = await site.audit()

    assert (finding.kind, finding.path) == (FindingKind.SIZE, row.file.path)
    assert finding.detail == "The row says 7 bytes, the store 14."


async def test_other_bytes(site: Site) -> None:
    """Bytes that changed under the same size are found by `verify`; without it, by their entity tag."""
    row = await site.add()
    (site.root / row.file.path).write_bytes(b"CONTENT")

    assert [finding.kind for finding in await site.audit()] == [FindingKind.ETAG]
    assert [finding.kind for finding in await site.audit(verify=True)] == [FindingKind.CHECKSUM]


async def test_what_a_row_never_knew_is_not_wrong(site: Site) -> None:
    """Rows of advanced-alchemy, with the filename for a path and no size, are held against what they say."""
    row = await site.add(file=None)
    site.place("letter.txt")
    old = {"backend": "shelf", "filename": "letter.txt", "size": None, "checksum": None, "etag": None}
    await write(site, row.id, file=old, pages=[{"filename": "gone.txt"}])

    findings = await site.audit(verify=True, fix=["orphan"])

    assert briefly(findings) == [("missing", "gone.txt", False)]
    assert site.objects() == {"letter.txt"}


async def test_json_null(site: Site) -> None:
    """A JSON null where there should be SQL NULL holds nothing, in a list column, too."""
    row = await site.add(file=None)
    await write_json(site, row.id, file="null", pages="null")
    site.place("ab/old")

    assert briefly(await site.audit()) == [("orphan", "ab/old", False)]


async def test_an_unknown_backend(site: Site) -> None:
    """Rows of a backend that nobody registered are found, and nothing is said of their objects."""
    row = await site.add(file=None)
    await write(site, row.id, file={"backend": "nowhere", "path": "ab/c", "filename": "c"})

    [finding] = await site.audit(verify=True)

    assert (finding.kind, finding.backend, finding.path) == (FindingKind.UNKNOWN_BACKEND, "nowhere", "ab/c")
    assert finding.row == RowIdentity("reports", "file", (row.id,))


async def test_a_backend_that_only_rows_name(site: Site) -> None:
    """Files of rows in a backend that no column names are looked up; what else is there is nobody's business."""
    other = ObstoreBackend("other", "memory://")
    storages.register_backend(other)
    try:
        row = await site.add(file=FileObject("other", "a.txt", content=b"content"))
        await other.put("ab/strange", b"not ours")

        assert await site.audit(grace=timedelta(0), fix=["orphan"]) == []

        await other.delete(row.file.path)
        assert briefly(await site.audit()) == [("missing", row.file.path, False)]
    finally:
        storages.unregister_backend("other")


async def test_backends_by_name(site: Site) -> None:
    """Which backends belong to rows alone can be said."""
    site.place("ab/old")

    assert await site.audit(backends=[]) == []
    assert briefly(await site.audit(backends=["shelf"])) == [("orphan", "ab/old", False)]


async def test_without_a_ledger(site: Site) -> None:
    """Tables without a ledger are audited as well, in the default backend of their registry."""
    photo = await site.add(Photo)
    site.place("ab/old")
    options: dict[str, Any] = {"grace": timedelta(days=1), "fix": ["orphan"]}

    findings = [one async for one in audit(site.engine, PlainBase.metadata, **options)]

    assert briefly(findings) == [("orphan", "ab/old", True)]
    assert site.objects() == {photo.file.path}


async def test_several_metadatas_share_a_backend(site: Site) -> None:
    """Given a model of each metadata, an audit takes the files of neither for orphans."""
    await site.add()
    await site.add(Photo)

    assert [one async for one in audit(site.engine, [Report, PlainBase.metadata], grace=timedelta(0))] == []
