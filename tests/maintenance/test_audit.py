"""What an audit finds, in rows and stores of every kind, and what it puts right when told to."""

import asyncio
from collections.abc import AsyncIterable
from datetime import timedelta
from hashlib import sha256
from math import inf
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import insert

from fastapi_filestore import (
    ConfigurationError,
    FileObject,
    Finding,
    FindingKind,
    InvalidCursorError,
    ObstoreBackend,
    RowIdentity,
    audit,
    storages,
)
from fastapi_filestore.service.audit import references
from tests.maintenance.conftest import Site, briefly, keys, pending, write, write_json
from tests.maintenance.models import LEDGER, Base, Photo, PlainBase, Report, Scan


async def record(site: Site, identity: UUID) -> FileObject:
    """Return the file of a report as the database has it."""
    async with site.service() as service:
        return await service.file(identity, field="file")


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


# -- putting right -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verify", "checksum"), [(True, sha256(b"longer").hexdigest()), (False, None)])
async def test_a_row_is_made_to_say_what_the_store_says(site: Site, verify: bool, checksum: str | None) -> None:
    """With `fix`, size, entity tag and checksum are those of the object; a checksum that nobody read is unknown."""
    row = await site.add(pages=[pending()])
    (site.root / row.file.path).write_bytes(b"longer")

    findings = await site.audit(fix=["size"], verify=verify)

    assert briefly(findings) == [("size", row.file.path, True)]
    file = await record(site, row.id)
    assert (file.size, file.checksum, file.filename) == (6, checksum, "a.txt")
    assert await site.audit(verify=True) == []


async def test_one_of_a_list_is_put_right(site: Site) -> None:
    """In a list, the one file is corrected and the others stay as they are."""
    row = await site.add(pages=[pending(), pending(), pending()])
    (site.root / row.pages[1].path).write_bytes(b"CONTENT")

    findings = await site.audit(fix=["checksum"], verify=True)

    assert briefly(findings) == [("checksum", row.pages[1].path, True)]
    async with site.service() as service:
        pages = (await service.get(row.id)).pages
    assert [page.path for page in pages] == [page.path for page in row.pages]
    assert [page.checksum == sha256(b"content").hexdigest() for page in pages] == [True, False, True]
    assert await site.audit(verify=True) == []


async def test_a_grace_in_seconds(site: Site) -> None:
    """A grace is given in seconds or as a timedelta; what is neither is refused at once."""
    site.place("ab/young", age=timedelta(hours=1))

    assert [finding.path for finding in await site.audit(grace=1800)] == ["ab/young"]
    assert await site.audit(grace=7200.0) == []
    for wrong in ("1h", None, True, inf):
        with pytest.raises(ConfigurationError, match=r"grace is .*: give the seconds, or a timedelta"):
            await site.audit(grace=wrong)


async def test_only_the_kinds_that_were_asked_for(site: Site) -> None:
    """What `fix` does not name is reported and left."""
    row = await site.add()
    (site.root / row.file.path).write_bytes(b"longer")
    site.place("ab/old")

    assert [finding.fixed for finding in await site.audit(fix=["etag", "unfinished_upload"])] == [False, False]
    assert "ab/old" in site.objects()


