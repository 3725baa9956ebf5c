"""Links inside a local folder: what a row reads through one is no orphan, whatever the listing calls it."""

import os
from pathlib import Path

import pytest

from fastapi_filestore import FindingKind
from tests.maintenance.conftest import OLD, Site, pending

SITES = ["sqlite-async", "postgres-sync"]


def move(site: Site, path: str, to: str) -> Path:
    """Move an object behind everybody's back; it is old."""
    target = site.place(to, (site.root / path).read_bytes(), age=OLD)
    (site.root / path).unlink()
    return target


async def orphans_deleted(site: Site) -> list[str | None]:
    """Audit, and return what was deleted; that a file is a new one after a move is found, too."""
    found = await site.audit(fix=["orphan"])
    assert {one.kind for one in found} <= {FindingKind.ORPHAN, FindingKind.ETAG}
    return [one.path for one in found if one.fixed]


@pytest.mark.parametrize("site", SITES, indirect=True)
async def test_a_link_to_an_object(site: Site) -> None:
    """What the link of a row leads to stays, over several links as well; what no row's link leads to goes."""
    single, several, deep = [await site.add(file=pending()) for _ in range(3)]
    (site.root / single.file.path).symlink_to(move(site, single.file.path, "common"))
    (site.root / "step").symlink_to(move(site, several.file.path, "far/away"))
    # Relative to its folder, which is one below the root.
    (site.root / several.file.path).symlink_to("../step")
    (site.root / "unused").symlink_to(site.place("stray"))

    assert await orphans_deleted(site) == ["stray"]
    assert {"common", "far/away", deep.file.path} <= site.objects()
    async with site.service() as service:
        for row in (single, several, deep):
            stored = (await service.get(row.id)).file
            assert await stored.get_content_async()


@pytest.mark.parametrize("site", SITES, indirect=True)
async def test_a_link_to_a_folder(site: Site) -> None:
    """Objects in a folder that was moved, and has a link in its place, stay."""
    row = await site.add()
    folder = Path(row.file.path).parts[0]
    (site.root / folder).rename(site.root / "moved")
    (site.root / folder).symlink_to(site.root / "moved")
    for file in (site.root / "moved").rglob("*"):
        os.utime(file, (0, 0))
    site.place("moved/stray")

    assert await orphans_deleted(site) == ["moved/stray"]
    assert row.file.path.replace(folder, "moved", 1) in site.objects()


@pytest.mark.parametrize("site", SITES, indirect=True)
async def test_a_link_that_leads_nowhere(site: Site, tmp_path: Path) -> None:
    """Links out of the folder, to nothing, and in a circle keep nothing, and break no audit."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"x")
    rows = [await site.add() for _ in range(3)]
    paths = [site.root / row.file.path for row in rows]
    for path, target in zip(paths, (outside, site.root / "nothing", paths[2]), strict=True):
        path.unlink()
        path.symlink_to(target)
    site.place("stray")

    findings = await site.audit(fix=["orphan"])

    assert [one.path for one in findings if one.kind is FindingKind.ORPHAN] == ["stray"]
    assert {one.path for one in findings if one.kind is not FindingKind.ORPHAN} == {row.file.path for row in rows}
    assert outside.exists()
