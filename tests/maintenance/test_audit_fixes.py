"""What an audit puts right, and what it leaves."""

from datetime import timedelta
from hashlib import sha256
from math import inf

import pytest

from fastapi_filestore import (
    ConfigurationError,
    audit,
)
from tests.maintenance.conftest import Site, briefly, pending
from tests.maintenance.findings import record
from tests.maintenance.models import Base


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
