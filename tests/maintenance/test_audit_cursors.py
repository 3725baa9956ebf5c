"""An audit reads in batches, and goes on where it was cut short."""

import asyncio
from collections.abc import AsyncIterable
from typing import Any

import pytest

from fastapi_filestore import (
    Finding,
    FindingKind,
    InvalidCursorError,
    audit,
)
from fastapi_filestore.service.audit import references
from tests.maintenance.conftest import Site, briefly
from tests.maintenance.models import Base, Report, Scan


async def test_batches(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows beyond one batch are read, and suspects beyond one batch are looked for, in any order of keys."""
    monkeypatch.setattr(references, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr("fastapi_filestore.service.audit.uploads.SUSPECTS_AT_ONCE", 2)
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