async def test_a_fix_that_fails(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be put right is reported with the reason, and the others are."""
    site.place("ab/old")
    site.place("cd/old")
    delete = site.backend.delete

    async def refusing(*paths: str) -> None:
        if "ab/old" in paths:
            raise ConfigurationError("It is locked.")
        await delete(*paths)

    monkeypatch.setattr(site.backend, "delete", refusing)
    findings = await site.audit(fix=["orphan"])

    assert briefly(findings) == [("orphan", "ab/old", False), ("orphan", "cd/old", True)]
    assert findings[0].detail.endswith("It could not be fixed: It is locked.")


@pytest.mark.parametrize("kind", ["missing", "unknown_backend", "misspelt"])
def test_kinds_that_nothing_can_fix(kind: str) -> None:
    """What can't be fixed is refused at once, with what can."""
    with pytest.raises(ConfigurationError, match=rf"can't fix {kind}, only .*orphan"):
        audit(None, Base.metadata, fix=[kind])  # type: ignore[arg-type]


# -- many, and on from there --------------------------------------------------------------------------------


async def test_batches(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows beyond one batch are read, and suspects beyond one batch are looked for, in any order of keys."""
    monkeypatch.setattr(references, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr("fastapi_filestore.service.audit.audit.SUSPECTS_AT_ONCE", 2)
    monkeypatch.setattr("fastapi_filestore.service.audit.audit.REFERENCES_AT_ONCE", 2)
    reports = [await site.add() for _ in range(7)]
    scans = [await site.add(Scan, owner=f"o{number % 2}", number=number) for number in range(7)]
    orphans = [f"zz/{number}" for number in range(7)]
    for path in orphans:
        site.place(path)
    for row in (reports[5], scans[6]):
        (site.root / row.file.path).unlink()

    findings = await site.audit()

    missing = sorted([reports[5].file.path, scans[6].file.path])
    assert briefly(findings) == [
        *(("orphan", path, False) for path in orphans),
        *(("missing", path, False) for path in missing),
    ]


async def test_on_from_a_cursor(site: Site) -> None:
    """From a finding's cursor an audit finds what comes after it, wherever it was cut short."""
    for number in range(3):
        site.place(f"zz/{number}")
    for _ in range(3):
        row = await site.add()
        (site.root / row.file.path).unlink()
    findings = await site.audit()
    assert len(findings) == 6

    for number, finding in enumerate(findings):
        assert await site.audit(after=finding.cursor) == findings[number + 1 :]


async def test_verification_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit that was cut short while it verified goes on behind the last object that was all right."""
    monkeypatch.setattr("fastapi_filestore.service.audit.audit.REFERENCES_AT_ONCE", 2)
    paths = sorted([(await site.add()).file.path for _ in range(6)])
    (site.root / paths[5]).write_bytes(b"CONTENT")
    first = audit(site.engine, Report, verify=True)
    with monkeypatch.context() as stalling:
        stalled = stall(site, stalling, paths[4])
        task = asyncio.create_task(collect(first))
        await stalled.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    opened = watch(site, monkeypatch)

    findings = await site.audit(verify=True, after=first.cursor)

    assert [finding.path for finding in findings] == [paths[5]]
    assert sorted(opened) == paths[4:]


async def collect(findings: AsyncIterable[Finding]) -> list[Finding]:
    """Return all findings."""
    return [finding async for finding in findings]


def stall(site: Site, patch: pytest.MonkeyPatch, at: str) -> asyncio.Event:
    """Let the store hang when it is asked for one object, and tell when it does."""
    reached, open_object = asyncio.Event(), site.backend.open

    async def opening(path: str) -> Any:
        if path == at:
            reached.set()
            await asyncio.sleep(60)
        return await open_object(path)

    patch.setattr(site.backend, "open", opening)
    return reached


def watch(site: Site, patch: pytest.MonkeyPatch) -> list[str]:
    """Return the list that the keys of the objects which are read will be in."""
    opened, open_object = list[str](), site.backend.open

    async def opening(path: str) -> Any:
        opened.append(path)
        return await open_object(path)

    patch.setattr(site.backend, "open", opening)
    return opened


@pytest.mark.parametrize("cursor", ["", "nonsense", "bm9uc2Vuc2U", "WzEsIDJd", "WyJhIiwgMSwgMl0", "é"])
def test_a_cursor_of_nobodys(cursor: str) -> None:
    """A cursor that no audit made is refused at once."""
    with pytest.raises(InvalidCursorError):
        audit(None, Base.metadata, after=cursor)  # type: ignore[arg-type]


async def test_a_store_that_does_not_answer(site: Site) -> None:
    """A backend that can't be listed is a finding; its rows are not said to have lost their objects."""
    await site.add()
    await site.backend.aclose()

    findings = await site.audit(verify=True)

    assert {finding.kind for finding in findings} == {FindingKind.UNCHECKED}
    assert all("is closed" in finding.detail for finding in findings)
