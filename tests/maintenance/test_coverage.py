"""What a deletion of orphans is based on: every class that may hold a file, and no more than can be believed."""

from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from sqlalchemy.schema import CreateSchema

from fastapi_filestore import ConfigurationError, FileObject, Filestore, Finding, FindingKind, StoredObject, audit
from fastapi_filestore.orm.sessions import run_on_engine
from fastapi_filestore.service.audit.coverage import limit_of
from tests.maintenance.conftest import OLD, Site, briefly, create_tables, pending
from tests.maintenance.models import Base, Photo, Report

SITES = ["sqlite-async", "postgres-sync"]


@pytest.fixture
def stranger(own_classes: "WeakSet[Any]") -> type[Any]:
    """A mapped class of the process that no service, router or audit is given."""

    class StrangeBase(DeclarativeBase):
        """A base of its own."""

    class Stranger(StrangeBase):
        """A row with a file."""

        __tablename__ = "strangers"

        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="shelf"))

    own_classes.add(inspect(Stranger))
    return Stranger


def old(site: Site, path: str) -> None:
    """Make an object old."""
    site.place(path, (site.root / path).read_bytes(), age=OLD)


@pytest.mark.parametrize("site", SITES, indirect=True)
async def test_a_class_that_nobody_named(site: Site) -> None:
    """What a row of any mapped class in the database holds is no orphan; its own troubles are not the audit's."""
    photo = await site.add(Photo, id=1, file=FileObject(backend="shelf", content=b"x"))
    old(site, photo.file.path)
    gone = await site.add(Photo, id=2, file=FileObject(backend="shelf", content=b"x"))
    (site.root / gone.file.path).unlink()
    site.place("ab/old")

    assert briefly(await site.audit(fix=["orphan"])) == [("orphan", "ab/old", True)]
    assert site.objects() == {photo.file.path}


@pytest.mark.parametrize("site", SITES, indirect=True)
async def test_a_class_whose_database_is_not_known(site: Site, stranger: type[Any]) -> None:
    """A class whose table is not there may have rows elsewhere: it is named, no orphan goes, and the rest goes on."""
    row = await site.add()
    (site.root / row.file.path).unlink()
    site.place("ab/old")
    site.place("ab/half#1")

    findings = await site.audit(fix=["orphan", "unfinished_upload"])

    assert briefly(findings) == [
        ("unchecked", None, False),
        ("orphan", "ab/old", False),
        ("missing", row.file.path, False),
        ("unfinished_upload", "ab/half", True),
    ]
    assert findings[0].detail.startswith(
        "Stranger (strangers) holds files, and the database that it is in is not known"
    )
    assert "the database of Stranger (strangers) is not known" in findings[1].detail
    assert briefly(await site.audit())[0] == ("orphan", "ab/old", False)


@pytest.mark.parametrize("site", ["sqlite-sync"], indirect=True)
async def test_a_second_database(site: Site, stranger: type[Any], tmp_path: Path) -> None:
    """Two databases are audited together: what either holds is no orphan, and of both it is told what is missing."""
    engine = create_engine(f"sqlite:///{tmp_path}/other.db", connect_args={"check_same_thread": False})
    stranger.metadata.create_all(engine)
    with Session(engine) as session:
        kept, lost = (stranger(file=FileObject(content=b"x")) for _ in range(2))
        session.add_all([kept, lost])
        session.commit()
        held, gone = kept.file.path, lost.file.path
    old(site, held)
    (site.root / gone).unlink()
    site.place("ab/old")

    both = audit(site.engine, Report, fix=["orphan"], also={engine: stranger})

    found = [one async for one in both if one.kind is not FindingKind.ETAG]
    assert briefly(found) == [("orphan", "ab/old", True), ("missing", gone, False)]
    assert both.coverage.tables == ["clips", "photos", "reports", "scans", "strangers"]
    assert site.objects() == {held}
    engine.dispose()


@pytest.mark.parametrize("site", ["postgres-sync", "postgres-async"], indirect=True)
async def test_one_schema_of_several(site: Site) -> None:
    """Of tenants in schemas of their own each can be audited; orphans go when all of them are asked."""
    tenants = list[Site]()
    for name in ("one", "two"):
        await site.execute(CreateSchema(name))
        tenant = Site(site.engine.execution_options(schema_translate_map={None: name}), site.backend, site.root)
        await run_on_engine(tenant.plain, create_tables)
        tenants.append(tenant)
    mine, held = [(await tenant.add()).file.path for tenant in tenants]
    for path in (mine, held):
        old(site, path)
    site.place("ab/old")

    alone = [one async for one in audit(tenants[0].engine, Report, fix=["orphan"])]
    orphans = [one for one in alone if one.kind is FindingKind.ORPHAN]
    assert {(one.path, one.fixed) for one in orphans} == {("ab/old", False), (held, False)}
    assert all("schema_translate_map" in one.detail for one in orphans)

    together = audit(tenants[0].engine, Report, fix=["orphan"], also={tenants[1].engine: Report})
    found = [one async for one in together if one.kind is FindingKind.ORPHAN]
    assert briefly(found) == [("orphan", "ab/old", True)]
    assert site.objects() == {mine, held}


