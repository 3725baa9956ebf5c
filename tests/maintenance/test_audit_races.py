"""An audit beside live uploads, replacements and deletions finds nothing wrong, for nothing is."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from fastapi_filestore import (
    DatabaseUnavailableError,
    FileObject,
    Finding,
    RowNotFoundError,
    StaleFileError,
    audit,
    storages,
)
from fastapi_filestore.orm.unit_of_work.transfer import store
from fastapi_filestore.service.audit import audit as auditing
from fastapi_filestore.service.audit import inventory
from fastapi_filestore.service.audit.inventory import Inventory
from fastapi_filestore.service.audit.observation import observe
from tests.maintenance.conftest import Site, pending
from tests.maintenance.models import Report

SECONDS = 2.0
EAGER: dict[str, Any] = {"grace": timedelta(0), "fix": ["orphan"]}
"""An audit that deletes whatever it takes for an orphan, however young."""


def after_listing(patch: pytest.MonkeyPatch, happen: Callable[[], Awaitable[object]]) -> None:
    """Let something happen between the listing of the objects and the reading of the rows."""

    async def adding(*arguments: Any) -> None:
        await inventory.add_objects(*arguments)
        await happen()

    patch.setattr(auditing, "add_objects", adding)


def after_reading(patch: pytest.MonkeyPatch, happen: Callable[[], Awaitable[object]]) -> None:
    """Let something happen between the reading of both sides and their comparison."""
    sort = Inventory.sort

    async def sorting(stock: Inventory) -> None:
        await sort(stock)
        await happen()

    patch.setattr(Inventory, "sort", sorting)


async def delete(site: Site, row: Report) -> None:
    """Delete a row with its files."""
    async with site.service() as service:
        await service.delete(row.id)
        await service.commit()


async def replace(site: Site, row: Report) -> None:
    """Replace the file of a row."""
    async with site.service() as service:
        await service.replace(row.id, pending(b"another"), field="file")
        await service.commit()


@pytest.mark.parametrize("moment", [after_listing, after_reading])
@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("change", [delete, replace])
async def test_a_row_that_changes(
    site: Site, monkeypatch: pytest.MonkeyPatch, moment: Any, verify: bool, change: Any
) -> None:
    """A file that is deleted or replaced in mid-audit is neither missing nor an orphan."""
    row = await site.add(pages=[pending()])
    moment(monkeypatch, lambda: change(site, row))

    assert await site.audit(**EAGER, verify=verify) == []


@pytest.mark.parametrize("moment", [after_listing, after_reading])
async def test_a_row_that_is_written(site: Site, monkeypatch: pytest.MonkeyPatch, moment: Any) -> None:
    """A row whose upload was listed, or not yet, when it was written is no finding."""
    file = FileObject("shelf", "a.txt", content=b"content")
    await store([(file, site.access)])

    async def write() -> None:
        await site.add(file=file)
        await site.add()

    moment(monkeypatch, write)

    assert await site.audit(**EAGER) == []
    assert len(site.objects()) == 2


@pytest.mark.parametrize("moment", [after_listing, after_reading])
async def test_an_upload_under_way(site: Site, monkeypatch: pytest.MonkeyPatch, moment: Any) -> None:
    """Bytes whose row is still to be written are no orphan, for the ledger knows of them."""
    file = FileObject("shelf", "a.txt", content=b"content")
    moment(monkeypatch, lambda: store([(file, site.access)]))

    assert await site.audit(**EAGER) == []
    assert site.objects() == {file.path}


async def test_a_file_that_moves_to_another_row(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that moves between rows while they are read, so that neither was seen to hold it, is no orphan."""
    giver = await site.add()
    monkeypatch.setattr(auditing, "add_rows", nothing)

    async def move() -> None:
        async with site.service() as service:
            file = await service.file(giver.id, field="file")
            await service.update(giver.id, {"file": None})
            await service.create({"file": file})
            await service.commit()

    after_reading(monkeypatch, move)

    assert await site.audit(**EAGER) == []
    assert site.objects() == {giver.file.path}


async def test_an_orphan_that_a_row_takes_at_the_last_moment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that confirms an object before the audit deletes it keeps it, and one that does meanwhile is refused."""
    site.place("early")
    site.place("late")
    backend = storages.get_backend("shelf")

    async def look(*arguments: Any) -> Any:
        seen = await observe(*arguments)
        if arguments[1].path == "early":
            await site.add(file=FileObject("shelf", "a.txt", path="early"))
        return seen

    delete = backend.delete

    async def deleting(*paths: str) -> None:
        with pytest.raises(StaleFileError):
            await site.add(file=FileObject("shelf", "a.txt", path="late"))
        await delete(*paths)

    monkeypatch.setattr(auditing, "observe", look)
    monkeypatch.setattr(backend, "delete", deleting)

    assert [finding.path for finding in await site.audit(**EAGER)] == ["late"]
    assert "early" in site.objects()
    assert "late" not in site.objects()
    assert await site.intents() == set()


async def nothing(*arguments: object) -> None:
    """Read no row."""


async def test_an_orphan_that_is_written_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An old object that a client just uploaded again with a signed URL is young."""
    site.place("ab/again")

    async def upload() -> None:
        site.place("ab/again", b"again", age=timedelta(0))

    after_reading(monkeypatch, upload)

    assert await site.audit(fix=["orphan"]) == []
    assert site.objects() == {"ab/again"}


class Users:
    """Tasks that create, replace and delete rows at random."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site, self.random, self.rows = site, random.Random(seed), list[Report]()  # noqa: S311 - the same each time
        self.stopped = False

    async def work(self) -> None:
        """Go on until stopped; a database that is busy is asked again."""
        while not self.stopped:
            try:
                await self.random.choice([self.create, self.create, self.replace, self.delete])()
            except (DatabaseUnavailableError, RowNotFoundError):
                continue
            await asyncio.sleep(0)

    async def create(self) -> None:
        """Add a row."""
        self.rows.append(await self.site.add(pages=[pending(), pending()]))

    async def replace(self) -> None:
        """Replace a file."""
        if self.rows:
            await replace(self.site, self.random.choice(self.rows))

    async def delete(self) -> None:
        """Delete a row."""
        if self.rows:
            await delete(self.site, self.rows.pop(self.random.randrange(len(self.rows))))


async def test_audits_beside_users(site: Site) -> None:
    """However many users work, an audit that deletes orphans of any age finds none."""
    users = [Users(site, seed) for seed in range(4)]
    findings: list[Finding] = []
    audits = 0
    end = asyncio.get_running_loop().time() + SECONDS
    async with asyncio.TaskGroup() as group:
        for user in users:
            group.create_task(user.work())
        while audits < 2 or asyncio.get_running_loop().time() < end:
            with suppress(DatabaseUnavailableError):  # as every one of them, it may find the database busy
                findings += [finding async for finding in audit(site.engine, Report, **EAGER, verify=audits % 2 == 0)]
                audits += 1
        for user in users:
            user.stopped = True

    assert findings == []
    assert await site.audit() == []