@pytest.mark.parametrize("site", ["sqlite-sync"], indirect=True)
async def test_classes_by_their_binds(site: Site, stranger: type[Any], tmp_path: Path) -> None:
    """An application's session tells which database a class is in; a class that it has no database for is named."""
    engine = create_engine(f"sqlite:///{tmp_path}/other.db", connect_args={"check_same_thread": False})
    stranger.metadata.create_all(engine)
    bound = sessionmaker(binds={Base: site.plain, stranger: engine})
    with bound() as session:
        row = stranger(file=FileObject(content=b"x"))
        session.add(row)
        session.commit()
        held = row.file.path
    old(site, held)
    site.place("ab/old")
    files = Filestore(bound)
    files.service(Report)

    findings = [one async for one in files.audit(fix=["orphan"])]

    assert [one.detail.partition(" holds")[0] for one in findings[:2]] == ["Clip (clips)", "Photo (photos)"]
    assert briefly(findings[2:]) == [("orphan", "ab/old", False)]
    engine.dispose()


@pytest.mark.parametrize("site", ["sqlite-sync", "postgres-sync"], indirect=True)
async def test_two_bases_over_one_table(site: Site, own_classes: "WeakSet[Any]") -> None:
    """Two bases that describe one table, each with another column, hold what both columns hold, and tell it once."""

    class OtherBase(DeclarativeBase):
        """A second description."""

    class Half(OtherBase):
        """The same rows without their lists."""

        __tablename__ = "reports"

        id: Mapped[int] = mapped_column(primary_key=True)
        file: Mapped[FileObject | None] = mapped_column(StoredObject(backend="shelf"))

    own_classes.add(inspect(Half))
    row = await site.add(pages=[pending()])
    old(site, row.pages[0].path)
    (site.root / row.file.path).unlink()

    both = [one async for one in audit(site.engine, [OtherBase.metadata, Report], fix=["orphan"])]

    assert briefly([one for one in both if one.kind is not FindingKind.ETAG]) == [("missing", row.file.path, False)]
    assert site.objects() == {row.pages[0].path}


@pytest.mark.parametrize("site", ["sqlite-sync"], indirect=True)
async def test_the_wrong_database(site: Site, tmp_path: Path) -> None:
    """A database without any table of the models is not taken for an empty one."""
    engine = create_engine(f"sqlite:///{tmp_path}/empty.db")
    site.place("ab/old")

    with pytest.raises(ConfigurationError, match="has no table 'reports'"):
        _ = [one async for one in audit(engine, Report, fix=["orphan"])]

    assert site.objects() == {"ab/old"}
    engine.dispose()


# -- how many ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objects", "at_most", "limit"), [(0, None, 100), (10_000, None, 100), (50_000, None, 500), (5, 3, 3), (5, 0, 0)]
)
def test_the_limit(objects: int, at_most: int | None, limit: int) -> None:
    """A hundred orphans may go, or one in a hundred objects, unless it is said how many."""
    assert limit_of(objects, at_most) == limit


async def orphans(site: Site, **options: Any) -> list[Finding]:
    """Delete the orphans, and return those that were found."""
    return [one for one in await site.audit(fix=["orphan"], **options) if one.kind is FindingKind.ORPHAN]


@pytest.fixture
async def crowd(site: Site) -> list[str]:
    """More orphans than are deleted without being asked twice, and a file that is held."""
    row = await site.add()
    old(site, row.file.path)
    paths = [f"zz/{number:03}" for number in range(101)]
    for path in paths:
        site.place(path)
    return paths


@pytest.mark.parametrize("site", SITES, indirect=True)
async def test_too_many(site: Site, crowd: list[str]) -> None:
    """If more than a hundred, and more than one in a hundred, would go, none goes, until so many are allowed."""
    findings = await orphans(site)

    assert len(findings) == 101
    assert not any(finding.fixed for finding in findings)
    assert "101 of its 102 objects would go" in findings[0].detail
    assert "--at-most 101" in findings[0].detail
    assert len(site.objects()) == 102

    allowed = await orphans(site, at_most=101)
    assert all(finding.fixed for finding in allowed)
    assert len(site.objects()) == 1


@pytest.mark.parametrize("site", SITES, indirect=True)
async def test_what_a_ledger_knows_is_not_counted(
    site: Site, crowd: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is to be deleted anyway does not keep the orphans from being few."""
    monkeypatch.setattr("fastapi_filestore.service.audit.orphans.SUSPECTS_AT_ONCE", 10)
    await site.intend(*crowd[:2], due_at=10**10)

    findings = await site.audit(fix=["orphan"])

    assert [finding.path for finding in findings if finding.fixed] == crowd[2:]


@pytest.mark.parametrize("site", ["sqlite-async"], indirect=True)
async def test_fewer_than_there_are(site: Site) -> None:
    """Whoever allows fewer orphans than there are has none deleted."""
    for path in ("ab/old", "cd/old"):
        site.place(path)

    assert briefly(await site.audit(fix=["orphan"], at_most=1)) == [
        ("orphan", "ab/old", False),
        ("orphan", "cd/old", False),
    ]
    assert briefly(await site.audit(fix=["orphan"], at_most=2)) == [
        ("orphan", "ab/old", True),
        ("orphan", "cd/old", True),
    ]


@pytest.mark.parametrize("site", ["sqlite-async"], indirect=True)
async def test_coverage(site: Site) -> None:
    """An audit says which tables and backends it looked through, and why a backend was left alone."""
    for path in ("ab/old", "cd/old"):
        site.place(path)
    looked = audit(site.engine, Report, fix=["orphan"], at_most=1)
    async for _ in looked:
        pass

    assert (looked.coverage.tables, looked.coverage.backends) == (["clips", "photos", "reports", "scans"], ["shelf"])
    assert looked.coverage.unknown == ()
    assert looked.coverage.kept["shelf"].startswith("2 of its 2 objects would go")
